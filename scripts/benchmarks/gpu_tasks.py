"""Measurements of ``gpu``, as functions that a process of their own can call: agreement, stepping and training."""

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
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.worker import Worker

_SMALL: dict[str, Any] = {"hidden": (64, 64), "seeds": 3, "num_envs": 4}
_REPLAY: dict[str, Any] = {"learning_starts_env_steps": 64, "replay_capacity": 2_000, "train_every_env_steps": 4}
AGENTS: dict[str, dict[str, Any]] = {
    "dqn": {"env": "rlsuite/CartPole-v1", **_SMALL, **_REPLAY},
    "rainbow": {"env": "rlsuite/CartPole-v1", **_SMALL, **_REPLAY},
    "pqn": {"env": "rlsuite/CartPole-v1", **_SMALL, "rollout_env_steps": 128},
    "r2d2": {"env": "rlsuite/CartPole-v1", **_SMALL, **_REPLAY, "memory_units": 32},
    "ddpg": {"env": "rlsuite/Pendulum-v1", **_SMALL, **_REPLAY, "random_env_steps": 64},
    "td3": {"env": "rlsuite/Pendulum-v1", **_SMALL, **_REPLAY, "random_env_steps": 64},
    "sac": {"env": "rlsuite/Pendulum-v1", **_SMALL, **_REPLAY, "random_env_steps": 64},
    "reinforce": {"env": "rlsuite/CartPole-v1", **_SMALL, "rollout_env_steps": 128},
    "ppo": {"env": "rlsuite/CartPole-v1", **_SMALL, "rollout_env_steps": 128},
}


def prepare() -> None:
    """Set-up of a process: one thread beside the GPU."""
    torch.set_num_threads(1)


def agent_difference(agent: str, one: tuple[str, Execution], other: tuple[str, Execution], env_steps: int) -> float:
    """The largest difference of what an agent has learned on two devices, or in two ways, relative to the largest."""
    _in_float32()
    learned = []
    for device, execution in (one, other):
        with _running(agent, {**AGENTS[agent], "device": device, "execution": execution}) as worker:
            while worker.env_steps < env_steps:
                worker.advance(env_steps)
            learned.append(_on_cpu(worker.learner_state()))
    return _largest_difference(*learned)


def economy_difference(model: str, device: str, updates: tuple[int, int]) -> float:
    """The same of an equilibrium net after updates of both phases, on the CPU and on ``device``."""
    return _largest_difference(*(_on_cpu(_economy(model, where, updates, 2)[1]) for where in ("cpu", device)))


def experiment_difference(name: str, device: str, updates: int) -> float:
    """The same of a supervised experiment."""
    _in_float32()
    learned = []
    for where in ("cpu", device):
        worker = _experiment(name, {"device": where, "seeds": 2})
        while worker.updates < updates:
            worker.advance(updates, "updates")
        learned.append(_on_cpu(worker.learner_state()))
    return _largest_difference(*learned)


def stepping_speed(name: str, num_envs: int, device: str, execution: Execution, seconds: float) -> float:
    """Env steps a second of ``num_envs`` environments on tensors, with random actions."""
    import gymnasium

    import envs  # noqa: F401  registers rlsuite/*
    from rlsuite import random
    from rlsuite.compiling import output_flags

    env: Any = gymnasium.make_vec(f"rlsuite/{name}", num_envs=num_envs, device=device).unwrapped
    env.reset(seed=0)
    keys = random.key(torch.arange(num_envs, device=device), 0)
    clock = torch.zeros((), dtype=torch.int64, device=device)

    def step() -> list[Tensor]:
        observation, _, reward, *flags = env.step_tensors(env.sample_actions(random.fold(keys, clock)))
        clock.add_(1)
        return [observation, reward, *map(output_flags, flags)]

    region = compiled(step, execution)
    for _ in range(6):
        region()
    return _rate(device, seconds, lambda: [region() for _ in range(20)], lambda: 0.0, num_envs * 20)


def training_speed(agent: str, options: dict[str, Any], seconds: float, longest: float) -> float:
    """Env steps a second of a training, over all seeds, once all is compiled (or ``longest`` seconds are over)."""
    with _running(agent, {**options, "total_env_steps": 1 << 40}) as worker:
        started = time.monotonic()
        while worker.updates < 8 and time.monotonic() < started + longest:
            worker.advance(1 << 40)
        seeds = options.get("seeds", 1)
        return _rate(
            options["device"], seconds, lambda: worker.advance(1 << 40), lambda: seeds * float(worker.env_steps)
        )


def economy_speed(model: str, device: str, seeds: int, seconds: float) -> float:
    """Updates of the first phase a second of an economy, over all seeds."""
    worker, _ = _economy(model, device, (3, 0), seeds)
    return _rate(device, seconds, lambda: worker.advance(1 << 40, "updates"), lambda: float(seeds * worker.updates))


def experiment_speed(name: str, options: dict[str, Any], seconds: float) -> float:
    """Updates a second of a supervised experiment, over all seeds."""
    worker = _experiment(name, options)
    worker.advance(3, "updates")
    seeds = options.get("seeds", 1)
    return _rate(
        options["device"], seconds, lambda: worker.advance(1 << 40, "updates"), lambda: float(seeds * worker.updates)
    )


def _in_float32() -> None:
    """Convolutions in float32 as on the CPU; torch's default on a GPU is TensorFloat32, which rounds to 10 bits."""
    torch.backends.cudnn.allow_tf32 = False


def captured(device: str) -> Execution:
    """The quickest way to run: CUDA graphs, or compiled code where there is no GPU."""
    return "graph" if device == "cuda" else "compile"


def _rate(
    device: str, seconds: float, advance: Callable[[], object], count: Callable[[], float], each: float = 0.0
) -> float:
    """Rise of ``count`` in a second of ``advance``, or ``each`` a call."""
    before, calls, started = count(), 0, time.perf_counter()
    while calls == 0 or time.perf_counter() < started + seconds:
        advance()
        calls += 1
        if device == "cuda":
            torch.cuda.synchronize()
    return (count() - before + calls * each) / (time.perf_counter() - started)


@contextmanager
def _running(agent: str, options: dict[str, Any]) -> Iterator[Worker[Any]]:
    """A worker of a run in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        config: RunConfig = config_class(agent)(**options)
        worker = build_worker(Run(Path(folder), agent, config))
        try:
            yield worker
        finally:
            worker.close()


def _economy(model: str, device: str, updates: tuple[int, int], seeds: int) -> tuple[Worker[Any], dict[str, Any]]:
    """A worker of an economy, and what it has learned after so many updates of the first and the second phase."""
    import dataclasses

    from rlsuite.deqn import registry
    from rlsuite.deqn.path import EconomyPath
    from rlsuite.deqn.solver import EquilibriumNet

    economy = registry.build(model, None, None)
    first, second = updates
    config = dataclasses.replace(
        registry.tuned(model, None, None), adam_updates=first if second else 1 << 40, polish_updates=second
    )
    learner = EquilibriumNet(economy, config, range(seeds), device)
    path = EconomyPath(economy, learner.policy, config, range(seeds), device)
    worker: Worker[Any] = Worker(learner, path, dict, range(seeds))
    while worker.updates < first + second:
        worker.advance(first + second, "updates")
    return worker, worker.learner_state()


def _experiment(name: str, options: dict[str, Any]) -> Worker[Any]:
    import dataclasses

    from rlsuite.supervised.registry import find

    chosen = find(name)
    setting = chosen.setting(dataclasses.replace(chosen.config, **options))
    source = chosen.make_source(setting)
    learner = chosen.make_learner(setting, setting.config.epochs * source.an_epoch)
    return Worker(learner, source, dict, setting.seeds)


def _on_cpu(state: dict[str, Any]) -> list[Tensor]:
    return [tensor.cpu() for tensor in _tensors(state) if tensor.is_floating_point()]


def _tensors(state: dict[str, Any]) -> Iterator[Tensor]:
    for entry in state.values():
        if isinstance(entry, dict):
            yield from _tensors(entry)
        elif isinstance(entry, Tensor):
            yield entry


def _largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(((a - b).abs().max() / a.abs().max().clamp(min=1e-6)).item() for a, b in zip(one, other, strict=True))
