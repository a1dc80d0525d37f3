"""Time limits on calls of Weights & Biases, whose own process may hang or end at any time."""

import atexit
import gc
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
_LEAVE_SECONDS = 10.0


class Hangs(TimeoutError):
    """A call took longer than anybody would wait."""


def begin(call: Callable[[], T]) -> Future[T]:
    """Start a call in a daemon thread, which does not delay Python's exit."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="wandb", daemon=True).start()
    return answer


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call that is waited for so long and no longer; Ctrl-C ends the wait.

    Raises:
        Hangs: it took longer.
        BaseException: the exception of the call.
    """
    answer = begin(call)
    wait([answer], seconds)
    if not answer.done():
        raise Hangs(f"no answer for {seconds:.0f} s")
    return answer.result()


def guard_exit() -> None:
    """See to it that Python, when it exits, does not wait for W&B longer than it is worth.

    W&B waits for its process without a limit. Functions run in the reverse order of their registration: call this
    whenever W&B may have started its process, which is when it registers its own.
    """
    atexit.unregister(leave)
    atexit.register(leave)


def leave() -> None:
    """Let W&B's process finish its work within some seconds, or without delay where that is not to be had."""
    processes = _processes()
    try:
        within(_LEAVE_SECONDS, _teardown)
    except (Hangs, KeyboardInterrupt):
        kill(processes)


def kill(processes: Sequence["subprocess.Popen[bytes]"] | None = None) -> None:
    """End W&B's processes at once, stopped or not; calls that wait for them fail."""
    for process in processes or _processes():
        process.kill()
        process.wait()
    with suppress(Hangs):
        within(_LEAVE_SECONDS, _teardown)  # forgets it


def _processes() -> "list[subprocess.Popen[bytes]]":
    """W&B's processes that this one started, one that it still waits for to answer among them.

    W&B names its process to nobody until that has answered, which one that hangs never does. So they are looked for
    among all processes of ours.
    """
    own = [thing for thing in gc.get_objects() if issubclass(type(thing), subprocess.Popen)]
    return [process for process in own if "wandb-core" in str(process.args) and process.poll() is None]


def _teardown() -> None:
    with suppress(BaseException):  # it calls sys.exit with the status of its process
        import wandb

        wandb.teardown()
