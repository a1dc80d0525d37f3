"""Processes of a run that work for the trainer: their beginning, their end and their messages."""

import contextlib
import pickle
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlsuite.faults import raised_by_us
from rlsuite.tracking.output import tolerate_closed_output
from rlsuite.training.signals import end_with_parent, ignore_stops

_SECONDS_TO_END = 5.0  # time for a process to end before it is killed


def begin(is_told_to_stop: Callable[[], bool] | None = None) -> None:
    """Make this process one of a run: it leaves signals to the trainer, ends with it, and has one thread."""
    tolerate_closed_output()
    ignore_stops(instead=is_told_to_stop)
    end_with_parent()
    torch.set_num_threads(1)


def end(connections: Sequence[Connection], processes: Sequence[BaseProcess]) -> None:
    """Tell processes to end (they get None); those that are busy and do not come to an end soon are killed."""
    for connection in connections:
        with contextlib.suppress(OSError):  # its process has ended already
            connection.send(None)
            connection.close()
    give_up_at = time.monotonic() + _SECONDS_TO_END
    for process in processes:
        process.join(max(give_up_at - time.monotonic(), 0.0))
        process.kill()


def how_ended(process: BaseProcess) -> str:
    """The end that a process which is gone came to, for people."""
    process.join(1.0)
    code = process.exitcode
    return f"killed by signal {-code}" if code is not None and code < 0 else f"it ended with exit status {code}"


def sendable(error: Exception) -> Exception:
    """The error with its trace as a note; where it does not survive being sent, one that says the same.

    So it is with a ``ValueError`` that is no message for people: raised again, it would look like one of ours.
    """
    trace = "".join(traceback.format_tb(error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
        is_whole = not isinstance(error, ValueError) or raised_by_us(error.__traceback__)
    except Exception:
        is_whole = False
    if not is_whole:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error


def arrays(state: Any) -> Any:
    """Tensors as arrays: sending a tensor would move the sender's own into shared memory."""
    if isinstance(state, dict):
        return {name: arrays(entry) for name, entry in state.items()}
    return state.detach().cpu().numpy() if isinstance(state, Tensor) else state


def tensors(state: Any) -> Any:
    """The opposite of ``arrays``."""
    if isinstance(state, dict):
        return {name: tensors(entry) for name, entry in state.items()}
    if isinstance(state, list):
        return [tensors(entry) for entry in state]
    return torch.from_numpy(state) if isinstance(state, np.ndarray) else state
