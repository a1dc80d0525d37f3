"""Commands whose output nobody takes any more."""

import itertools
import os
import random
import shutil
import time
from pathlib import Path

from plans import PLANS, differences
from trials import Fault, Trials, faults_of

PROMISE = "A reader that closes the pipe, as `head -1` does, costs a run nothing."
HOW = "standard output is a pipe, closed at once, after a byte or at a random frame; the run is compared with another."
_NAMES = ("dqn", "reinforce on tensors", "supervised", "ddpg on tensors", "economy", "dqn in shards")


def trials(draw: random.Random, folder: Path) -> Trials:
    known: set[str] = set()
    for number in itertools.count():
        name = _NAMES[number % len(_NAMES)]
        plan, whole, piped = PLANS[name], folder / f"whole {name}", folder / f"piped {number}"
        if name not in known:
            known.add(name)
            yield faults_of(plan.finish(whole), "uninterrupted", (0, 3))
        reading, writing = os.pipe()
        running = plan.go_on(piped, stdout=writing)
        os.close(writing)
        how = draw.choice(("at once", "after a byte", "at a random frame"))
        if how == "after a byte":
            os.read(reading, 1)
        elif how == "at a random frame":
            time.sleep(draw.uniform(0.0, 3.0))
        os.close(reading)
        ended = running.wait()
        faults = faults_of(ended, f"output closed {how}", (0, 3))
        differing = differences(whole, piped)
        if differing and not faults:
            faults.append(Fault("difference", "\n".join([plan.start, f"output closed {how}", *differing])))
        yield faults
        shutil.rmtree(piped)
