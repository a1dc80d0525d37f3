"""Env steps a second of the environments on tensors, random actions, beside Gymnasium's vector environments.

Ours are compiled, several steps a region, and every observation, reward and flag is handed out. Both sides get two
processes of one thread each, with half of the environments. SyncVectorEnv steps fewer: more would only wait longer.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.rounds import alternate, row

_PROCESSES = 2
_ROUND_SECONDS = 0.5
_NUM_ENVS = 4096
_SYNC_NUM_ENVS = 64
_CLASSIC_STEPS = 8  # of one compiled region; twice as many are no quicker and compile for twice as long
_GRID_STEPS = 1

_CLASSIC = ("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1", "Pendulum-v1")
_GRIDS = ("Breakout", "Freeway", "Asterix", "SpaceInvaders", "Seaquest")
# Million steps a second of gymnax (JAX on the CPU) on another day, on two cores of an AMD EPYC: for orientation.
_GYMNAX = {"CartPole-v1": 5.8, "Acrobot-v1": 2.1, "Pendulum-v1": 9.1, "Breakout": 2.5}

Rollout = Callable[[], int]  # steps all environments a few times; returns the number of env steps


def rows() -> list[dict[str, Any]]:
    found = [_compare("CartPole-v1", _CLASSIC_STEPS, "CartPole-v1", "Gymnasium's NumPy CartPole", _gymnasium_vector)]
    for name in _CLASSIC:
        found.append(_compare(name, _CLASSIC_STEPS, name, "Gymnasium SyncVectorEnv", _gymnasium_sync))
    for game in _GRIDS:
        peer = "published game, SyncVectorEnv"
        found.append(_compare(f"MinAtar-{game}-v0", _GRID_STEPS, f"MinAtar/{game}-v0", peer, _gymnasium_sync))
    for name in ("Drive-v0", "DrivePixels-v0"):
        found.append(_compare(name, _GRID_STEPS, None, None, None))
    for name, million in _GYMNAX.items():
        ours = next(entry for entry in found if name in entry["name"])
        ratio = ours["value"] / (million * 1e6)
        found.append(ours | {"peer": "gymnax, quoted", "peer_value": million * 1e6, "ratio": ratio})
    return found


def _compare(name: str, steps: int, peer_id: str | None, peer: str | None, make_peer: Any) -> dict[str, Any]:
    label, unit = f"{name}, {_NUM_ENVS} environments", "env steps/s"
    ours = _Pair(_rlsuite, name, steps)
    if peer_id is None or peer is None or (peer_id.startswith("MinAtar/") and not _has_minatar()):
        ours.measure()
        value = sorted(ours.measure() for _ in range(5))[2]
        ours.close()
        return {"name": label, "value": value, "unit": unit}
    theirs = _Pair(make_peer, peer_id)
    figures = alternate(ours.measure, theirs.measure)
    ours.close()
    theirs.close()
    return row(label, unit, peer, figures)


class _Pair:
    """Processes that step their share of the environments at the same time, when asked to."""

    def __init__(self, make: Callable[..., Rollout], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends = []
        for process in range(_PROCESSES):
            here, there = context.Pipe()
            context.Process(target=_serve, args=(there, process, make, *arguments), daemon=True).start()
            self._ends.append(here)
        for end in self._ends:
            end.recv()

    def measure(self) -> float:
        for end in self._ends:
            end.send(True)
        return sum(end.recv() for end in self._ends)

    def close(self) -> None:
        for end in self._ends:
            end.send(False)


def _serve(connection: Any, process: int, make: Callable[..., Rollout], *arguments: Any) -> None:
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    rollout = make(process, *arguments)
    rollout()
    connection.send("ready")
    while connection.recv():
        env_steps, started = 0, time.perf_counter()
        while time.perf_counter() < started + _ROUND_SECONDS:
            env_steps += rollout()
        connection.send(env_steps / (time.perf_counter() - started))


def _rlsuite(process: int, name: str, steps: int) -> Rollout:
    import gymnasium

    import envs  # noqa: F401  registers rlsuite/*
    from rlsuite import random
    from rlsuite.training.execution import compiled

    num_envs = _NUM_ENVS // _PROCESSES
    env: Any = gymnasium.make_vec(f"rlsuite/{name}", num_envs=num_envs).unwrapped
    env.reset(seed=process * num_envs)
    keys, clock = random.key(torch.arange(num_envs), process), torch.zeros((), dtype=torch.int64)

    def region() -> list[torch.Tensor]:
        given: list[torch.Tensor] = []
        key = random.fold(keys, clock)
        for step in range(steps):
            observation, _, *rest = env.step_tensors(env.sample_actions(key + step))
            given += [observation, *rest]
        clock.add_(1)
        return given

    optimised = compiled(region, "compile")

    def rollout() -> int:
        optimised()
        return num_envs * steps

    return rollout


def _gymnasium_vector(process: int, name: str) -> Rollout:
    import gymnasium

    return _gymnasium_rollout(gymnasium.make_vec(name, _NUM_ENVS // _PROCESSES), process)


def _gymnasium_sync(process: int, name: str) -> Rollout:
    import gymnasium

    if name.startswith("MinAtar/"):
        import minatar.gym

        minatar.gym.register_envs()
    return _gymnasium_rollout(gymnasium.make_vec(name, _SYNC_NUM_ENVS // _PROCESSES, "sync"), process)


def _gymnasium_rollout(env: Any, process: int) -> Rollout:
    env.reset(seed=process * env.num_envs)
    env.action_space.seed(process)

    def rollout() -> int:
        env.step(env.action_space.sample())
        return env.num_envs

    return rollout


def _has_minatar() -> bool:
    try:
        import minatar  # noqa: F401
    except ImportError:
        return False
    return True
