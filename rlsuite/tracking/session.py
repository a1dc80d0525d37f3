"""A session of a run: open all its writers, and close them with the final status."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rlsuite.tracking.console import Console
from rlsuite.tracking.jsonl import JsonlWriter
from rlsuite.tracking.record import Axis, Clock, Status, Writer
from rlsuite.tracking.tracker import Tracker
from rlsuite.tracking.wandb_writer import Mode, WandbWriter


@dataclass
class Session:
    """The tracker that fans out to all writers, and the console that ticks; set ``status`` before leaving."""

    tracker: Tracker
    console: Console
    status: Status = "failed"


@contextmanager
def session(
    folder: Path,
    title: str,
    total: int,
    headlines: Mapping[str, str],
    seeds: Sequence[int],
    axis: Axis = "env_steps",
    wandb: Mode = "auto",
    wandb_project: str = "rlsuite",
    wandb_group: str | None = None,
    resume_at: Clock | None = None,
    logged_until: Clock | None = None,
) -> Iterator[Session]:
    """Report to ``metrics.jsonl``, the terminal and Weights & Biases while entered.

    Args:
        folder: of the run; Weights & Biases gets its ``config.json``.
        title: what is trained, for people.
        total, axis: where the run ends and in what unit.
        headlines: metrics shown on the terminal, by name, and how to call them.
        resume_at: the clock of the checkpoint that the session starts from; ``None`` for a new run.
        logged_until: the clock of the last line of metrics that this checkpoint knows of.
    """
    config = json.loads((folder / "config.json").read_text())
    console = Console(title, total, headlines, len(seeds), axis, folder)
    writers: list[Writer] = [
        JsonlWriter(folder / "metrics.jsonl", resume_at, logged_until),
        console,
        WandbWriter(folder, folder.name, config, seeds, wandb, wandb_project, wandb_group, axis),
    ]
    opened = Session(Tracker(writers), console)
    console.tick(resume_at or Clock(env_steps=0, updates=0, wall_seconds=0.0))  # the first update may be long in coming
    try:
        yield opened
    except KeyboardInterrupt:  # outside the trainer, which handles stop requests itself
        opened.status = "interrupted"
        raise
    finally:
        opened.tracker.close(opened.status)
