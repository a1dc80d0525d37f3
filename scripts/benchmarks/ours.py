"""Trainings of rlsuite past their warm-up, to be timed in turn with a peer."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agents.options import RunConfig
from agents.runs.building import build_workers
from agents.runs.run import create
from rlsuite.training.trainer import Workers
from rlsuite.training.worker import Unit

_FOREVER = 1 << 60  # env steps or updates


@contextmanager
def learning_workers(agent: str, config: RunConfig, updates: int) -> Iterator[Workers]:
    """The workers of a run, in a folder of its own that goes with it, once it has made ``updates``: all is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        workers = build_workers(create(agent, dataclasses.replace(config, runs=folder, wandb="disabled")))
        try:
            while workers.updates < updates:
                workers.advance(updates, "updates")
            yield workers
        finally:
            workers.close()


def training_speed(workers: Workers, seeds: int, unit: Unit, seconds: float = 3.0) -> Callable[[], float]:
    """Env steps or updates a second of all seeds, over ``seconds`` of training."""

    def measure() -> float:
        before, started = workers.progress(unit), time.perf_counter()
        while time.perf_counter() < started + seconds:
            workers.advance(_FOREVER, unit)
        return seeds * (workers.progress(unit) - before) / (time.perf_counter() - started)

    return measure
