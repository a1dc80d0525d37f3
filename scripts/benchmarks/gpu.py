"""Benchmarks of a GPU, in this order, until the minutes are used up: agreement first, then speed.

1. Every agent learns on CUDA what it learns on the CPU, within a bound.
2. Captured CUDA graphs learn what eager code learns, within a bound.
3. Env steps a second of environments on tensors, from 2^10 to 2^20 of them.
4. Training speed: DQN on tensor CartPole with 1, 32 and 1,024 seeds, on MinAtar Breakout, and on ALE's Pong.

Without a GPU the same code runs on the CPU, compiled instead of captured: to be tried, not to be quoted. ``tiny`` makes
everything small, for a test.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.options import RunConfig
from agents.runs.building import build_worker
from agents.runs.registry import config_class
from agents.runs.run import Run
from rlsuite.training.execution import Execution
from rlsuite.training.worker import Worker

# Bound on the largest difference of any parameter, relative to the largest parameter. Sums in another order differ in
# the last bits, and the difference grows over a few hundred updates.
_BOUND = 2e-2
_SMALL: dict[str, Any] = {"hidden": (64, 64), "seeds": 3, "num_envs": 4}
_REPLAY: dict[str, Any] = {"learning_starts_env_steps": 64, "replay_capacity": 2_000, "train_every_env_steps": 4}
_AGENTS: dict[str, dict[str, Any]] = {
    "dqn": {"env": "rlsuite/CartPole-v1", **_SMALL, **_REPLAY},
    "r2d2": {"env": "rlsuite/CartPole-v1", **_SMALL, **_REPLAY, "memory": 32},
    "ddpg": {"env": "rlsuite/Pendulum-v1", **_SMALL, **_REPLAY, "random_env_steps": 64},
    "reinforce": {"env": "rlsuite/CartPole-v1", **_SMALL, "rollout_env_steps": 128},
    "ppo": {"env": "rlsuite/CartPole-v1", **_SMALL, "rollout_env_steps": 128},
}


def rows(minutes: float = 8.0, tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Yield one row at a time, so that earlier rows are kept when the time is over."""
    end = time.monotonic() + 60 * minutes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    captured: Execution = "graph" if device == "cuda" else "compile"
    agents = ("dqn",) if tiny else tuple(_AGENTS)
    for agent in agents:
        if time.monotonic() < end:
            yield _agreement(agent, ("cpu", "eager"), (device, "eager"), tiny)
    for agent in agents:
        if time.monotonic() < end:
            yield _agreement(agent, (device, "eager"), (device, captured), tiny)
    for name in ("CartPole-v1", "Pendulum-v1", "MinAtar-Breakout-v0"):
        for power in (10,) if tiny else range(10, 21, 2):
            if time.monotonic() < end:
                what = f"step {name}, 2^{power} environments"
                yield from _tried(what, "env steps/s", _stepping(name, 2**power, device))
        if tiny:
            break
    for what, agent, options in _trainings(tiny):
        if time.monotonic() < end:
            run = {**options, "device": device, "execution": captured}
            yield from _tried(what, "env steps/s, all seeds", _training(agent, run, min(end, time.monotonic() + 60)))


def _tried(what: str, unit: str, measure: Callable[[], float]) -> Iterator[dict[str, Any]]:
    """A row of a measurement, or of what went wrong, which ends nothing else."""
    try:
        yield {"name": what, "value": measure(), "unit": unit}
    except (RuntimeError, ValueError, MemoryError) as error:
        yield {"name": f"{what}: {str(error).splitlines()[0][:100]}", "value": float("nan"), "unit": unit}


def _agreement(agent: str, one: tuple[str, Execution], other: tuple[str, Execution], tiny: bool) -> dict[str, Any]:
    """Compare the parameters after the same env steps; a ratio to the bound of up to 1 is agreement."""
    name = f"{agent}: {' '.join(one)} = {' '.join(other)}"
    try:
        first, second = (_learned(agent, device, execution, 160 if tiny else 640) for device, execution in (one, other))
    except (RuntimeError, ValueError) as error:
        name = f"{name}: {str(error).splitlines()[0][:100]}"
        return {"name": name, "value": float("nan"), "unit": "largest relative difference", "limit": _BOUND}
    difference = max(
        ((a - b).abs().max() / a.abs().max().clamp(min=1e-6)).item() for a, b in zip(first, second, strict=True)
    )
    return {"name": name, "value": difference, "unit": "largest relative difference", "limit": _BOUND}


def _learned(agent: str, device: str, execution: Execution, env_steps: int) -> list[Tensor]:
    """The floating-point tensors of an agent after ``env_steps`` env steps of each seed."""
    with _worker(agent, {**_AGENTS[agent], "device": device, "execution": execution}) as worker:
        while worker.env_steps < env_steps:
            worker.advance(env_steps)
        state = worker.learner_state()
    return [tensor.cpu() for tensor in _tensors(state) if tensor.is_floating_point()]


def _tensors(state: dict[str, Any]) -> Iterator[Tensor]:
    for entry in state.values():
        if isinstance(entry, dict):
            yield from _tensors(entry)
        elif isinstance(entry, Tensor):
            yield entry


@contextmanager
def _worker(agent: str, options: dict[str, Any]) -> Iterator[Worker[Any]]:
    """A worker of a run in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        config: RunConfig = config_class(agent)(**options)
        worker = build_worker(Run(Path(folder), agent, config))
        try:
            yield worker
        finally:
            worker.close()


def _stepping(name: str, num_envs: int, device: str) -> Callable[[], float]:
    def measure() -> float:
        import gymnasium

        import envs  # noqa: F401  registers rlsuite/*
        from rlsuite import random
        from rlsuite.compiling import output_flags
        from rlsuite.training.execution import compiled

        env: Any = gymnasium.make_vec(f"rlsuite/{name}", num_envs=num_envs, device=device).unwrapped
        env.reset(seed=0)
        keys = random.key(torch.arange(num_envs, device=device), 0)
        clock = torch.zeros((), dtype=torch.int64, device=device)

        def step() -> list[Tensor]:
            observation, _, reward, *flags = env.step_tensors(env.sample_actions(random.fold(keys, clock)))
            clock.add_(1)
            return [observation, reward, *map(output_flags, flags)]

        region = compiled(step, "graph" if device == "cuda" else "compile")
        for _ in range(6):
            region()
        _wait(device)
        steps, started = 0, time.perf_counter()
        while time.perf_counter() < started + 1.0:
            for _ in range(20):
                region()
            steps += 20
            _wait(device)
        return steps * num_envs / (time.perf_counter() - started)

    return measure


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _trainings(tiny: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the trainings to time: a title, the agent's name and its options."""
    seeds = (1,) if tiny else (1, 32, 1_024)
    for count in seeds:
        options = {"env": "rlsuite/CartPole-v1", "hidden": (120, 84), "seeds": count, "num_envs": 1, **_REPLAY}
        yield f"DQN, rlsuite/CartPole-v1, {count} seeds", "dqn", options
    if tiny:
        return
    breakout = {"env": "rlsuite/MinAtar-Breakout-v0", "seeds": 10, "num_envs": 8, **_REPLAY, "replay_capacity": 100_000}
    yield "DQN, rlsuite/MinAtar-Breakout-v0, 10 seeds", "dqn", breakout
    ppo = {"env": "rlsuite/MinAtar-Breakout-v0", "seeds": 10, "num_envs": 64, "rollout_env_steps": 2_048}
    yield "PPO, rlsuite/MinAtar-Breakout-v0, 10 seeds", "ppo", ppo
    pong = {"env": "ALE/Pong-v5", "num_envs": 8, **_REPLAY, "replay_capacity": 100_000}
    yield "DQN, ALE/Pong-v5, 1 seed", "dqn", pong


def _training(agent: str, options: dict[str, Any], end: float) -> Callable[[], float]:
    def measure() -> float:
        longest = max(end - time.monotonic(), 1.0)
        with _worker(agent, {**options, "total_env_steps": 1 << 40}) as worker:
            started = time.monotonic()
            while worker.updates < 8 and time.monotonic() < started + longest:  # all is compiled
                worker.advance(1 << 40)
            before, clock = worker.env_steps, time.perf_counter()
            while time.perf_counter() < clock + min(5.0, longest):
                worker.advance(1 << 40)
            _wait(options["device"])
            return options.get("seeds", 1) * (worker.env_steps - before) / (time.perf_counter() - clock)

    return measure
