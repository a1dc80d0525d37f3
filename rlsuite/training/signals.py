"""Handle Ctrl-C, SIGTERM and a closing terminal as requests to stop, in a run and in the processes it starts."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType, TracebackType
from typing import Any

# A process that is started with this variable is asked to stop once its standard input is closed.
STOPS_WITH_STDIN = "RLSUITE_STOPS_WITH_STDIN"

_HANGUP = getattr(signal, "SIGHUP", None)  # the terminal is gone
_STOPS = (signal.SIGINT, signal.SIGTERM, *(() if _HANGUP is None else (_HANGUP,)))

_stop_sources: list[Callable[[], bool]] = []  # those that may ask this process to stop; the last one counts


class StopRequest:
    """While entered, the first SIGINT, SIGTERM or SIGHUP sets ``requested``; a second one interrupts at once.

    Not so a second SIGHUP: shells and the system each send one when a terminal is closed. Where it is ignored, as under
    nohup, it stays ignored. Outside the main thread, where Python delivers no signals, nothing is heard.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number != _HANGUP:
            raise KeyboardInterrupt
        if number == signal.SIGINT and os.isatty(2):
            os.write(2, b"\nstopping, and saving first; Ctrl-C again stops at once, and what is not saved is lost\n")
        self.requested = True

    def __enter__(self) -> "StopRequest":
        _stop_sources.append(lambda: self.requested)
        if threading.current_thread() is threading.main_thread():
            for number in _STOPS:
                if number != _HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop_sources.pop()
        for number, handler in self._before.items():
            signal.signal(number, handler)


def is_stop_requested() -> bool:
    """Whether somebody has asked this process to stop; whatever takes long looks here now and then."""
    return bool(_stop_sources) and _stop_sources[-1]()


@contextmanager
def deaf() -> Iterator[None]:
    """Make processes started in the context ignore SIGINT, SIGTERM and SIGHUP from their very start.

    These reach all processes of a terminal or a job at once; the process that started the others handles them. What
    arrives meanwhile is delivered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would unblock them while it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stops(instead: Callable[[], bool] | None = None) -> None:
    """Let SIGINT, SIGTERM and SIGHUP mean nothing to this process; ``instead`` says whether it is to stop."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    if instead is not None:
        _stop_sources.append(instead)


def end_with_parent() -> None:
    """Make this process end as soon as the process that started it has ended."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        assert parent is not None
        parent.join()
        os._exit(1)  # there is no parent to report to

    threading.Thread(target=wait, daemon=True).start()


def stop_with_stdin_if_told() -> None:
    """Stop this process, as SIGTERM does, once the one that started it closes its standard input or is gone."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    if os.environ.pop(STOPS_WITH_STDIN, None):
        threading.Thread(target=wait, daemon=True).start()
