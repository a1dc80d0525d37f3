"""Several processes at one run: two that train it, and readers beside the one that does."""

import itertools
import random
import shutil
import signal
import time
from pathlib import Path

from forks import Ended, run
from plans import NAME, PLANS, Plan, differences
from trials import Fault, Trials, faults_of

PROMISE = "Two processes never train one run, and who reads a run while it is saved reads one whole checkpoint."
HOW = (
    "a run is resumed twice at once: one process must go on and the other one say why it cannot; evaluate.py, "
    "compare.py and watch.py read runs that save ten times a second. The run is compared with one left alone."
)
_NAMES = ("dqn", "reinforce on tensors", "ddpg on tensors", "supervised")
_READERS = (
    "evaluate runs/run --episodes 1 --checkpoint last",
    "evaluate runs/run --episodes 1 --checkpoint best",
    "compare runs/run",
    "watch runs/run --record out.gif --max-seconds 0.1",
)


def trials(draw: random.Random, folder: Path) -> Trials:
    known: set[str] = set()
    for number in itertools.count():
        name = _NAMES[number % len(_NAMES)]
        plan, whole, shared = PLANS[name], folder / f"whole {name}", folder / f"shared {number}"
        if name not in known:
            known.add(name)
            yield faults_of(plan.finish(whole), "alone", (0,))
        faults = together(draw, plan, shared) if number % 2 else read(draw, plan, shared)
        faults += faults_of(plan.finish(shared), "then alone", (0,))
        differing = differences(whole, shared)
        if differing and not faults:
            faults.append(Fault("difference", "\n".join([plan.start, *differing])))
        yield faults
        shutil.rmtree(shared)


def together(draw: random.Random, plan: Plan, folder: Path) -> list[Fault]:
    first = plan.go_on(folder)
    _wait_for(folder / "runs" / NAME / "config.json")
    time.sleep(draw.uniform(0.0, 1.0))
    second = plan.go_on(folder)
    ended = [running.wait() for running in (first, second)]
    faults = [fault for one in ended for fault in faults_of(one, "two at once", (0, 1))]
    if all(one.status for one in ended):
        faults.append(Fault("other", f"{plan.resume}: neither of two processes went on\n{ended}"))
    return faults


def read(draw: random.Random, plan: Plan, folder: Path) -> list[Fault]:
    training = plan.go_on(folder)
    faults: list[Fault] = []
    ended: Ended | None = None
    while ended is None:
        reader = draw.choice(_READERS if plan.start.startswith("train") else _READERS[2:3])
        if (folder / "runs" / NAME / "checkpoint" / "last").exists():
            # 1: there may be no metrics to compare yet
            faults += faults_of(run(reader.split(), folder), "while the run is saved", (0, 1))
        ended = training.ended_within(draw.uniform(0.0, 0.2))
        if training.seconds > 120:
            training.signal(signal.SIGKILL)
    return faults + faults_of(ended, "while others read", (0,))


def _wait_for(path: Path, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
