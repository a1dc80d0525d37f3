"""The file operations of Python code, as its audit hooks announce them: to count them, and to be cut off at one."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OPERATIONS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"}


def die_at(number: int, folder: Path) -> None:
    """This process is killed at its operation of that number below ``folder``, before it is done."""

    def reached(count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    _listen(reached, folder)


def fail_from(number: int, folder: Path) -> None:
    """From the operation of that number on, all that need room on the disk find it full."""

    def reached(count: int) -> None:
        if count >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _listen(reached, folder, needs_room=True)


def count_into(log: Path, folder: Path) -> None:
    """Add a byte to ``log`` for each operation of this process below ``folder``."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def reached(count: int) -> None:
        os.write(descriptor, b".")

    _listen(reached, folder)


def _listen(reached: Callable[[int], None], folder: Path, needs_room: bool = False) -> None:
    """Call with the count of operations so far at each one; hooks stay for the life of the process."""
    below = os.path.realpath(folder)
    count = 0
    busy = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, busy
        if busy or not (_writes(arguments) if event == "open" else event in _OPERATIONS):
            return
        if needs_room and event in ("os.remove", "os.rmdir", "os.truncate"):
            return
        busy = True
        try:
            path = _path(event, arguments)
            if path == below or path.startswith(below + os.sep):
                count += 1
                reached(count)
        finally:
            busy = False

    sys.addaudithook(hook)


def _path(event: str, arguments: tuple[Any, ...]) -> str:
    """What an operation is on; names may be relative to an open folder."""
    path = arguments[0]
    if isinstance(path, int):
        return os.path.realpath(f"/proc/self/fd/{path}")
    folders = [entry for entry in arguments[1:] if isinstance(entry, int) and entry >= 0]
    if event in ("os.remove", "os.rmdir", "os.rename") and folders:
        return os.path.join(os.path.realpath(f"/proc/self/fd/{folders[0]}"), os.fsdecode(path))
    return os.path.realpath(os.fsdecode(path))


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
