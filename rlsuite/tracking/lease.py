"""The lease of a session on the folder of its run: whoever takes it last may write there, on whatever machine.

A lock serves one machine, and a host that cannot be reached holds it for as long as it lives. A lease needs a shared
folder only. Each session writes a higher number into it and looks at it before every append and every rename; one that
finds another's there has been superseded, and writes nothing more.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = ".lease"
_held: dict[Path, str] = {}  # folder -> what this process has written


class SupersededError(Exception):
    """Another session has taken over the folder of this one's run."""


@contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Hold the lease on a folder while entered, or until another session takes it."""
    folder = folder.resolve()
    # The number is for people; two sessions that take the same one at once are told apart by the rest.
    mine = f"{_number(_read(folder)) + 1} {socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}\n"
    fresh = folder / f"{_NAME}.{mine.split()[-1]}"
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(mine)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _NAME)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    before = _held.get(folder)
    _held[folder] = mine
    try:
        yield
    finally:
        if before is None:
            del _held[folder]
        else:
            _held[folder] = before


def require_lease(path: Path) -> None:
    """Look, before something is written at ``path``, whether this process still holds the lease on a folder above it.

    Processes that hold none, such as a command that evaluates a run, may write.

    Raises:
        SupersededError: another session has taken it.
    """
    if (held := _of(path)) is None:
        return
    folder, mine = held
    if (now := _read(folder)) != mine:
        host, process = (now.split() + ["?", "?", "?"])[1:3]
        raise SupersededError(
            f"another session goes on with {folder} (process {process} of {host}): this one writes nothing more"
        )


def partial(path: Path) -> Path:
    """The name of an unfinished file beside ``path`` that no other session uses."""
    held = _of(path)
    number = "" if held is None else f".{_number(held[1])}"
    return path.with_name(f"{path.name}{number}.partial")


def _of(path: Path) -> tuple[Path, str] | None:
    path = path.resolve() if _held else path
    return next(((folder, mine) for folder, mine in _held.items() if path.is_relative_to(folder)), None)


def _read(folder: Path) -> str:
    try:
        return (folder / _NAME).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _number(text: str) -> int:
    first = (text.split() or ["0"])[0]
    return int(first) if first.isdecimal() else 0
