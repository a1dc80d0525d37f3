"""Env steps a second of the environments on tensors, random actions, beside Gymnasium's vector environments and gymnax.

gymnax (JAX) takes part where ``jax_peer`` finds it.

Ours are compiled, and every observation, reward and flag is handed out. Both sides get two processes of one thread
each, with half of the environments. SyncVectorEnv steps fewer: more would only wait longer.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.jax_peer import JaxPeer, has_jax
from benchmarks.rounds import alternate, row

_PROCESSES = 2
_ROUND_SECONDS = 0.5
_NUM_ENVS = 4096
_SYNC_NUM_ENVS = 64

_CLASSIC = ("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1", "Pendulum-v1")
_GRIDS = ("Breakout", "Freeway", "Asterix", "SpaceInvaders", "Seaquest")
# Steps of one scan of gymnax: of 1, 4 and 16 the quickest, or as quick, as tried on CartPole, Pendulum and the grids.
_GYMNAX_STEPS = dict.fromkeys(_CLASSIC, 16) | {f"{game}-MinAtar": 1 for game in _GRIDS if game != "Seaquest"}

Rollout = Callable[[], int]  # steps all environments; returns the number of env steps


def rows() -> list[dict[str, Any]]:
    found = []
    for name in _CLASSIC:
        peers: dict[str, _Peer] = {"Gymnasium SyncVectorEnv": _Pair(_gymnasium_sync, name)}
        if name == "CartPole-v1":
            peers["Gymnasium's NumPy CartPole"] = _Pair(_gymnasium_vector, name)
        found += _compare(name, peers | _gymnax(name))
    for game in _GRIDS:
        published = (
            {"published game, SyncVectorEnv": _Pair(_gymnasium_sync, f"MinAtar/{game}-v0")} if _has_minatar() else {}
        )
        found += _compare(f"MinAtar-{game}-v0", published | _gymnax(f"{game}-MinAtar"))
    for name in ("Drive-v0", "DrivePixels-v0"):
        found += _compare(name, {})
    return found


def _compare(name: str, peers: "dict[str, _Peer]") -> list[dict[str, Any]]:
    """A row for each peer, or one without."""
    label, unit = f"{name}, {_NUM_ENVS} environments", "env steps/s"
    ours = _Pair(_rlsuite, name)
    if peers:
        found = [row(label, unit, peer, alternate(ours.measure, theirs.measure)) for peer, theirs in peers.items()]
    else:
        ours.measure()
        found = [{"name": label, "value": sorted(ours.measure() for _ in range(5))[2], "unit": unit}]
    for measured in (ours, *peers.values()):
        measured.close()
    return found


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


_Peer = _Pair | JaxPeer


def _gymnax(name: str) -> dict[str, _Peer]:
    """gymnax as a peer, where it is installed and has the environment."""
    if name not in _GYMNAX_STEPS or not has_jax():
        return {}
    share = _NUM_ENVS // _PROCESSES
    arguments = [(name, share, _GYMNAX_STEPS[name], _ROUND_SECONDS, core) for core in range(_PROCESSES)]
    return {"gymnax": JaxPeer("jax_envs.py", arguments)}


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


def _rlsuite(process: int, name: str) -> Rollout:
    import gymnasium

    import envs  # noqa: F401  registers rlsuite/*
    from rlsuite import random
    from rlsuite.compiling import output_flags
    from rlsuite.training.execution import compiled

    num_envs = _NUM_ENVS // _PROCESSES
    env: Any = gymnasium.make_vec(f"rlsuite/{name}", num_envs=num_envs).unwrapped
    env.reset(seed=process * num_envs)
    keys, clock = random.key(torch.arange(num_envs), process), torch.zeros((), dtype=torch.int64)

    def region() -> list[torch.Tensor]:
        observation, _, reward, *flags = env.step_tensors(env.sample_actions(random.fold(keys, clock)))
        clock.add_(1)
        return [observation, reward, *map(output_flags, flags)]

    optimised = compiled(region, "compile")

    def rollout() -> int:
        optimised()
        return num_envs

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
