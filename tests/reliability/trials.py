"""What a check finds, and how checks are run: trial after trial until its time is over."""

import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from forks import Ended

Kind = Literal["difference", "traceback", "hang", "left behind", "other"]
KINDS: tuple[Kind, ...] = ("difference", "traceback", "hang", "left behind", "other")
Trials = Iterator[list["Fault"]]


@dataclass(frozen=True)
class Fault:
    """Something that must not be, and what led to it."""

    kind: Kind
    what: str


class Skipped(Exception):
    """A check that cannot be made here; the message says why."""


@dataclass
class Result:
    """What all trials of a check found."""

    name: str
    promise: str
    how: str
    trials: int = 0
    seconds: float = 0.0
    skipped: str | None = None
    faults: list[Fault] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        return sum(fault.kind == kind for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"counts": {kind: self.count(kind) for kind in KINDS}}


def faults_of(ended: Ended, context: str = "", statuses: tuple[int, ...] | None = None) -> list[Fault]:
    """What is wrong with how a command ended; ``statuses`` are those it may end with, if not any."""
    found: list[Kind] = []
    if ended.hung:
        found.append("hang")
    if ended.has_traceback:
        found.append("traceback")
    if ended.left:
        found.append("left behind")
    if not found and statuses is not None and ended.status not in statuses:
        found.append("other")
    says = f"{context}\n$ {ended.command}\nstatus {ended.status}, left behind: {ended.left}\n{_tail(ended.output)}"
    return [Fault(kind, says.strip()) for kind in found]


def _tail(output: str, lines: int = 25) -> str:
    return "\n".join(line[:300] for line in output.splitlines()[-lines:])


def run_check(check: ModuleType, seconds: float, seed: int, folder: Path) -> Result:
    """Make the trials of a check until they or the time are over.

    Args:
        check: a module with ``PROMISE``, ``HOW`` and ``trials(random, folder)``.
        seconds: the last trial may take longer.
        folder: an empty one.
    """
    result = Result(check.__name__, check.PROMISE, check.HOW)
    started = time.monotonic()
    try:
        for faults in check.trials(random.Random(f"{check.__name__} {seed}"), folder):
            result.trials += 1
            result.faults += faults
            if time.monotonic() - started > seconds:
                break
    except Skipped as reason:
        result.skipped = str(reason)
    result.seconds = time.monotonic() - started
    return result
