"""Memory and sampling speed of the replays beside Stable-Baselines3's replay buffer.

Both hold the same number of transitions of 8 environments and hand out torch tensors on the CPU, as the DQN of each
asks for them; ours draws its random key in the same breath. Memory is what the arrays take once full. A ratio above 1
always speaks for rlsuite.
"""

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from benchmarks.peers import STABLE_BASELINES3, stable_baselines3
from benchmarks.rounds import alternate, row
from gymnasium.spaces import Box, Discrete

from rlsuite import random
from rlsuite.experience import Batch, Step
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.replay import Replay, Store
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.memory import keep_freed_memory

_NUM_ENVS = 8
_TRANSITIONS = 20_000
_MEMORY_TRANSITIONS = 80_000  # never filled: all arrays take memory page by page
_EPISODE_STEPS = 500
_ACTIONS = 6
_BATCH_SIZES = (32, 256)
_SAMPLES = {32: 200, 256: 40}  # of one round
_WAYS: dict[str, Execution] = {"eager": "eager", "compiled": "compile"}


def rows() -> list[dict[str, Any]]:
    keep_freed_memory()  # as in training, for both competitors
    atari = Box(0, 255, (4, 84, 84), np.uint8)
    vectors = Box(-np.inf, np.inf, (4,), np.float32)
    shared: dict[str, Any] = {"seeds": 1, "num_envs": _NUM_ENVS, "discount": 0.99}
    frames = FrameStore(_TRANSITIONS, stack=4, frame_shape=(84, 84), **shared)
    whole = TransitionStore(_TRANSITIONS, observation_shape=(4,), **shared)
    found = _memory(atari, shared)
    for name, space, store in (("Atari", atari, frames), ("vectors of 4", vectors, whole)):
        peer = _peer(space)
        _fill(space, store, peer)
        for batch_size in _BATCH_SIZES:
            for how, execution in _WAYS.items():
                figures = alternate(_ours(store, batch_size, execution), _theirs(peer, batch_size))
                found.append(row(f"sample({batch_size}), {name}, {how}", "batches/s", STABLE_BASELINES3, figures))
    return found


def _memory(space: Box, shared: dict[str, Any]) -> list[dict[str, Any]]:
    ours = FrameStore(_MEMORY_TRANSITIONS, stack=4, frame_shape=(84, 84), **shared).nbytes
    found = []
    for layout, options in (
        (STABLE_BASELINES3, {}),
        (
            f"{STABLE_BASELINES3}, optimize_memory_usage",
            {"optimize_memory_usage": True, "handle_timeout_termination": False},
        ),
    ):
        peer = _peer(space, _MEMORY_TRANSITIONS, **options)
        theirs = sum(value.nbytes for value in vars(peer).values() if isinstance(value, np.ndarray))
        figures = (ours / _MEMORY_TRANSITIONS, theirs / _MEMORY_TRANSITIONS, theirs / ours)
        found.append(row("Atari transition", "bytes", layout, figures))
    return found


def _peer(space: gymnasium.Space[Any], capacity: int = _TRANSITIONS, **options: Any) -> Any:
    buffer = stable_baselines3(".common.buffers").ReplayBuffer
    return buffer(capacity, space, Discrete(_ACTIONS), device="cpu", n_envs=_NUM_ENVS, **options)


def _fill(space: Box, store: Store, peer: Any) -> None:
    """The same episodes into both, all truncated after ``_EPISODE_STEPS``."""
    generator = np.random.default_rng(0)
    variety = 16
    images = generator.integers(0, 255, (variety + 1, _NUM_ENVS, *space.shape)).astype(space.dtype)
    valid = np.ones(_NUM_ENVS, dtype=bool)
    for vector_step in range(_TRANSITIONS // _NUM_ENVS):
        observation, next_observation = images[vector_step % variety], images[vector_step % variety + 1]
        action, reward = generator.integers(0, _ACTIONS, _NUM_ENVS), generator.normal(size=_NUM_ENVS).astype(np.float32)
        truncated = valid & (vector_step % _EPISODE_STEPS == _EPISODE_STEPS - 1)
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in truncated]
        peer.add(observation, next_observation, action, reward, truncated, infos)
        arrays = (next_observation, next_observation, reward, ~valid, truncated, valid, valid, truncated)
        step = Step(*(torch.from_numpy(array).unsqueeze(0) for array in arrays))
        store.add(torch.from_numpy(observation).unsqueeze(0), torch.from_numpy(action).unsqueeze(0), step)


def _ours(store: Store, batch_size: int, execution: Execution) -> Callable[[], float]:
    replay, seeds = Replay(store, batch_size), torch.tensor([0])
    drawn = torch.zeros((), dtype=torch.int64)

    def sample() -> Batch:
        drawn.add_(1)
        return replay.sample(random.key(seeds, drawn))

    chosen = compiled(sample, execution)
    return lambda: _rate(chosen, _SAMPLES[batch_size])


def _theirs(peer: Any, batch_size: int) -> Callable[[], float]:
    return lambda: _rate(lambda: peer.sample(batch_size), _SAMPLES[batch_size])


def _rate(sample: Callable[[], object], samples: int) -> float:
    started = time.perf_counter()
    for _ in range(samples):
        sample()
    return samples / (time.perf_counter() - started)
