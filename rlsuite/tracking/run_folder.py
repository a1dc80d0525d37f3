"""The folder of a run: created atomically, and locked by the one process that trains in it.

Agents, supervised experiments and economies all use it: ``create`` makes the folder with its
``config.json``, ``read`` opens one, ``locked`` keeps a second process out while a session trains.
"""

import hashlib
import itertools
import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from rlsuite.tracking.lease import lease, require_lease

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger("rlsuite")

Kind = Literal["agent", "experiment", "economy"]

# What the document of a run of each kind names, what people call it, and the command that goes on with it.
_KINDS: dict[Kind, tuple[str, str, str]] = {
    "agent": ("agent", "an agent", "rlsuite train --resume"),
    "experiment": ("experiment", "a supervised experiment", "rlsuite supervised --resume"),
    "economy": ("model", "an economy", "rlsuite equilibrium --resume"),
}

CONFIG = "config.json"
_LOCK = ".lock"
_current: Path | None = None


def current() -> Path | None:
    """The folder that this process worked on last: where a report of a fault belongs."""
    return _current


def _work_on(folder: Path) -> Path:
    global _current
    _current = folder
    return folder


def require_free(runs: Path, name: str | None) -> None:
    """Say early that a name is taken; ``create`` looks again.

    Raises:
        ValueError: there is something in that folder, or it cannot be one.
    """
    if name is None:
        return
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"--name {name} leads out of the folder of runs; --runs chooses another folder")
    folder = runs / name
    if (folder / CONFIG).exists():
        raise ValueError(f"{folder} already holds a run: choose another --name, or go on with --resume {folder}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and is not empty: choose another --name")


def create(runs: Path, name: str | None, default_name: str, document: Mapping[str, Any]) -> Path:
    """Make ``runs/name`` with ``document`` as its ``config.json``, in one move; returns the folder.

    Args:
        name: what people call the run; ``None`` takes ``default_name`` and the time, with a number where that is taken.

    Raises:
        ValueError: the name is taken.
        OSError: the folder cannot be written.
    """
    require_free(runs, name)
    chosen = name or f"{default_name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = runs / chosen
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a dead process with the same id
    unfinished.mkdir()
    try:
        write(unfinished, document)
        for number in itertools.count(1):
            place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            try:
                # Fails if the folder exists and is not empty, also if another process made it meanwhile.
                unfinished.rename(place)
                return _work_on(place)
            except OSError:
                if not place.exists():
                    raise
                require_free(runs, name)  # says why; a default name counts on
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    raise AssertionError("unreachable: the count has no end")


def write(folder: Path, document: Mapping[str, Any], name: str = CONFIG) -> None:
    """Replace ``config.json``, or another document, atomically, after the new text is on disk."""
    require_lease(folder)
    fresh = folder / (name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    require_lease(folder)
    fresh.replace(folder / name)


def digest(options: Any) -> str:
    """A short text that tells the options of one ``config.json`` from any others."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def read_document(folder: Path, what: str, name: str = CONFIG) -> dict[str, Any]:
    """The object in the ``config.json`` of a folder, or in another document that ``write`` wrote.

    Args:
        what: what the folder should be, for people.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = folder / name
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder} is not a {what}: it has no {name}") from None
    except (ValueError, RecursionError) as error:  # of JSON or UTF-8
        raise ValueError(f"{path} is damaged or of another version: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is damaged or of another version: it holds no object")
    return document


def read(folder: Path, kind: Kind | None = None) -> dict[str, Any]:
    """The document in the ``config.json`` of a run, of the given kind only.

    Raises:
        ValueError: the folder is missing, holds no run or one of another kind, or its file is damaged.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    document = read_document(folder, "run")
    found = _kind_of(document)
    if kind is not None and found is not None and found != kind:
        (_, called, resume), (_, wanted, _) = _KINDS[found], _KINDS[kind]
        raise ValueError(
            f"{folder} is the run of {called}, not of {wanted}: go on with it by {resume} {shlex.quote(str(folder))}"
        )
    _work_on(folder)
    return document


def _kind_of(document: Mapping[str, Any]) -> Kind | None:
    """The kind of a run, by what its document names; None where it is damaged."""
    return next((kind for kind, (name, _, _) in _KINDS.items() if name in document), None)


@contextmanager
def locked(folder: Path, take_over: bool = False) -> Iterator[None]:
    """Keep other processes from training in ``folder`` while entered; the system lets go of it when this one dies.

    Args:
        take_over: go on although another process trains there, which then writes nothing more: it cannot be reached.

    Raises:
        ValueError: another process trains there.
    """
    with (folder / _LOCK).open("a+") as file:
        if not _try_lock(file) and not take_over:
            file.seek(0)
            holder = file.read(20).strip()
            who = f" (process {holder})" if holder.isdigit() else ""
            raise ValueError(f"another process trains in {folder}{who}: wait for it to end, or stop it")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        with lease(folder):
            yield


def _try_lock(file: IO[str]) -> bool:
    """Lock a file for as long as it is open in this process; not in its children, who may outlive it."""
    try:
        if sys.platform == "win32":
            file.seek(1_000)  # beyond what others read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        log.warning(f"this file system cannot lock ({error}): see to it that no second process trains here")
    return True
