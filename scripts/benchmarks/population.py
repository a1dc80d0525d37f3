"""Env steps a second of DQN on CartPole, many seeds as one program, beside Stable-Baselines3 training one.

Hyperparameters of CleanRL's dqn.py: batch 128, one update every 10 env steps, network 120-84, Adam 2.5e-4, plain
targets copied every 500 env steps; 10 environments a seed. Each seed's figures count, so 10 seeds at 1,000 a second are
10,000.

A DQN in JAX (``jax_dqn.py``) takes part where ``jax_peer`` finds it.

The limit is what the matrix products of the updates alone allow: those of the forward and backward passes, stacked over
as many seeds as our shards have, measured in the same run in as many processes of one thread.
"""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.jax_peer import JaxPeer, has_jax
from benchmarks.ours import learning_workers, training_speed
from benchmarks.peers import STABLE_BASELINES3, learning_speed, stable_baselines3
from benchmarks.rounds import alternate, row

from agents.dqn import DQNConfig
from rlsuite.training.per_seed import even_split
from rlsuite.training.shards import Shards
from rlsuite.training.trainer import Workers

_SEEDS = (1, 10, 32)
_ENV_STEPS_AN_UPDATE = 10
_BATCH = 128
_WIDTHS = (4, 120, 84, 2)
_LEARNING_STARTS = 1_000
_PEER_ENV_STEPS = 3_000
_JAX_SECONDS = 3.0


def rows() -> list[dict[str, Any]]:
    found = []
    for seeds in _SEEDS:
        started = time.perf_counter()
        with learning_workers("dqn", DQNConfig(**options(seeds)), updates=100) as workers:
            seconds_to_start = time.perf_counter() - started
            ours = training_speed(workers, seeds, "env_steps")
            name, unit = f"DQN on CartPole, {seeds} seed(s)", "env steps/s over all seeds"
            if seeds == 1:
                found.append(row(name, unit, STABLE_BASELINES3, alternate(ours, _peer())))
            for peer, cores in _jax(seeds).items():
                theirs = JaxPeer("jax_dqn.py", cores)
                found.append(row(name, unit, peer, alternate(ours, theirs.measure)))
                theirs.close()
            found.append(row(name, unit, "bare products", alternate(ours, _limit(seeds, workers))))
        found.append({"name": "  until it learned, compiling included", "value": seconds_to_start, "unit": "s"})
    return found


def options(seeds: int) -> dict[str, Any]:
    """The options of the training, which ``jax_dqn.py`` has too."""
    return {
        "env": "rlsuite/CartPole-v1",
        "seeds": seeds,
        "num_envs": _ENV_STEPS_AN_UPDATE,
        "total_env_steps": 500_000,
        "hidden": _WIDTHS[1:-1],
        "batch_size": _BATCH,
        "learning_rate": (2.5e-4,),
        "replay_capacity": 10_000,
        "learning_starts_env_steps": _LEARNING_STARTS,
        "train_every_env_steps": _ENV_STEPS_AN_UPDATE,
        "target_period_updates": 50,
        "epsilon_decay_env_steps": 250_000,
        "max_gradient_norm": None,
        "target_rule": "one-step",
        "loss": "mse",
    }


def _jax(seeds: int) -> dict[str, list[tuple[int, float, str]]]:
    """Ways to run DQN in JAX: the arguments of each process of ``jax_dqn.py``."""
    if not has_jax():
        return {}
    cores = os.cpu_count() or 1
    ways = {"JAX, one process": [(seeds, _JAX_SECONDS, ",".join(map(str, range(cores))))]}
    if cores > 1:
        shares = [len(share) for share in even_split(seeds, cores)]
        ways["JAX, a core a process"] = [(share, _JAX_SECONDS, str(core)) for core, share in enumerate(shares) if share]
    return ways


def _limit(seeds: int, workers: Workers) -> Callable[[], float]:
    """The rate of products alone, on all cores, by shards of as many seeds as those of ``workers``."""
    processes = min(seeds, os.cpu_count() or 1)
    shard = max(workers.sizes) if isinstance(workers, Shards) else seeds
    context = multiprocessing.get_context("spawn")

    def measure() -> float:
        with context.Pool(processes) as pool:
            seconds = pool.map(_products, [shard] * processes)
        return sum(_ENV_STEPS_AN_UPDATE * shard / each for each in seconds)

    return measure


def _products(seeds: int) -> float:
    """Seconds that the matrix products of one update of ``seeds`` stacked networks take."""
    torch.set_num_threads(1)
    layers = list(itertools.pairwise(_WIDTHS))
    inputs = [torch.randn(seeds, _BATCH, before) for before, _ in layers]
    gradients = [torch.randn(seeds, _BATCH, after) for _, after in layers]
    # The last layer's few outputs come first in its weights, which is the quicker way round.
    weights = [torch.randn(seeds, before, after) for before, after in layers[:-1]]
    head = torch.randn(seeds, *reversed(layers[-1]))

    def products() -> None:
        for _network in ("target", "online"):
            for weight, x in zip(weights, inputs, strict=False):
                torch.bmm(x, weight)
            torch.bmm(head, inputs[-1].mT)
        for x, gradient in zip(inputs[:-1], gradients, strict=False):
            torch.bmm(x.mT, gradient)
        torch.bmm(gradients[-1].mT, inputs[-1])
        for weight, gradient in zip(weights[1:], gradients[1:], strict=False):
            torch.bmm(gradient, weight.mT)
        torch.bmm(gradients[-1], head)

    for _ in range(20):
        products()
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + 1.0:
        products()
        count += 1
    return (time.perf_counter() - started) / count


def _peer() -> Callable[[], float]:
    model = stable_baselines3().DQN(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=2.5e-4,
        buffer_size=10_000,
        learning_starts=_LEARNING_STARTS,
        batch_size=_BATCH,
        train_freq=_ENV_STEPS_AN_UPDATE,
        target_update_interval=500,
        policy_kwargs={"net_arch": list(_WIDTHS[1:-1])},
        seed=0,
    )
    model.learn(_LEARNING_STARTS + 100)
    return learning_speed(model, _PEER_ENV_STEPS)
