"""rlsuite in the midst of learning, to be timed in turn with a peer."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agents.configs import RunConfig
from agents.crews import build_crew
from agents.runs import create
from rlsuite.training.trainer import Crew
from rlsuite.training.worker import Unit

_FOREVER = 1 << 60  # env steps or updates


@contextmanager
def learning_crew(agent: str, config: RunConfig, updates: int) -> Iterator[Crew]:
    """The crew of a run, in a folder of its own that goes with it, once it has made ``updates``: all is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        crew = build_crew(create(agent, dataclasses.replace(config, runs=folder, wandb="disabled")))
        try:
            while crew.updates < updates:
                crew.advance(updates, "updates")
            yield crew
        finally:
            crew.close()


def training_speed(crew: Crew, seeds: int, unit: Unit, seconds: float = 3.0) -> Callable[[], float]:
    """Env steps or updates a second of all seeds, over ``seconds`` of training."""

    def measure() -> float:
        before, started = crew.progress(unit), time.perf_counter()
        while time.perf_counter() < started + seconds:
            crew.advance(_FOREVER, unit)
        return seeds * (crew.progress(unit) - before) / (time.perf_counter() - started)

    return measure
