"""A sweep: many runs in one folder, brought to their end side by side and compared.

``sweep.json`` lists the runs and says which are finished. All else that a run needs to go on is in its own folder, so
that a sweep survives whatever its runs survive.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from agents.options import RunConfig
from agents.runs.comparing import compare
from agents.runs.run import Run, plan, spaces_of, threads
from rlsuite.tracking import run_folder
from rlsuite.tracking.notices import without
from rlsuite.tracking.run_table import RunTable
from rlsuite.training.signals import StopRequest

DOCUMENT = "sweep.json"
_POLL_SECONDS = 0.5

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

    def arguments(self, member: Member) -> list[str]:
        """Arguments of ``train``: a new run, or the way on with one that has begun."""
        folder = self.folder / member.name
        if (folder / run_folder.CONFIG).exists():
            return ["--resume", str(folder)]
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
    """Where the runs of a sweep take place: this machine, or a cluster."""

    def begin(self, sweep: Sweep, members: Sequence[Member]) -> None:
        """Take on these runs, in this order."""

    def poll(self) -> list[Event]:
        """What has changed since the last call; starts what there is room for."""
        ...

    def stop(self) -> None:
        """Ask all runs to save and leave."""

    def close(self) -> None:
        """End what still runs."""


def member(name: str, agent: str, options: Sequence[str], config: RunConfig) -> Member:
    """A run with its processes and threads decided, which are part of how it is called from now on.

    Raises:
        ValueError: the configuration does not fit.
    """
    if agent.endswith(".py"):
        agent = str(Path(agent).resolve())
    own, gpus = dict[str, Any](), int(config.device.startswith("cuda"))
    if gpus:  # of a host that may be another one
        cores = config.workers or 1
    else:
        planned = plan(agent, config)
        gpus = int(planned.device.type != "cpu")
        own = {"workers": planned.config.workers, "threads": _threads(planned)}
        cores = own["workers"] * own["threads"]
    said = [word for name, value in own.items() if getattr(config, name) is None for word in (f"--{name}", str(value))]
    return Member(name, agent, [*options, *said], config.env, config.total_env_steps, config.seeds, cores, gpus)


def _threads(planned: Run) -> int:
    return planned.config.threads or threads(planned, spaces_of(planned).observation)


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
    """How a run is called; what was decided by the machine is not part of its settings."""
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
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Sweep(folder.resolve(), tuple(Member(**one) for one in document["runs"]))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder} is not a sweep: it has no {DOCUMENT}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged or of another version: {error}") from None


def run(sweep: Sweep, hosts: Hosts) -> dict[State, int]:
    """Bring every run of a sweep to its end, or until a stop request; then compare the finished ones.

    A run that fails is shown, and the others go on. Returns how many runs are in each state.
    """
    states: dict[str, State] = {one.name: "finished" if one.finished else "waiting" for one in sweep.members}
    table = RunTable(str(os.path.relpath(sweep.folder)))
    for one in sweep.members:
        table.add(one.name, sweep.folder / one.name / "metrics.jsonl", one.total_env_steps, one.seeds, states[one.name])
    open_runs = [one for one in sweep.members if not one.finished]
    with run_folder.locked(sweep.folder), StopRequest() as stop, table:
        try:
            if open_runs:
                hosts.begin(sweep, open_runs)
            is_stopping = False
            while any(states[one.name] in ("waiting", "running") for one in open_runs):
                if stop.requested and not is_stopping:
                    is_stopping = True
                    table.say("stopping: each run saves and leaves; once more to stop at once")
                    hosts.stop()
                for event in hosts.poll():
                    states[event.name] = event.state
                    table.set(event.name, event.state, event.why)
                    if event.state == "finished":
                        next(one for one in open_runs if one.name == event.name).finished = True
                        sweep.write()
                table.show()
                time.sleep(_POLL_SECONDS)
        finally:
            hosts.close()
    compare_finished(sweep)
    return {state: list(states.values()).count(state) for state in states.values()}


def compare_finished(sweep: Sweep) -> None:
    """A figure and a table of the finished runs on each environment."""
    finished = [one for one in sweep.members if one.finished]
    for env in dict.fromkeys(one.env for one in finished):
        out = sweep.folder / f"{env.replace('/', '-').replace(':', '-')}.png"
        folders = [sweep.folder / one.name for one in finished if one.env == env]
        with without(f"comparison on {env}"):
            compare([Path(os.path.relpath(folder)) for folder in folders], Path(os.path.relpath(out)), split="settings")
    sys.stdout.flush()
