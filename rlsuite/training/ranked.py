"""The workers of all ranks as one: rank 0 has the ``Trainer``, and the others do what its worker does."""

import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from rlsuite import ranks
from rlsuite.tracking import run_folder
from rlsuite.training.signals import ignore_stops
from rlsuite.training.trainer import Workers
from rlsuite.training.worker import Measured, TrainingError, Unit, Worker

_STRETCH_SECONDS = 0.25  # of training between two commands


class Ranked:
    """The worker of rank 0, which leads those of the other ranks: they take as many env steps and updates.

    Its parameters become those of all ranks. Numbers are those of rank 0, and a checkpoint holds the sources of all.
    """

    def __init__(self, worker: Worker[Any]) -> None:
        self.worker = worker
        self._stretch = 1  # env steps or updates until the next command
        worker.learner.load_state_dict(ranks.from_first(worker.learner.state_dict()))

    @property
    def env_steps(self) -> int:
        return self.worker.env_steps

    @property
    def updates(self) -> int:
        return self.worker.updates

    def progress(self, unit: Unit) -> int:
        return self.worker.progress(unit)

    def advance(self, goal: int, unit: Unit = "env_steps") -> None:
        """Train all ranks towards a goal. How far is said in counts, since their clocks differ."""
        started = time.monotonic()
        until = min(goal, self.progress(unit) + self._stretch)
        ranks.from_first(("advance", until, unit))
        _advance(self.worker, until, unit)
        is_quick = time.monotonic() - started < _STRETCH_SECONDS
        self._stretch = 2 * self._stretch if is_quick else max(1, self._stretch // 2)

    def measurements(self) -> Measured:
        return self.worker.measurements()

    def evaluate(self) -> dict[str, np.ndarray]:
        values = self.worker.evaluate()
        ranks.from_first(("heed", values))
        return values

    def confirm(self) -> dict[str, np.ndarray]:
        return self.worker.confirm()

    def learner_state(self) -> dict[str, Any]:
        return self.worker.learner_state()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, of all ranks.

        Raises:
            TrainingError: the learners of the ranks differ, or a number is not finite.
        """
        ranks.from_first(("state_dict",))
        own = self.worker.state_dict()
        states = ranks.to_first(_of_rank(own))
        for number, state in enumerate(states):
            if state["checksum"] != states[0]["checksum"]:
                raise TrainingError(f"the learner of rank {number} has become another than that of rank 0")
        return own | {"ranks": {f"rank_{number}": state for number, state in enumerate(states) if number}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by another number of ranks.
        """
        others = [state["ranks"][f"rank_{number}"] for number in range(1, len(state.get("ranks", {})) + 1)]
        if len(others) + 1 != ranks.size():
            raise ValueError(f"the checkpoint is one of {len(others) + 1} ranks, there are {ranks.size()} now")
        ranks.from_first(("load_state_dict",))
        ranks.to_each([None, *(other | {"learner": state["learner"]} for other in others)])
        self.worker.load_state_dict({name: entry for name, entry in state.items() if name != "ranks"})

    def close(self) -> None:
        with suppress(ConnectionError):
            ranks.from_first(("close",))
        ranks.leave()
        self.worker.close()


@contextmanager
def leading(worker: Worker[Any]) -> Iterator[Workers]:
    """The worker of rank 0, with those of other ranks if there are any; closed in the end."""
    workers: Workers = Ranked(worker) if ranks.size() > 1 else worker
    with closing(workers):
        yield workers


def has_begun(runs: Path, name: str | None) -> bool:
    """Whether ranks were started again after they had made the folder of their run."""
    if ranks.restarts() and name is None:
        raise ValueError("ranks that are started again need a --name, by which their run goes on")
    return bool(ranks.from_first(ranks.restarts() > 0 and (runs / str(name) / run_folder.CONFIG).exists()))


def follow(worker: Worker[Any]) -> None:
    """Do as rank 0 says until it closes its worker."""
    ignore_stops()  # rank 0 decides
    worker.learner.load_state_dict(ranks.from_first())
    while True:
        match ranks.from_first():
            case ("advance", int(until), unit):
                _advance(worker, until, unit)
            case ("heed", values):
                worker.heed(values)
            case ("state_dict",):
                ranks.to_first(_of_rank(worker.state_dict()))
            case ("load_state_dict",):
                worker.load_state_dict(ranks.to_each())
            case _:
                worker.close()
                return


def _advance(worker: Worker[Any], until: int, unit: Unit) -> None:
    while worker.progress(unit) < until:
        worker.advance(until, unit)


def _of_rank(state: dict[str, Any]) -> dict[str, Any]:
    """The part of a worker's state that is a rank's own, and a checksum of what must be the same on all."""
    checksum = 0
    for tensor in _tensors(state["learner"]):
        checksum = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), checksum)
    return {name: entry for name, entry in state.items() if name != "learner"} | {"checksum": checksum}


def _tensors(state: dict[str, Any]) -> Iterator[Tensor]:
    for _, entry in sorted(state.items()):
        if isinstance(entry, dict):
            yield from _tensors(entry)
        elif isinstance(entry, Tensor):
            yield entry
