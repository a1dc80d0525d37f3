import subprocess
import sys
from pathlib import Path

import pytest

from rlsuite.tracking.record import Clock
from rlsuite.tracking.tracker import Tracker

CLOCK = Clock(env_steps=1, updates=2, wall_seconds=3.0)


class Recorder:
    def __init__(self, calls: list, name: str, broken: bool = False) -> None:
        self.calls, self.name, self.broken = calls, name, broken

    def log(self, *arguments: object) -> None:
        self.calls.append((self.name, "log", *arguments))

    def video(self, *arguments: object) -> None:
        self.calls.append((self.name, "video", *arguments))

    def summary(self, *arguments: object) -> None:
        self.calls.append((self.name, "summary", *arguments))

    def close(self, *arguments: object) -> None:
        self.calls.append((self.name, "close", *arguments))
        if self.broken:
            raise OSError("disk full")


def test_every_writer_gets_everything_in_order() -> None:
    calls: list = []
    tracker = Tracker([Recorder(calls, "a"), Recorder(calls, "b")])
    tracker.log(CLOCK, {"loss": 1.0})
    tracker.video(CLOCK, "evaluation/video", Path("x.mp4"))
    tracker.summary({"mean": 1.0})
    tracker.close("finished")
    assert calls == [
        (name, *call)
        for call in (
            ("log", CLOCK, {"loss": 1.0}),
            ("video", CLOCK, "evaluation/video", Path("x.mp4")),
            ("summary", {"mean": 1.0}),
            ("close", "finished"),
        )
        for name in "ab"
    ]


def test_a_writer_that_fails_to_close_does_not_keep_the_others_open() -> None:
    calls: list = []
    tracker = Tracker([Recorder(calls, "a", broken=True), Recorder(calls, "b")])
    with pytest.raises(OSError, match="disk full"):
        tracker.close("failed")
    assert calls == [("a", "close", "failed"), ("b", "close", "failed")]


def test_importing_the_writers_is_cheap() -> None:
    modules = ["console", "jsonl", "plots", "record", "statistics", "tracker", "video", "wandb_writer"]
    imports = ", ".join(f"rlsuite.tracking.{module}" for module in modules)
    heavy = ("torch", "wandb", "matplotlib", "scipy")
    script = f"import sys, {imports}; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
