"""Benchmarks of a GPU, in this order, until the minutes are used up: agreement first, then speed.

1. Agents, economies and a supervised experiment learn on CUDA what they learn on the CPU, within a bound.
2. Captured CUDA graphs learn what eager code learns, within a bound.
3. Training speed: DQN on tensor CartPole with 1, 32 and 1,024 seeds beside JAX, on MinAtar Breakout and on ALE's Pong;
   PPO; an economy; a supervised experiment.
4. Env steps a second of environments on tensors, from 2^10 to 2^20 of them.

Agreement is measured in many processes at once, which also compile what is timed afterwards, one after another. Without
a GPU the same code runs on the CPU, compiled instead of captured: to be tried, not to be quoted. ``tiny`` makes
everything small, for a test.
"""

import dataclasses
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures import TimeoutError as TimeIsOver
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Any

import torch
from benchmarks import gpu_tasks
from benchmarks.gpu_tasks import captured
from benchmarks.jax_peer import JaxPeer, has_jax
from benchmarks.population import options as cartpole

from rlsuite.cores import usable_cores
from rlsuite.training.execution import Execution

# Bound on the largest difference of any parameter, relative to the largest parameter. Sums in another order differ in
# the last bits, and the difference grows over a few hundred updates.
_BOUND = 2e-2
_SECONDS = 3.0
_JAX_MOST_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class _Task:
    """A row: a function of ``gpu_tasks`` and its arguments, and for JAX beside it the number of seeds."""

    name: str
    unit: str
    function: Callable[..., float]
    arguments: tuple[Any, ...]
    jax_seeds: int = 0

    @property
    def is_agreement(self) -> bool:
        return self.function.__name__.endswith("_difference")

    def row(self, value: float) -> dict[str, Any]:
        limit = {"limit": _BOUND} if self.is_agreement else {}
        return {"name": self.name, "value": value, "unit": self.unit, **limit}

    def failed(self, error: Exception) -> dict[str, Any]:
        words = (str(error).splitlines() or [type(error).__name__])[0][:100]
        return self.row(float("nan")) | {"name": f"{self.name}: {words}"}


def rows(minutes: float = 8.0, tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Yield one row at a time, so that earlier rows are kept when the time is over."""
    end = time.monotonic() + 60 * minutes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    agreements, speeds = list(_agreements(device, tiny)), list(_speeds(device, tiny, _SECONDS))
    if tiny:
        for task in agreements + speeds:
            yield task.row(task.function(*task.arguments))
        return
    yield from _together(agreements, list(_speeds(device, tiny, 0.0)), usable_cores(), end - 30 * minutes)
    yield from _one_by_one(speeds, end)


def _together(agreements: list[_Task], warm_ups: list[_Task], processes: int, end: float) -> Iterator[dict[str, Any]]:
    """Rows of agreement as they come; beside them everything else is tried, so that its compiled code is kept."""
    pool = _pool(processes)
    running: dict[Future[float], _Task] = {}
    for task in agreements + warm_ups:
        running[pool.submit(task.function, *task.arguments)] = task
    try:
        for future in as_completed(running, timeout=max(end - time.monotonic(), 1.0)):
            task = running[future]
            if task.is_agreement:
                yield _result(task, future)
    except TimeIsOver:
        pass
    _end(pool)


def _one_by_one(tasks: list[_Task], end: float) -> Iterator[dict[str, Any]]:
    """Rows of speed, in a process that outlives them unless one of them breaks it."""
    pool = _pool(1)
    for task in tasks:
        if (left := end - time.monotonic()) < 5.0:
            break
        row = _result(task, pool.submit(task.function, *task.arguments), left)
        if math.isnan(row["value"]):  # what failed may have spoiled the process
            _end(pool)
            pool = _pool(1)
        seeds = task.jax_seeds if end - time.monotonic() > _JAX_MOST_SECONDS else 0
        yield row | _jax(seeds, row["value"])
    _end(pool)


def _result(task: _Task, future: "Future[float]", seconds: float | None = None) -> dict[str, Any]:
    """The row of a task, or of what went wrong, which ends nothing else."""
    try:
        return task.row(future.result(timeout=seconds))
    except (RuntimeError, ValueError, TypeError, AssertionError, MemoryError, TimeIsOver, BrokenProcessPool) as error:
        return task.failed(error)


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), gpu_tasks.prepare)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list(pool._processes.values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


def _jax(seeds: int, ours: float) -> dict[str, Any]:
    """Speed of the same training in JAX, where it is there."""
    if not seeds or not has_jax():
        return {}
    try:
        with closing(JaxPeer("jax_dqn.py", [(seeds, _SECONDS, ",".join(map(str, range(usable_cores()))))])) as peer:
            theirs = peer.measure()
    except (OSError, ValueError) as error:
        return {"peer": f"JAX: {error}"}
    return {"peer": "JAX", "peer_value": theirs, "ratio": ours / theirs}


def _agreements(device: str, tiny: bool) -> Iterator[_Task]:
    unit, env_steps = "largest relative difference", 160 if tiny else 640
    agents = ("dqn",) if tiny else tuple(gpu_tasks.AGENTS)
    if not tiny:
        yield from _agreements_without_environments(device, unit)
    for one, other in (
        (("cpu", "eager"), (device, "eager")),
        ((device, "eager"), (device, _quickest(device, tiny))),
    ):
        for agent in agents:
            name = f"{agent}: {' '.join(one)} = {' '.join(other)}"
            yield _Task(name, unit, gpu_tasks.agent_difference, (agent, one, other, env_steps))


def _agreements_without_environments(device: str, unit: str) -> Iterator[_Task]:
    for model in ("brock-mirman", "irbc"):
        arguments = (model, device, (30, 3))
        yield _Task(f"{model}: cpu = {device}", unit, gpu_tasks.economy_difference, arguments)
    # Batch norm and Adam make of a difference in the last bits one of some per cent within 20 updates, on CPUs too.
    for experiment, updates in (("digits-lenet", 20), ("digits-lstm", 20), ("mnist-resnet", 3), ("adding-gru", 20)):
        what = f"{experiment}, {updates} updates: cpu = {device}"
        yield _Task(what, unit, gpu_tasks.experiment_difference, (experiment, device, updates))


def _speeds(device: str, tiny: bool, seconds: float) -> Iterator[_Task]:
    execution = _quickest(device, tiny)
    for count in (1,) if tiny else (1, 32, 1_024):
        options = cartpole(count) | {"execution": execution}
        yield _training(f"DQN, rlsuite/CartPole-v1, {count} seeds", "dqn", options, device, seconds, count)
    if tiny:
        yield from _stepping(device, execution, tiny, seconds)
        return
    breakout = {"env": "rlsuite/MinAtar-Breakout-v0", "seeds": 10}
    replay = {"num_envs": 8, "learning_starts_env_steps": 64, "train_every_env_steps": 4, "replay_capacity": 100_000}
    yield _training("DQN, rlsuite/MinAtar-Breakout-v0, 10 seeds", "dqn", breakout | replay, device, seconds)
    rollout = {"num_envs": 64, "rollout_env_steps": 2_048}
    yield _training("PPO, rlsuite/MinAtar-Breakout-v0, 10 seeds", "ppo", breakout | rollout, device, seconds)
    yield _training("DQN, ALE/Pong-v5, 1 seed", "dqn", {"env": "ALE/Pong-v5", **replay}, device, seconds)
    for seeds in (1, 64):
        arguments = ("growth", device, seeds, seconds)
        yield _Task(f"growth, {seeds} seeds", "updates/s, all seeds", gpu_tasks.economy_speed, arguments)
    for seeds in (1, 8):
        arguments = ("mnist-resnet", {"device": device, "seeds": seeds}, seconds)
        yield _Task(f"mnist-resnet, {seeds} seeds", "updates/s, all seeds", gpu_tasks.experiment_speed, arguments)
    yield from _stepping(device, execution, tiny, seconds)


def _stepping(device: str, execution: Execution, tiny: bool, seconds: float) -> Iterator[_Task]:
    for name in ("CartPole-v1",) if tiny else ("CartPole-v1", "Pendulum-v1", "MinAtar-Breakout-v0"):
        for power in (10,) if tiny else (10, 14, 17, 20):
            what = f"step {name}, 2^{power} environments"
            yield _Task(
                what, "env steps/s", gpu_tasks.stepping_speed, (name, 2**power, device, execution, min(seconds, 1.0))
            )


def _quickest(device: str, tiny: bool) -> Execution:
    """Way in which measured code is run: a test of this file does not wait for compilers."""
    return "eager" if tiny else captured(device)


def _training(what: str, agent: str, options: dict[str, Any], device: str, seconds: float, jax_seeds: int = 0) -> _Task:
    options = {"execution": captured(device), **options, "device": device}
    arguments = (agent, options, seconds, 90.0)
    return _Task(what, "env steps/s, all seeds", gpu_tasks.training_speed, arguments, jax_seeds)
