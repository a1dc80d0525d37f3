"""The folder of a sweep: its runs, and which of them are finished. Imports no torch, so that hosts start quickly.

``sweep.json`` lists the runs. All else that a run needs to go on is in its own folder, so that a sweep survives
whatever its runs survive.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from rlsuite.tracking import run_folder

DOCUMENT = "sweep.json"

State = Literal["waiting", "running", "finished", "failed", "stopped"]


@dataclass
class Member:
    """A run of a sweep: how ``train`` is called for it, and what it needs."""

    name: str
    agent: str
    options: list[str]
    env: str
    total_env_steps: int
    seeds: int
    cores: int
    gpus: int
    finished: bool = False


@dataclass(frozen=True)
class Sweep:
    """The folder of a sweep and its runs."""

    folder: Path
    members: tuple[Member, ...]

    def arguments(self, member: Member, take_over: bool = False) -> list[str]:
        """Arguments of ``train``: a new run, or the way on with one that has begun."""
        folder = self.folder / member.name
        if (folder / run_folder.CONFIG).exists():
            return ["--resume", str(folder), *(["--take-over"] if take_over else [])]
        return [member.agent, *member.options, "--runs", str(self.folder), "--name", member.name]

    def log(self, member: Member) -> Path:
        """The file that takes what a run prints."""
        return self.folder / f"{member.name}.log"

    def write(self) -> None:
        """Replace ``sweep.json`` atomically."""
        run_folder.write(self.folder, {"runs": [dataclasses.asdict(one) for one in self.members]}, DOCUMENT)


@dataclass(frozen=True)
class Event:
    """A run has another state; ``why`` says what people should know of it."""

    name: str
    state: State
    why: str = ""


class Hosts(Protocol):
    """Runs the runs of a sweep: on this machine, or on a cluster."""

    def begin(self, sweep: Sweep, members: Sequence[Member]) -> None:
        """Take on these runs, in this order."""

    def poll(self) -> list[Event]:
        """Changes since the last call; starts what there is room for."""
        ...

    def stop(self) -> None:
        """Ask all runs to save and leave."""

    def close(self) -> None:
        """End what still runs."""


def begin(folder: Path, members: Sequence[Member]) -> Sweep:
    """A new sweep, or the one that the folder holds if it has the same runs.

    Raises:
        ValueError: the folder holds something else.
    """
    new = Sweep(folder.resolve(), tuple(members))
    if not (folder / DOCUMENT).exists():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is there already, and is no sweep: choose another --name")
        new.folder.mkdir(parents=True, exist_ok=True)
        new.write()
        return new
    found = read(folder)
    before, now = ({one.name: _calls(one) for one in sweep.members} for sweep in (found, new))
    if before != now:
        other = next(name for name in [*now, *before] if before.get(name) != now.get(name))
        raise ValueError(
            f"{folder} is a sweep with other settings ({_difference(before.get(other), now.get(other), other)}): "
            f"choose another --name, or go on with --resume {folder}"
        )
    return found


def _calls(member: Member) -> tuple[str, ...]:
    """Settings that tell runs apart; what was decided by the machine is not part of its settings."""
    words = iter(member.options)
    return (member.agent, *(word for word in words if word not in ("--workers", "--threads") or not next(words)))


def _difference(before: tuple[str, ...] | None, now: tuple[str, ...] | None, name: str) -> str:
    if before is None or now is None:
        return f"{name} is {'new' if before is None else 'missing'}"
    old, new = (" ".join(word for word in one if word not in other) for one, other in ((before, now), (now, before)))
    return f"{name} had {old or 'no such option'}, now {new or 'not'}"


def read(folder: Path) -> Sweep:
    """The sweep of a folder.

    Raises:
        ValueError: it holds none, or its file is damaged.
    """
    document = run_folder.read_document(folder, "sweep", DOCUMENT)
    try:
        return Sweep(folder.resolve(), tuple(Member(**one) for one in document["runs"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / DOCUMENT} is damaged or of another version: {error}") from None
