"""Updates a second of DDPG, nets 256-256, batch 256, one and eight seeds, beside Stable-Baselines3's DDPG.

Ours are counted while it trains on ``rlsuite/Pendulum-v1``, one env step an update included; the peer's are updates
alone, from a full replay. Both have all cores: ours gives each a tile of the seeds, the peer's operations share them.
"""

import os
import tempfile
import time
from typing import Any

import numpy as np
import torch
from benchmarks.rounds import alternate, row

_TRANSITIONS = 5_000
_UPDATES = 100  # of one round of the peer
_ROUND_SECONDS = 3.0


def rows() -> list[dict[str, Any]]:
    found = []
    for seeds in (1, 8):
        crew = _rlsuite(seeds)

        def ours(crew: Any = crew, seeds: int = seeds) -> float:
            torch.set_num_threads(1)
            before, started = crew.updates, time.perf_counter()
            while time.perf_counter() < started + _ROUND_SECONDS:
                crew.advance(1 << 60, "updates")
            return seeds * (crew.updates - before) / (time.perf_counter() - started)

        figures = alternate(ours, _stable_baselines3())
        crew.close()
        found.append(row(f"DDPG updates, {seeds} seed(s)", "updates/s over all seeds", "Stable-Baselines3", figures))
    return found


def _rlsuite(seeds: int) -> Any:
    from agents.configs import DDPGConfig
    from agents.crews import build_crew
    from agents.runs import create

    config = DDPGConfig(
        env="rlsuite/Pendulum-v1",
        seeds=seeds,
        total_env_steps=1_000_000,
        replay_capacity=_TRANSITIONS,
        learning_starts_env_steps=_TRANSITIONS,
        wandb="disabled",
        runs=tempfile.mkdtemp(),
    )
    crew = build_crew(create("ddpg", config))
    while crew.updates < _UPDATES:
        crew.advance(config.total_env_steps, "env_steps")
    return crew


def _stable_baselines3() -> Any:
    try:
        from stable_baselines3 import DDPG
    except ImportError as error:
        raise ValueError(f'the peer is not installed ({error}): pip install -e ".[peers]"') from None
    model = DDPG(
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
        observation, successor = draw.standard_normal((2, 1, 3)).astype(np.float32)
        action, reward = draw.uniform(-1, 1, (1, 1)).astype(np.float32), draw.standard_normal(1).astype(np.float32)
        model.replay_buffer.add(observation, successor, action, reward, np.zeros(1), [{}])

    def peer() -> float:
        torch.set_num_threads(os.cpu_count() or 1)
        started = time.perf_counter()
        model.train(gradient_steps=_UPDATES, batch_size=256)
        return _UPDATES / (time.perf_counter() - started)

    model.logger.output_formats.clear()
    return peer
