"""Updates a second of DDPG, nets 256-256, batch 256, one and eight seeds, beside Stable-Baselines3's DDPG.

Ours are counted while it trains on ``rlsuite/Pendulum-v1``, one env step an update included; the peer's are updates
alone, from a full replay. Both have all cores: ours gives each a shard of the seeds where there are several.
Else operations share them.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from benchmarks.ours import learning_workers, training_speed
from benchmarks.peers import STABLE_BASELINES3, stable_baselines3, with_all_cores
from benchmarks.rounds import alternate, row

from agents.ddpg import DDPGConfig

_TRANSITIONS = 5_000
_UPDATES = 100  # of one round of the peer


def rows() -> Iterator[dict[str, Any]]:
    for seeds in (1, 8):
        with learning_workers("ddpg", _config(seeds), _UPDATES) as workers:
            figures = alternate(training_speed(workers, seeds, "updates"), with_all_cores(learner_alone("DDPG")))
        yield row(f"DDPG updates, {seeds} seed(s)", "updates/s over all seeds", STABLE_BASELINES3, figures)


def _config(seeds: int) -> DDPGConfig:
    return DDPGConfig(
        env="rlsuite/Pendulum-v1",
        seeds=seeds,
        total_env_steps=1_000_000,
        replay_capacity=_TRANSITIONS,
        learning_starts_env_steps=_TRANSITIONS,
    )


def learner_alone(name: str) -> Callable[[], float]:
    """Updates a second of an agent of Stable-Baselines3 that learns from a full replay, and does nothing else."""
    model = getattr(stable_baselines3(), name)(
        "MlpPolicy",
        "Pendulum-v1",
        batch_size=256,
        buffer_size=_TRANSITIONS,
        policy_kwargs={"net_arch": [256, 256]},
        seed=0,
    )
    model._setup_learn(total_timesteps=1)
    assert model.replay_buffer is not None
    draw = np.random.default_rng(0)
    for _ in range(_TRANSITIONS):
        observation, next_observation = draw.standard_normal((2, 1, 3)).astype(np.float32)
        action, reward = draw.uniform(-1, 1, (1, 1)).astype(np.float32), draw.standard_normal(1).astype(np.float32)
        model.replay_buffer.add(observation, next_observation, action, reward, np.zeros(1), [{}])

    def peer() -> float:
        started = time.perf_counter()
        model.train(gradient_steps=_UPDATES, batch_size=256)
        return _UPDATES / (time.perf_counter() - started)

    model.logger.output_formats.clear()
    return peer
