"""Updates a second of DDPG, nets 256-256, batch 256, one and eight seeds, beside Stable-Baselines3's DDPG.

Only updates are timed: both sample a full replay of Pendulum-v1 transitions and learn. All cores.
"""

import time
from typing import Any

import numpy as np
import torch
from benchmarks.rounds import alternate, row

_TRANSITIONS = 5_000
_UPDATES = 100  # of one round


def rows() -> list[dict[str, Any]]:
    peer = _stable_baselines3()
    found = []
    for seeds in (1, 8):
        figures = alternate(_rlsuite(seeds), peer)
        found.append(row(f"DDPG updates, {seeds} seed(s)", "updates/s over all seeds", "Stable-Baselines3", figures))
    return found


def _rlsuite(seeds: int) -> Any:
    import gymnasium

    from agents.configs import DDPGConfig
    from agents.ddpg import DDPG
    from rlsuite import random
    from rlsuite.experience import Step
    from rlsuite.replay.uniform import UniformReplay

    environment = gymnasium.make("Pendulum-v1")
    config = DDPGConfig(env="Pendulum-v1", execution="compile")
    agent = DDPG(config, environment.observation_space, environment.action_space, range(seeds))
    replay = UniformReplay(
        _TRANSITIONS,
        seeds=seeds,
        num_envs=1,
        observation_shape=(3,),
        action_shape=(1,),
        action_dtype=torch.float32,
        discount=0.98,
    )
    flags = torch.zeros(seeds, 1, dtype=torch.bool)
    for _ in range(_TRANSITIONS):
        observation, successor = torch.randn(2, seeds, 1, 3)
        step = Step(successor, successor, torch.randn(seeds, 1), flags, flags, ~flags, ~flags)
        replay.add(observation, torch.rand(seeds, 1, 1) * 4 - 2, step)
    keys = torch.arange(seeds)

    def ours() -> float:
        started = time.perf_counter()
        for update in range(_UPDATES):
            agent.update(replay.sample(256, random.key(keys, update)))
        return seeds * _UPDATES / (time.perf_counter() - started)

    return ours


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
        started = time.perf_counter()
        model.train(gradient_steps=_UPDATES, batch_size=256)
        return _UPDATES / (time.perf_counter() - started)

    model.logger.output_formats.clear()
    return peer
