"""Checkpoints whose writing is cut off: at every file operation, and at every length of a file."""

import contextlib
import functools
import random
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import torch
from file_operations import count_into, die_at, fail_from
from forks import in_fork
from trials import Fault, Trials

from rlsuite.training.checkpoint import CheckpointError, Checkpoints, Name

PROMISE = "A save that is cut off anywhere leaves the newest whole checkpoint to be found, and the next save works."
HOW = (
    "every file operation of a save, as Python's audit hooks count them, is once the last one before the process is "
    "killed and once the first to find the disk full; and every file is cut at some byte."
)
_BYTES = 96  # between two lengths at which files are cut


def state(number: int) -> dict[str, object]:
    """A state that knows its number in a tensor and in a plain value."""
    clock = {"env_steps": number, "updates": number, "wall_seconds": 0.0}
    return {"clock": clock, "learner": {"weight": torch.full((40,), float(number)), "updates": number}}


def trials(draw: random.Random, folder: Path) -> Trials:
    start = folder / "start"
    for number in (1, 2, 3):
        Checkpoints(start).save_last(state(number))
        Checkpoints(start).save_best(state(number))
    cuts: list[tuple[str, Callable[[int, Path], None], int]] = []
    for kind in ("last", "best"):
        log, counted = folder / f"operations of {kind}", _copy(start, folder / "counted")
        assert not interrupted(counted, kind, functools.partial(count_into, log, counted), "uninterrupted")
        operations = log.stat().st_size
        cuts += [(kind, way, at) for way in (die_at, fail_from) for at in range(1, operations + 1)]
    lengths = range(0, 1000, _BYTES)
    by_length = [(kind, way, n) for kind in ("last", "best") for way in (die_beyond, fail_beyond) for n in lengths]
    draw.shuffle(by_length)
    for kind, way, at in cuts + by_length:
        cut = _copy(start, folder / "cut")
        yield interrupted(cut, kind, functools.partial(way, at, cut), f"{way.__name__} {at}")


def interrupted(folder: Path, kind: str, interrupt: Callable[[], None], story: str) -> list[Fault]:
    """Save a fourth state and be interrupted; then the third or the fourth must be there, and a fifth can be saved."""

    def work() -> None:
        interrupt()
        with contextlib.suppress(OSError):  # what a full disk is answered with
            save(folder, kind, 4)

    in_fork(work)
    found = [_number(folder, kind)]
    save(folder, kind, 5)
    found.append(_number(folder, kind))
    if found[0] in (3, 4) and found[1] == 5:
        return []
    return [Fault("difference", f"{kind}, {story}: then state {found[0]} was found, after the next save {found[1]}")]


def save(folder: Path, kind: str, number: int) -> None:
    checkpoints = Checkpoints(folder)
    checkpoints.save_last(state(number)) if kind == "last" else checkpoints.save_best(state(number))


def _number(folder: Path, kind: Name) -> int | str:
    try:
        found = Checkpoints(folder).load(kind)
    except CheckpointError as error:
        return str(error)
    weight, number = found["learner"]["weight"], found["learner"]["updates"]
    return number if weight.tolist() == [number] * 40 and found["clock"]["updates"] == number else "a mixture"


def die_beyond(length: int, folder: Path) -> None:
    """The process is killed when it makes a file longer than this many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fail_beyond(length: int, folder: Path) -> None:
    """Writing fails when it makes a file longer than this many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))


def _copy(start: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(start, target)
    return target
