"""Bring the runs of a sweep to their end side by side, and compare them."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.options import RunConfig
from agents.runs.comparing import compare
from agents.runs.deciding import threads
from agents.runs.run import Run, plan, spaces_of
from agents.runs.sweep_folder import Hosts, Member, State, Sweep
from rlsuite.tracking import run_folder
from rlsuite.tracking.notices import without
from rlsuite.tracking.run_table import RunTable
from rlsuite.training.signals import StopRequest

_POLL_SECONDS = 0.5


def member(name: str, agent: str, options: Sequence[str], config: RunConfig) -> Member:
    """A run with its processes and threads decided, which are part of how it is called from now on.

    Raises:
        ValueError: the configuration does not fit.
    """
    if agent.endswith(".py"):
        agent = str(Path(agent).resolve())
    own: dict[str, Any] = {}
    gpus = int(config.device.startswith("cuda"))
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
    return planned.config.threads or threads(planned.config, spaces_of(planned).observation)


def run(sweep: Sweep, hosts: Hosts) -> dict[State, int]:
    """Bring every run of a sweep to its end, or until a stop request.

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
