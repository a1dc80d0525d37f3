"""Environments in one process each, which ignore the signals sent to a run and end with the run."""

import atexit
import contextlib
import os
import queue
import signal
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import _async_worker

from envs.info import EnvironmentFailure
from rlsuite.training.signals import ignore_stops

_CLOSING_SECONDS = 20.0  # that environments have to finish a step and close; then their processes are killed
_EXIT_SECONDS = 5.0  # until a process that has hung up is known to be dead

_open: "weakref.WeakSet[ProcessVectorEnv]" = weakref.WeakSet()


class ProcessVectorEnv(AsyncVectorEnv):
    """Gymnasium's ``AsyncVectorEnv``, for runs that get signals and for environments that break down.

    Signals to stop, which terminals and schedulers send to the whole process group, are left to this process: it saves
    the run and closes. Once it is gone, the others end without a word. ``close`` ends them in any case, also
    while a step is under way.

    Raises:
        EnvironmentFailure: from any call, where an environment could not be made, or its process failed or died.
    """

    def __init__(
        self, env_fns: Sequence[Callable[[], gymnasium.Env[Any, Any]]], *, autoreset_mode: AutoresetMode
    ) -> None:
        self._owner = os.getpid()
        self.parent_pipes, self.processes = [], []
        _open.add(self)
        try:
            super().__init__(env_fns, worker=_serve, autoreset_mode=autoreset_mode)  # type: ignore[arg-type]
        except BaseException:
            self.close()
            raise

    def _check_spaces(self) -> None:
        # The first that the processes are asked.
        pipes = zip(self.parent_pipes, self.processes, strict=True)
        self.parent_pipes = [_Line(index, *each) for index, each in enumerate(pipes)]  # type: ignore[misc]
        super()._check_spaces()

    def _raise_if_errors(self, successes: Iterable[bool]) -> None:
        successes = list(successes)
        if all(successes):
            return
        try:
            index, kind, message, _ = self.error_queue.get(timeout=_EXIT_SECONDS)
        except queue.Empty:  # the error itself could not be sent
            raise EnvironmentFailure(successes.index(False), "its process failed and cannot say why") from None
        name = kind if isinstance(kind, str) else kind.__name__
        raise EnvironmentFailure(index, " ".join(f"{name}: {message}".split()))

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """End the processes: as they like within ``timeout`` seconds (20 unless given), then by force."""
        if os.getpid() != self._owner:  # a copy in a process that was forked off
            return
        for pipe in self.parent_pipes:
            with contextlib.suppress(OSError, EnvironmentFailure):  # its process is dead
                pipe.send(("close", None))
            pipe.close()  # a process about to answer gets an error
        end = time.monotonic() + (0.0 if terminate else _CLOSING_SECONDS if timeout is None else timeout)
        for process in self.processes:
            process.join(max(end - time.monotonic(), 0.0))
            if process.is_alive():
                process.kill()
                process.join()


class _Line:
    """The connection to one process; says which it was, and how it ended, where it is lost."""

    def __init__(self, index: int, connection: Connection, process: BaseProcess) -> None:
        self._index, self._connection, self._process = index, connection, process

    def send(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._loss() from error

    def recv(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._loss() from error

    def close(self) -> None:
        self._connection.close()

    def _loss(self) -> EnvironmentFailure:
        self._process.join(_EXIT_SECONDS)
        status = self._process.exitcode
        if status is not None and status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            return EnvironmentFailure(
                self._index, f"its process {how}" + ", for lack of memory perhaps" * (status == -9)
            )
        return EnvironmentFailure(self._index, f"its process ended (exit status {status})")


def _serve(
    index: int,
    env_fn: Callable[[], gymnasium.Env[Any, Any]],
    pipe: Connection,
    parent_pipe: Connection,
    shared_memory: Any,
    error_queue: Any,
    autoreset_mode: AutoresetMode,
    semaphore: Any,
) -> None:
    """The life of one process: Gymnasium's, but for signals, failures to begin, and an end without a word."""
    ignore_stops()
    parent_pipe.close()
    try:
        try:
            env = env_fn()
        except (Exception, SystemExit) as error:
            pipe.recv()
            error_queue.put((index, type(error).__name__, str(error), ""))
            pipe.send((None, False))
            return
        _async_worker(index, lambda: env, pipe, parent_pipe, shared_memory, error_queue, autoreset_mode, semaphore)
    except (EOFError, OSError):  # the run has ended
        error_queue.cancel_join_thread()


@atexit.register
def _close_all() -> None:
    """Close what is still open, before ``multiprocessing`` waits for processes that do not listen to its SIGTERM."""
    for vector_env in list(_open):
        vector_env.close(terminate=True)
