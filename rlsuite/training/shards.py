"""Seeds in shards: several workers, each with some of the seeds, in processes of one thread, as one.

On a CPU, threads inside one operation lose to one thread for each shard: a shard keeps its parameters, optimiser and
batch in its core's cache and never waits. So that it fits there, a process may take several small shards in
turn instead of a large one.
"""

import atexit
import contextlib
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import numpy as np

from rlsuite.training.messages import arrays, begin, end, how_ended, sendable, tensors
from rlsuite.training.per_seed import even_split, join_seeds, split_seeds, with_rest, without_seeds
from rlsuite.training.signals import deaf, is_stop_requested
from rlsuite.training.worker import Measured, TrainingError, Unit, Worker

T = TypeVar("T")
_LOOK_UP_SECONDS = 0.1  # interval between two checks for a stop request while processes work
_STOP = "stop"  # asks processes to stop early; there is no reply


class Shards:
    """A worker for all seeds, made of one ``Worker`` for each shard of them.

    Each shard advances at its own speed. All have the same count when ``advance`` has reached its goal; then they are
    measured and evaluated. A state may be saved anywhere: it holds each shard where it stands, and the learners of all
    as one population, so that readers of a checkpoint need not know of shards.

    Args:
        builders: make the worker of each shard; called in its process, so they must be picklable.
        sizes: seeds of each shard.
        processes: how many share the shards.

    Raises:
        Exception: the exception of a builder.
    """

    def __init__(
        self, builders: Sequence[Callable[[], Worker[Any]]], sizes: Sequence[int], processes: int | None = None
    ) -> None:
        self.sizes = list(sizes)
        self._processes = processes or len(builders)
        self._reached: list[dict[Unit, int]] = [{"env_steps": 0, "updates": 0} for _ in builders]
        self._connections: list[Connection] = []
        self._workers: list[BaseProcess] = []
        # At the end of the program Python waits for its processes; left alone, they would wait for requests.
        atexit.register(self.close)
        try:
            with deaf():
                self._start(builders)
            self._answers()
        except BaseException:
            self.close()
            raise

    def _start(self, builders: Sequence[Callable[[], Worker[Any]]]) -> None:
        context = get_context("spawn")
        for own in self._shares(builders):
            here, there = context.Pipe()
            self._connections.append(here)
            worker = context.Process(target=_serve, args=(there, own), daemon=True)
            worker.start()
            self._workers.append(worker)
            there.close()

    def _shares(self, by_shard: Sequence[T]) -> list[Sequence[T]]:
        """Split values, one for each shard, by the processes that hold the shards."""
        return [by_shard[share.start : share.stop] for share in even_split(len(by_shard), self._processes)]

    @property
    def env_steps(self) -> int:
        return self.progress("env_steps")

    @property
    def updates(self) -> int:
        return self.progress("updates")

    def progress(self, unit: Unit) -> int:
        """Return the count of the slowest shard."""
        return min(position[unit] for position in self._reached)

    def advance(self, goal: int, unit: Unit = "env_steps") -> None:
        """Train all shards up to a goal; shards that have reached it wait for the others."""
        self._reached = self._all("_advance", goal, unit)

    def measurements(self) -> Measured:
        found = self._all("measurements")
        joined: Measured = {}
        for name in found[0]:
            values = [measured[name] for measured in found]
            # Time fractions belong to a worker, not to a seed; those of one process add up.
            per_seed = isinstance(values[0], np.ndarray)
            joined[name] = np.concatenate(values) if per_seed else float(np.sum(values)) / self._processes
        return joined

    def evaluate(self) -> dict[str, np.ndarray]:
        return _joined(self._all("evaluate"))

    def confirm(self) -> dict[str, np.ndarray]:
        return _joined(self._all("confirm"))

    def learner_state(self) -> dict[str, Any]:
        return join_seeds(tensors(self._all("learner_state")))

    def state_dict(self) -> dict[str, Any]:
        states = tensors(self._all("state_dict"))
        learner = join_seeds([state["learner"] for state in states])
        shards = {f"shard_{k}": state | {"learner": without_seeds(state["learner"])} for k, state in enumerate(states)}
        return {"learner": learner, "shards": shards}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by another number of shards.
        """
        shards = list(state.get("shards", {}).values())
        if len(shards) != len(self.sizes):
            raise ValueError(f"the checkpoint is one of {len(shards) or 1} shards, this run has {len(self.sizes)}")
        learners = split_seeds(state["learner"], self.sizes)
        states = [
            shard | {"learner": with_rest(learner, shard["learner"])}
            for learner, shard in zip(learners, shards, strict=True)
        ]
        self._ask("load_state_dict", [(arrays(own),) for own in states])
        self.advance(0)

    def close(self) -> None:
        """End the processes; those that are busy and do not come to an end soon are killed."""
        atexit.unregister(self.close)
        end(self._connections, self._workers)

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        return self._ask(method, [arguments] * len(self.sizes))

    def _ask(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each shard's worker, with arguments of its own."""
        for connection, own in zip(self._connections, self._shares(arguments), strict=True):
            with contextlib.suppress(OSError):  # a dead process shows when its reply is read
                connection.send((method, own))
        return self._answers()

    def _answers(self) -> list[Any]:
        """One answer of each shard; all are received before a failure is raised, so that the others can go on."""
        self._wait()
        received = [self._received_from(process) for process in range(len(self._connections))]
        answers = [answer for of_process in received for answer in of_process]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _wait(self) -> None:
        """Wait for the answers; hand on, once, that the run is asked to stop."""
        missing, is_told = [connection for connection in self._connections if not connection.closed], False
        while missing:
            if is_stop_requested() and not is_told:
                is_told = True
                for connection in missing:
                    with contextlib.suppress(OSError):
                        connection.send((_STOP, ()))
            ready = wait(missing, _LOOK_UP_SECONDS)
            missing = [connection for connection in missing if connection not in ready]

    def _received_from(self, process: int) -> list[Any]:
        try:
            return self._connections[process].recv()
        except (EOFError, OSError):
            how = how_ended(self._workers[process])
            reason = " (for lack of memory perhaps; --workers 1 needs less)" if how.endswith("signal 9") else ""
            return [TrainingError(f"a worker process is gone: {how}{reason}\nthe last checkpoint is whole")]


def _serve(connection: Connection, builders: Sequence[Callable[[], Worker[Any]]]) -> None:
    begin(connection.poll)  # a message that the trainer sends while this process works is a request to stop
    with contextlib.suppress(EOFError, OSError):  # the trainer has ended
        try:
            workers = [build() for build in builders]
        except Exception as error:
            connection.send([sendable(error)])
            return
        connection.send([None] * len(workers))
        while (request := connection.recv()) is not None:
            method, arguments = request
            if method == _STOP:  # the request that it was meant to stop is finished
                continue
            connection.send([_call(method, worker, own) for worker, own in zip(workers, arguments, strict=True)])
        for worker in workers:
            worker.close()


def _call(method: str, worker: Worker[Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return _CALLS[method](worker, *arguments)
    except Exception as error:
        return sendable(error)


def _advance(worker: Worker[Any], goal: int, unit: Unit) -> dict[Unit, int]:
    worker.advance(goal, unit)
    return {"env_steps": worker.env_steps, "updates": worker.updates}


_CALLS: dict[str, Callable[..., Any]] = {
    "_advance": _advance,
    "measurements": Worker.measurements,
    "evaluate": Worker.evaluate,
    "confirm": Worker.confirm,
    "learner_state": lambda worker: arrays(worker.learner_state()),
    "state_dict": lambda worker: arrays(worker.state_dict()),
    "load_state_dict": lambda worker, state: worker.load_state_dict(tensors(state)),
}


def _joined(by_shard: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([values[name] for values in by_shard]) for name in by_shard[0]}
