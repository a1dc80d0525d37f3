"""Every agent really learns something, in seconds: two seeds as one program, far from what acting at random brings."""

from typing import Any

import pytest

from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_worker
from agents.runs.run import Run

COMMON: dict[str, Any] = {"hidden": (64, 64), "seeds": 2, "evaluation_episodes": 10, "threads": 1, "execution": "eager"}
PENDULUM: dict[str, Any] = {
    "env": "rlsuite/Pendulum-v1",
    "total_env_steps": 5_000,
    "num_envs": 4,
    "discount": (0.98,),
    "batch_size": 128,
    "random_env_steps": 1_000,
    "learning_starts_env_steps": 1_000,
    "train_every_env_steps": 4,
    "updates_per_train": 4,
}
CASES = {
    # Random actions keep the pole up for 22 steps of 500.
    "dqn": (
        DQNConfig(
            env="rlsuite/CartPole-v1",
            total_env_steps=10_000,
            num_envs=8,
            learning_rate=(5e-4,),
            n_step=3,
            batch_size=64,
            learning_starts_env_steps=500,
            train_every_env_steps=8,
            updates_per_train=4,
            tau=0.01,
            epsilon_decay_env_steps=3_000,
            epsilon_end=(0.02,),
            **COMMON,
        ),
        90.0,
    ),
    "reinforce": (
        ReinforceConfig(
            env="rlsuite/CartPole-v1",
            total_env_steps=60_000,
            num_envs=16,
            rollout_env_steps=2_048,
            discount=(0.98,),
            learning_rate=(1e-2,),
            baseline_learning_rate=(1e-2,),
            **COMMON,
        ),
        150.0,
    ),
    # Random torques make -1,200.
    "ddpg": (DDPGConfig(**PENDULUM, **COMMON), -700.0),
}


SLOW = ("dqn", "ddpg")


@pytest.mark.parametrize("agent", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES])
def test_it_gets_far(agent, tmp_path):
    config, score = CASES[agent]
    worker = build_worker(Run(tmp_path, agent, config))
    while worker.env_steps < config.total_env_steps:
        worker.advance(config.total_env_steps)
    assert worker.evaluate()["evaluation/score"].mean() >= score
    worker.close()
