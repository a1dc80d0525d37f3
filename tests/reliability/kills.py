"""Runs that are killed at random moments."""

import itertools
import random
import shutil
import signal
import time
from pathlib import Path

from forks import Ended, Running
from plans import PLANS, Plan, differences
from trials import Fault, Trials, faults_of

PROMISE = "A run that is killed and resumed ends with the same bits as one that never stopped."
HOW = (
    "SIGKILL, SIGTERM, SIGTERM to the process group, and SIGINT at random moments, one to three times a run; every "
    "agent and source, shards, supervised, an economy. Tensors, best, metrics and evaluation are compared."
)
_WAYS = {
    "SIGKILL": (signal.SIGKILL, False),
    "SIGTERM": (signal.SIGTERM, False),
    "SIGTERM to the group": (signal.SIGTERM, True),
    "SIGINT to the group": (signal.SIGINT, True),  # as Ctrl-C in a terminal
}
# 0: it had finished before; 130: it was asked to stop; -15: before it could listen.
_STATUSES = (0, 130, -signal.SIGTERM)


def trials(draw: random.Random, folder: Path) -> Trials:
    seconds: dict[str, float] = {}
    for number in itertools.count():
        name = list(PLANS)[number % len(PLANS)]
        whole = folder / f"whole {name}"
        if name not in seconds:
            started = time.monotonic()
            faults = faults_of(PLANS[name].finish(whole), "uninterrupted", statuses=(0, 3))
            seconds[name] = time.monotonic() - started
            if faults:
                yield faults
                continue
        yield killed(draw, PLANS[name], whole, folder / f"cut {number}", seconds[name])
        shutil.rmtree(folder / f"cut {number}")


def killed(draw: random.Random, plan: Plan, whole: Path, folder: Path, seconds: float) -> list[Fault]:
    faults = []
    story = []
    for _ in range(draw.randint(1, 3)):
        frame, way = draw.uniform(0.0, seconds), draw.choice(list(_WAYS))
        story.append(f"{way} after {frame:.2f} s")
        running = plan.go_on(folder)
        ended = kill(running, frame, way)
        faults += faults_of(ended, ", ".join(story), None if way == "SIGKILL" else (*_STATUSES, 3))
    faults += faults_of(plan.finish(folder), "resumed to its end after " + ", ".join(story), (0, 3))
    differing = differences(whole, folder)
    if differing and not faults:
        faults.append(Fault("difference", "\n".join([plan.start, ", ".join(story), *differing])))
    return faults


def kill(running: Running, frame: float, way: str) -> Ended:
    if (ended := running.ended_within(frame)) is not None:
        return ended
    running.signal(*_WAYS[way])
    return running.wait()
