"""Whole runs that are cut off at one of their file operations, from the first folder to the final report."""

import itertools
import random
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from file_operations import count_into, die_at, fail_from
from forks import Ended
from plans import PLANS, Plan, differences
from trials import Fault, Trials, faults_of

PROMISE = "A run cut off at any file operation, from its first folder to its last report, loses nothing that was whole."
HOW = (
    "the process is killed, or finds the disk full, at a file operation of a run; it is resumed (or started anew where "
    "nothing was written yet), and compared with one that never stopped."
)
_NAMES = ("dqn", "reinforce on tensors", "supervised", "economy")


def trials(draw: random.Random, folder: Path) -> Trials:
    operations: dict[str, int] = {}
    for number in itertools.count():
        name = _NAMES[number % len(_NAMES)]
        plan, whole, cut = PLANS[name], folder / f"whole {name}", folder / f"cut {number}"
        if name not in operations:
            log = folder / f"operations of {name}"
            yield faults_of(_cut_off(plan, whole, partial(count_into, log)), "uninterrupted", (0, 3))
            operations[name] = log.stat().st_size
        way, at = draw.choice((die_at, fail_from)), draw.randint(1, operations[name])
        story = f"{way.__name__} {at} of {operations[name]}"
        ended = _cut_off(plan, cut, partial(way, at))
        # At some operations a full disk costs a picture, not the run.
        faults = faults_of(ended, story, (-signal.SIGKILL,) if way is die_at else (0, 1, 3))
        faults += faults_of(plan.finish(cut), f"resumed to its end after {story}", (0, 3))
        differing = differences(whole, cut)
        if differing and not faults:
            faults.append(Fault("difference", "\n".join([plan.start, story, *differing])))
        yield faults
        shutil.rmtree(cut)


def _cut_off(plan: Plan, folder: Path, listen: Callable[[Path], None]) -> Ended:
    def prepare() -> None:
        if plan.prepare is not None:
            plan.prepare()
        listen(folder / "runs")

    return plan.go_on(folder, prepare=prepare).wait()
