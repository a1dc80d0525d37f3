"""The runs of a sweep on a Ray cluster: one actor a run, which Ray places, watches and starts again elsewhere.

An actor only starts ``train`` and waits for it. Whatever becomes of a host, all that a run needs is in its folder, on
storage that all hosts share. Nothing else in the project imports Ray.
"""

import logging
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agents.runs.processes import RESTARTS, ended, start
from agents.runs.sweep_folder import Event, Member, Sweep

_remote: Any = ray.remote  # its types are those of one version
_SECONDS_TO_ANSWER = 5.0
_SECONDS_TO_LOOK = 60.0  # until every host has looked for a file
_MOVES = 10  # of a run to another host


class Trains:
    """Trains a run on some host; the class of Ray's actors."""

    def __init__(self, program: Sequence[str], sweep: Sweep, member: Member, folder: str) -> None:
        self._program, self._sweep, self._member = program, sweep, member
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = False
        if os.path.isdir(folder):  # where an environment or agent of the user's own is
            os.chdir(folder)

    def run(self) -> int:
        """Train to the end; returns the exit status. Ray calls it again on another host if this one is lost."""
        status = 0
        for _ in range(1 + RESTARTS):
            # Ray may have given up a host that still runs, so the lock of a run may be held: the lease decides.
            self._process = start(self._program, self._sweep, self._member, take_over=True)
            status = self._process.wait()
            if status >= 0 or self._is_stopping:
                break
        return status

    def stop(self) -> None:
        """Ask the run to save and leave."""
        self._is_stopping = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def ready(self) -> bool:
        """Answers once the actor has a host."""
        return True


class Cluster:
    """Runs all runs of a sweep as Ray has room for them.

    Args:
        address: ``HOST:PORT`` of a cluster that this machine is a node of, or ``auto``.
        program: the command that trains; it is the same on every host.

    Raises:
        ValueError: there is no such cluster, or it has another version.
    """

    def __init__(self, address: str, program: Sequence[str]) -> None:
        self._program = list(program)
        self._actors: dict[str, Any] = {}
        self._starting: dict[Any, Member] = {}  # reference -> run
        self._running: dict[Any, Member] = {}
        self._ready: set[str] = set()
        self._is_stopping = False
        _connect(address)

    def begin(self, sweep: Sweep, members: Sequence[Member]) -> None:
        """Take on these runs.

        Raises:
            ValueError: no host has what one of them needs, or the folder is not on storage that all share.
        """
        nodes = [node for node in ray.nodes() if node["Alive"]]
        for member in members:
            _require_resources(member, nodes)
        _require_shared(sweep.folder, nodes)
        self._sweep = sweep
        kind = _remote(max_restarts=_MOVES, max_task_retries=_MOVES, max_concurrency=3)(Trains)
        for member in members:
            actor = kind.options(num_cpus=member.cores, num_gpus=member.gpus).remote(
                self._program, sweep, member, os.getcwd()
            )
            self._actors[member.name] = actor
            self._starting[actor.ready.remote()] = member
            self._running[actor.run.remote()] = member

    def poll(self) -> list[Event]:
        events = []
        for reference in _done(self._starting):
            member = self._starting.pop(reference)
            if member.name in self._actors and not _failure(reference):
                self._ready.add(member.name)
                events.append(Event(member.name, "running"))
        for reference in _done(self._running):
            member = self._running.pop(reference)
            self._actors.pop(member.name, None)
            if why := _failure(reference):
                stopped = Event(member.name, "stopped")
                events.append(stopped if self._is_stopping else Event(member.name, "failed", why))
            else:
                events.append(ended(self._sweep, member, ray.get(reference), self._is_stopping))
        return events

    def stop(self) -> None:
        self._is_stopping = True
        for name, actor in self._actors.items():
            if name in self._ready:
                actor.stop.remote()
            else:
                ray.kill(actor)

    def close(self) -> None:
        for actor in self._actors.values():
            ray.kill(actor)
        ray.shutdown()


def _connect(address: str) -> None:
    if address != "auto":
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdecimal():
            raise ValueError(f"--cluster is HOST:PORT or auto, not {address}")
        try:
            socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
        except OSError as error:
            why = error.strerror or error
            raise ValueError(f"no Ray cluster answers at {address} ({why}): ray start --head starts one") from None
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of its next version
    try:
        ray.init(
            address=address,
            namespace="rlsuite",
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}},
        )
    except Exception as error:  # of many kinds
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"no Ray cluster can be joined at {address}: {' '.join(lines)[:300]}") from None


def _require_resources(member: Member, nodes: Sequence[dict[str, Any]]) -> None:
    hosts = [node["Resources"] for node in nodes]
    if any(host.get("CPU", 0) >= member.cores and host.get("GPU", 0) >= member.gpus for host in hosts):
        return
    needs = f"{member.cores} CPUs" + (f" and {member.gpus} GPU" if member.gpus else "")
    most = max((f"{host.get('CPU', 0):g} CPUs, {host.get('GPU', 0):g} GPUs" for host in hosts), default="nothing")
    raise ValueError(f"{member.name} needs {needs}, and no host of the cluster has them (at most {most})")


def _require_shared(folder: Path, nodes: Sequence[dict[str, Any]]) -> None:
    """Let every host look for a file that is written here, and write one that is looked for here."""
    token = uuid.uuid4().hex
    ours = folder / f".shared-{token}"
    ours.touch()
    look = _remote(num_cpus=0, max_retries=0)(_look)
    try:
        for node in nodes:
            theirs = folder / f".shared-{token}-{node['NodeID']}"
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            found = look.options(scheduling_strategy=there).remote(str(ours), str(theirs))
            try:
                is_shared = ray.get(found, timeout=_SECONDS_TO_LOOK) and theirs.exists()
            except RayError as error:
                raise ValueError(f"host {node['NodeManagerHostname']} does not answer: {_line(error)}") from None
            finally:
                theirs.unlink(missing_ok=True)
            if not is_shared:
                name, address = node["NodeManagerHostname"], node["NodeManagerAddress"]
                raise ValueError(f"{folder} is not on storage that host {name} ({address}) shares with this one")
    finally:
        ours.unlink(missing_ok=True)


def _look(ours: str, theirs: str) -> bool:
    """Whether a host finds a file; it then writes another."""
    if not os.path.exists(ours):
        return False
    with open(theirs, "w"):
        return True


def _done(references: dict[Any, Member]) -> list[Any]:
    if not references:
        return []
    return list(ray.wait(list(references), num_returns=len(references), timeout=0)[0])


def _failure(reference: Any) -> str:
    """Why Ray could not finish a call; empty where it did."""
    try:
        ray.get(reference)
    except RayError as error:
        return _line(error)
    return ""


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
