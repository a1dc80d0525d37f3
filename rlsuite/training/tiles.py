"""Seeds in tiles: several workers, each with some of the seeds, in processes of one thread, as one.

On a CPU, threads inside one operation lose to one thread for each tile: a tile keeps its parameters, optimiser and
batch in its core's cache and waits for nobody. So that it finds room there, a process may take several small tiles in
turn instead of a large one.
"""

import contextlib
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlsuite.tracking.output import tolerate_closed_output
from rlsuite.training.rows import equal_shares, join_rows, split_rows
from rlsuite.training.worker import Measured, TrainingError, Unit, Worker

T = TypeVar("T")
_UNITS: tuple[Unit, Unit] = ("env_steps", "updates")


class Tiles:
    """What a ``Worker`` is, for all seeds together. Checkpoints hold the learners of all tiles as one population.

    Args:
        builders: make the worker of each tile; called in its process, so they must be picklable.
        sizes: seeds of each tile.
        processes: how many share the tiles.

    Raises:
        Exception: whatever a builder raises.
    """

    def __init__(
        self, builders: Sequence[Callable[[], Worker[Any]]], sizes: Sequence[int], processes: int | None = None
    ) -> None:
        self.sizes = list(sizes)
        self._processes = processes or len(builders)
        self._reached: list[dict[Unit, int]] = [{"env_steps": 0, "updates": 0} for _ in builders]
        self._connections: list[Connection] = []
        context = get_context("spawn")
        for own in self._shares(builders):
            here, there = context.Pipe()
            context.Process(target=_serve, args=(there, own), daemon=True).start()
            there.close()
            self._connections.append(here)
        self._answers()

    def _shares(self, of_tiles: Sequence[T]) -> list[Sequence[T]]:
        """What belongs to the tiles of each process."""
        return [of_tiles[share.start : share.stop] for share in equal_shares(len(of_tiles), self._processes)]

    @property
    def env_steps(self) -> int:
        return self.progress("env_steps")

    @property
    def updates(self) -> int:
        return self.progress("updates")

    def progress(self, unit: Unit) -> int:
        """How far the hindmost tile has come."""
        return min(position[unit] for position in self._reached)

    def advance(self, goal: int, unit: Unit = "env_steps") -> None:
        """As a worker does. On the way tiles go as quickly as each can; at the goal they have come equally far."""
        self._reached = self._all("_advance", goal, unit)

    def _draw_level(self) -> None:
        """Let all tiles come as far as the foremost, so that what they say is said of one moment."""
        for unit in _UNITS:
            foremost = max(position[unit] for position in self._reached)
            while self.progress(unit) < foremost:
                self.advance(foremost, unit)

    def measurements(self) -> Measured:
        self._draw_level()
        found = self._all("measurements")
        joined: Measured = {}
        for name in found[0]:
            values = [measured[name] for measured in found]
            # Shares of time are numbers of a worker, not of a seed; those of one process add up.
            per_seed = isinstance(values[0], np.ndarray)
            joined[name] = np.concatenate(values) if per_seed else float(np.sum(values)) / self._processes
        return joined

    def evaluate(self) -> dict[str, np.ndarray]:
        self._draw_level()
        found = self._all("evaluate")
        return {name: np.concatenate([values[name] for values in found]) for name in found[0]}

    def learner_state(self) -> dict[str, Any]:
        self._draw_level()
        return join_rows(_tensors(self._all("learner_state")))

    def state_dict(self) -> dict[str, Any]:
        self._draw_level()
        states = _tensors(self._all("state_dict"))
        learner = join_rows([state.pop("learner") for state in states])
        return {"learner": learner, "tiles": {f"tile_{k}": state for k, state in enumerate(states)}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by another number of tiles.
        """
        tiles = list(state.get("tiles", {}).values())
        if len(tiles) != len(self.sizes):
            raise ValueError(f"the checkpoint is one of {len(tiles) or 1} tiles, this run has {len(self.sizes)}")
        learners = split_rows(state["learner"], self.sizes)
        states = [(_arrays({"learner": learner, **tile}),) for learner, tile in zip(learners, tiles, strict=True)]
        self._ask("load_state_dict", states)
        self.advance(0)

    def close(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):  # its process is gone already
                connection.send(None)
                connection.close()

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        return self._ask(method, [arguments] * len(self.sizes))

    def _ask(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each tile's worker, with arguments of its own."""
        for connection, own in zip(self._connections, self._shares(arguments), strict=True):
            with contextlib.suppress(OSError):  # a process that is gone shows in its answer
                connection.send((method, own))
        return self._answers()

    def _answers(self) -> list[Any]:
        """One answer of each tile; all are received before a failure is raised, so that the others can go on."""
        answers = [answer for connection in self._connections for answer in self._received_from(connection)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _received_from(self, connection: Connection) -> list[Any]:
        try:
            return connection.recv()
        except (EOFError, OSError):
            gone = "a worker process is gone, killed for lack of memory perhaps (--workers 1 needs less)"
            return [TrainingError(gone)]


def _serve(connection: Connection, builders: Sequence[Callable[[], Worker[Any]]]) -> None:
    tolerate_closed_output()
    # Ctrl-C reaches all processes of a terminal; the trainer alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        workers = [build() for build in builders]
    except Exception as error:
        connection.send([error])
        return
    connection.send([None] * len(workers))
    while (request := _received(connection)) is not None:
        method, arguments = request
        connection.send([_answer(method, worker, own) for worker, own in zip(workers, arguments, strict=True)])
    for worker in workers:
        worker.close()


def _answer(method: str, worker: Worker[Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return _CALLS[method](worker, *arguments)
    except Exception as error:
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        return error


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:  # the trainer is gone
        return None


def _advance(worker: Worker[Any], goal: int, unit: Unit) -> dict[Unit, int]:
    worker.advance(goal, unit)
    return {"env_steps": worker.env_steps, "updates": worker.updates}


_CALLS: dict[str, Callable[..., Any]] = {
    "_advance": _advance,
    "measurements": Worker.measurements,
    "evaluate": Worker.evaluate,
    "learner_state": lambda worker: _arrays(worker.learner_state()),
    "state_dict": lambda worker: _arrays(worker.state_dict()),
    "load_state_dict": lambda worker, state: worker.load_state_dict(_tensors(state)),
}


def _arrays(state: Any) -> Any:
    """Tensors as arrays: sending a tensor would move the sender's own into shared memory."""
    if isinstance(state, dict):
        return {name: _arrays(entry) for name, entry in state.items()}
    return state.detach().cpu().numpy() if isinstance(state, Tensor) else state


def _tensors(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _tensors(entry) for name, entry in state.items()}
    if isinstance(state, list):
        return [_tensors(entry) for entry in state]
    return torch.from_numpy(state) if isinstance(state, np.ndarray) else state
