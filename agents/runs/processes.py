"""The runs of a sweep as processes of this machine."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from agents.runs.sweep_folder import Event, Member, Sweep
from rlsuite.cores import usable_cores
from rlsuite.training.signals import STOPS_WITH_STDIN

RESTARTS = 3  # of a run whose process was killed, by the system for want of memory for example
_SECONDS_TO_LEAVE = 10.0


def start(program: Sequence[str], sweep: Sweep, member: Member, take_over: bool = False) -> subprocess.Popen[bytes]:
    """A process that trains a run: ``train`` as people call it, which stops as soon as this process is gone.

    Args:
        take_over: go on with a run though another host, which cannot be reached, may still train it.
    """
    with sweep.log(member).open("ab") as log:
        return subprocess.Popen(
            [*program, *sweep.arguments(member, take_over)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {STOPS_WITH_STDIN: "1"},
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which asks each run once
        )


def ended(sweep: Sweep, member: Member, status: int, is_stopping: bool) -> Event:
    """Outcome of a run whose process had this exit status."""
    if status == 0:
        return Event(member.name, "finished")
    if is_stopping:
        return Event(member.name, "stopped")
    log = sweep.log(member)
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else _last_line(log) or f"exit status {status}"
    return Event(member.name, "failed", f"{how} (see {os.path.relpath(log)})")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    # An internal fault ends in a line on where its details are.
    said = [line for line in lines if not line.startswith("The details are in ")]
    return said[-1][:200] if said else ""


class Processes:
    """Runs as many runs side by side as the cores have room for, in order.

    Args:
        program: the command that trains.
        jobs: so many runs side by side instead, whatever they need.
    """

    def __init__(self, program: Sequence[str], jobs: int | None = None) -> None:
        self._program, self._jobs = program, jobs
        self._cores = usable_cores()
        self._waiting: deque[Member] = deque()
        self._running: dict[str, tuple[Member, subprocess.Popen[bytes]]] = {}
        self._restarts: dict[str, int] = {}
        self._is_stopping = False

    def begin(self, sweep: Sweep, members: Sequence[Member]) -> None:
        self._sweep = sweep
        self._waiting.extend(members)

    def poll(self) -> list[Event]:
        events = []
        for member, process in list(self._running.values()):
            status = process.poll()
            if status is None:
                continue
            del self._running[member.name]
            _close_stdin(process)
            if status < 0 and not self._is_stopping and self._restarts.get(member.name, 0) < RESTARTS:
                self._restarts[member.name] = self._restarts.get(member.name, 0) + 1
                self._waiting.appendleft(member)
                why = f"killed by {signal.Signals(-status).name}, goes on from its last checkpoint"
                events.append(Event(member.name, "waiting", why))
            else:
                events.append(ended(self._sweep, member, status, self._is_stopping))
        while self._waiting and self._is_room(self._waiting[0]):
            member = self._waiting.popleft()
            self._running[member.name] = member, start(self._program, self._sweep, member)
            events.append(Event(member.name, "running"))
        if self._is_stopping:
            events += [Event(member.name, "stopped") for member in self._waiting]
            self._waiting.clear()
        return events

    def _is_room(self, member: Member) -> bool:
        if not self._running or self._is_stopping:
            return not self._is_stopping
        if self._jobs is not None:
            return len(self._running) < self._jobs
        present = [running for running, _ in self._running.values()]
        if member.gpus and any(running.gpus for running in present):
            return False
        return sum(running.cores for running in present) + member.cores <= self._cores

    def stop(self) -> None:
        self._is_stopping = True
        for _, process in self._running.values():
            _close_stdin(process)

    def close(self) -> None:
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            _close_stdin(process)
            try:
                process.wait(_SECONDS_TO_LEAVE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
