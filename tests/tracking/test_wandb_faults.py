"""Whatever happens to W&B, a run goes on and ends, and a line says what became of W&B's copy."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wandb
from wandb_reading import read_sessions
from wandb_server import FAKE_KEY, WandbServer

from rlsuite.tracking import wandb_process, wandb_writer
from rlsuite.tracking.record import Clock
from rlsuite.tracking.wandb_writer import WandbWriter

pytestmark = pytest.mark.usefixtures("fresh_wandb")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def impatient(fresh_wandb: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(wandb_writer, "_ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(wandb_process, "_LEAVE_SECONDS", 2.0)


def clock(env_steps: int) -> Clock:
    return Clock(env_steps, updates=1, wall_seconds=1.0)


def report(writer: WandbWriter, rows: int = 3) -> None:
    for row in range(rows):
        writer.log(clock(100 + row), {"train/return": np.array([1.0])})
    writer.summary({"iqm": 1.0})


def signal_process(number: int) -> None:
    [process] = wandb_process._processes()
    os.kill(process.pid, number)


@pytest.mark.parametrize("fault", ["error", "nonsense", "silence"])
def test_a_server_that_is_ill_from_the_start(
    tmp_path: Path, server: WandbServer, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    server.fault = fault  # type: ignore[assignment]
    writer = WandbWriter(tmp_path, "dqn", {})
    report(writer)
    writer.close("finished")
    [line] = capfd.readouterr().err.splitlines()
    [folder] = (tmp_path / "wandb").glob("offline-run-*")
    assert "kept offline" in line and line.endswith(f"wandb sync {folder}")
    assert len(read_sessions(tmp_path / "wandb", "offline-run-*")[0].rows) == 3


@pytest.mark.parametrize("fault", ["error", "nonsense", "silence"])
def test_a_server_that_becomes_ill(
    tmp_path: Path, server: WandbServer, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    writer = WandbWriter(tmp_path, "dqn", {})
    server.fault = fault  # type: ignore[assignment]
    report(writer)
    writer.close("finished")
    link, *lines = [line for line in capfd.readouterr().err.splitlines() if "Waiting for W&B" not in line]
    assert link.startswith("W&B: http")
    for line in lines:  # none where W&B takes the answer for a success
        [folder] = (tmp_path / "wandb").glob("run-*")
        assert line.endswith(f"wandb sync {folder}")
    assert len(lines) <= 1


@pytest.mark.parametrize("when", ["before a row", pytest.param("before the end", marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_process_that_is_stopped_or_gone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: int, when: str
) -> None:
    writer = WandbWriter(tmp_path, "dqn", {})
    [process] = wandb_process._processes()
    if when == "before the end":
        report(writer)
    signal_process(number)
    if when == "before a row":
        report(writer)
    writer.close("finished")
    [line] = [line for line in capfd.readouterr().err.splitlines() if "Waiting for W&B" not in line]
    assert line.startswith("W&B did") and "The run goes on" in line
    assert process.poll() is not None
    for folder in tmp_path.glob("wandb/offline-run-*"):
        assert "wandb sync" not in line or line.endswith(f"wandb sync {folder}")
    WandbWriter(tmp_path / "next", "dqn", {}).close("finished")  # the next run of this process has W&B again
    assert capfd.readouterr().err == ""


def test_a_process_that_is_stopped_before_it_answers_is_ended(tmp_path: Path) -> None:
    # In a process of its own: W&B waits for itself for ever once its start has failed.
    program = """
import os, signal, subprocess, sys
from pathlib import Path
import wandb  # whose import may take longer than the time limit below, on a busy machine
from rlsuite.tracking import wandb_process, wandb_writer

class Stopped(subprocess.Popen):
    def __init__(self, arguments, **options):
        super().__init__(arguments, **options)
        if "wandb-core" in arguments[0]:
            os.kill(self.pid, signal.SIGSTOP)
            print(self.pid)

subprocess.Popen = Stopped
wandb_writer._START_SECONDS = wandb_process._LEAVE_SECONDS = 1.0
wandb_writer.WandbWriter(Path(sys.argv[1]), "dqn", {}).close("finished")
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    [line] = done.stderr.splitlines()
    assert done.returncode == 0 and line.startswith("W&B could not start (no answer")
    [pid] = done.stdout.splitlines()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_process_that_takes_no_more_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = WandbWriter(tmp_path, "dqn", {})
    signal_process(signal.SIGSTOP)
    text = "x" * 1_000_000  # more than the connection holds
    writer.summary({"text": text})
    report(writer, rows=1_000)
    writer.close("finished")
    [line] = capfd.readouterr().err.splitlines()
    assert "no answer for 2 s" in line


def test_ctrl_c_ends_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb_writer, "_ANSWER_SECONDS", 1_000.0)
    writer = WandbWriter(tmp_path, "dqn", {})
    report(writer)
    signal_process(signal.SIGSTOP)
    threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGINT]).start()
    writer.close("finished")
    [line] = [line for line in capfd.readouterr().err.splitlines() if "Waiting for W&B" not in line]
    [folder] = tmp_path.glob("wandb/offline-run-*")
    assert line == f"W&B was not waited for. To upload the rest: wandb sync {folder}"


def test_python_does_not_wait_for_a_stopped_process_when_it_exits(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from rlsuite.tracking import wandb_process
from rlsuite.tracking.wandb_writer import WandbWriter
wandb_process._LEAVE_SECONDS = 1.0
WandbWriter(Path(sys.argv[1]), "dqn", {}).close("finished")
os.kill(wandb_process._processes()[0].pid, signal.SIGSTOP)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def block_wandb_folder(folder: Path) -> None:
    (folder / "wandb").write_text("not a folder")


def block_id_file(folder: Path) -> None:
    (folder / "wandb.json").mkdir()


@pytest.mark.parametrize("block", [block_wandb_folder, block_id_file])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], block: Callable[[Path], None]
) -> None:
    block(tmp_path)
    writer = WandbWriter(tmp_path, "dqn", {})
    report(writer)
    writer.close("finished")
    assert len(capfd.readouterr().err.splitlines()) <= 1


def test_without_the_package_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "wandb.sdk.wandb_setup", raising=False)
    writer = WandbWriter(tmp_path, "dqn", {})
    report(writer)
    writer.close("finished")
    [line] = capsys.readouterr().err.splitlines()
    assert "there is no package 'wandb' here" in line
    wandb_process.leave()  # as when Python exits
    WandbWriter(tmp_path, "dqn", {}, mode="disabled").close("finished")
    assert capsys.readouterr().err == ""


def test_a_group_of_one_seed(tmp_path: Path) -> None:
    writer = WandbWriter(tmp_path, "dqn", {}, seeds=(4,), group="lunar")
    report(writer)
    writer.summary({"per_seed_mean": np.array([8.0])})
    writer.close("finished")
    [session] = read_sessions(tmp_path / "wandb")
    assert session.name == "dqn-seed4" and session.summary["per_seed_mean"] == 8.0
    assert [row["train/return"] for row in session.rows] == [1.0] * 3


@pytest.mark.parametrize("name", ["", " ", "_step", "back\\slash", "\\", "\udcff", "env_steps", "nul\x00", "a.b", "*"])
def test_odd_names_cost_no_row(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    writer = WandbWriter(tmp_path, "dqn", {})
    for env_steps in (100, 200):
        writer.log(clock(env_steps), {name: 7.0, "ok": 1.0})
    writer.summary({name: 7.0})
    writer.close("finished")
    [session] = read_sessions(tmp_path / "wandb")
    assert [(row["_step"], row["env_steps"], row["ok"]) for row in session.rows] == [(100, 100, 1.0), (200, 200, 1.0)]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("option", ["name", "project", "group"])
def test_labels_that_the_service_refuses_cost_a_line_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    labels = {"name": "dqn", option: "a/b\\c?%:#" * 40}
    writer = WandbWriter(tmp_path, config={}, mode="offline", **labels)  # type: ignore[arg-type]
    report(writer)
    writer.close("finished")
    assert len(capfd.readouterr().err.splitlines()) <= 1
    assert wandb.run is None
