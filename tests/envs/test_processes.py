"""Environments in processes of their own: signals, deaths, and that closing always ends."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import gymnasium
import pytest
import torch
import toy_environments
from gymnasium.vector import AutoresetMode

from envs import processes
from envs.adapter import VectorAdapter
from envs.make import make_environments
from rlsuite.experience import ExperienceError

WAIT = torch.zeros(1, 2, dtype=torch.int64)


class Hanging(toy_environments.Walk):
    def step(self, action):
        if self.time == 1:
            time.sleep(1000.0)
        return super().step(action)


class Unmakeable(toy_environments.Walk):
    """Only the process that asks for its spaces may make it."""

    parent = os.getpid()

    def __init__(self) -> None:
        if os.getpid() != self.parent:
            raise RuntimeError("only one simulator\nmay run at once")


for entry_point in (Hanging, Unmakeable):
    gymnasium.register(f"toy/{entry_point.__name__}-v0", entry_point)


def two(env_id: str, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> VectorAdapter:
    environments: Any = make_environments(env_id, [0], 2, vectorization="async", autoreset_mode=mode)
    return environments


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_process_group_are_left_to_the_run(number: signal.Signals) -> None:
    environments = two("toy/Walk-v0")
    environments.reset()
    for process in environments.vector_env.processes:
        os.kill(process.pid, number)
    environments.step(WAIT)
    assert len(environments.state_dict()["environments"]["episode"]) == 2
    environments.close()
    assert not any(process.is_alive() for process in environments.vector_env.processes)


def test_a_killed_process_is_named_and_closing_ends() -> None:
    environments = two("toy/Walk-v0")
    environments.reset()
    os.kill(environments.vector_env.processes[1].pid, signal.SIGKILL)
    with pytest.raises(
        ExperienceError, match=r"environment 1 of seed 0 at env step 1.\nits process was killed by SIGKILL"
    ):
        environments.step(WAIT)
    environments.close()
    assert not any(process.is_alive() for process in environments.vector_env.processes)


def test_closing_ends_where_a_step_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_CLOSING_SECONDS", 0.5)
    environments = two("toy/Hanging-v0")
    environments.reset()
    environments.step(WAIT)
    environments.send(WAIT)
    environments.close()
    assert not any(process.is_alive() for process in environments.vector_env.processes)


def test_environments_that_cannot_be_made_in_their_process_are_named() -> None:
    with pytest.raises(
        ExperienceError, match="cannot make toy/Unmakeable-v0: RuntimeError: only one simulator may run"
    ):
        two("toy/Unmakeable-v0")


PROGRAM = """
import os, signal, sys
from envs.make import make_environments
environments = make_environments("CartPole-v1", [0], 3, vectorization="async")
environments.reset()
print(*(process.pid for process in environments.vector_env.processes), flush=True)
{}
"""


@pytest.mark.parametrize(
    ("end", "status"), [("os.kill(os.getpid(), signal.SIGKILL)", -9), ("sys.exit(5)", 5)], ids=["killed", "exits"]
)
def test_processes_end_quietly_with_the_one_that_started_them(end: str, status: int) -> None:
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (program.returncode, program.stderr) == (status, "")
    pids = [int(pid) for pid in program.stdout.split()]
    patience = time.monotonic() + 20.0
    while any(map(_lives, pids)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert len(pids) == 3 and not any(map(_lives, pids))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # where nobody collects the dead they stay as zombies
        return stat.read().rpartition(")")[2].split()[0] != "Z"
