"""Schedules know how many updates a run takes, so that what falls over it ends where it should, no sooner or later."""

from typing import Any

import pytest

from agents.a2c import A2CConfig
from agents.alphazero import AlphaZeroConfig
from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.pqn import PQNConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_worker
from agents.runs.deciding import for_its_length
from agents.runs.run import Run
from agents.sac import SACConfig

SMALL: dict[str, Any] = {"hidden": (8,), "execution": "eager", "device": "cpu"}
CARTPOLE: dict[str, Any] = SMALL | {"env": "CartPole-v1", "total_env_steps": 100}
REPLAY: dict[str, Any] = {"batch_size": 4, "replay_capacity": 100, "learning_starts_env_steps": 40}
NORMALISED: dict[str, Any] = {"normalise_observations": True}


@pytest.mark.parametrize(
    ("agent", "config"),
    [
        ("dqn", DQNConfig(**CARTPOLE, **REPLAY, train_every_env_steps=3, updates_per_train=2)),
        ("sac", SACConfig(**CARTPOLE | {"env": "Pendulum-v1"}, **REPLAY, train_every_env_steps=2, random_env_steps=10)),
        ("dqn", for_its_length(DQNConfig(**CARTPOLE, **REPLAY, num_envs=8, n_step=7, train_every_env_steps=8))),
        ("ppo", PPOConfig(**CARTPOLE, num_envs=7, rollout_env_steps=16, epochs=3, minibatches=2)),
        ("ppo", PPOConfig(**CARTPOLE, num_envs=4, rollout_env_steps=16, epochs=3, minibatches=2, **NORMALISED)),
        ("a2c", A2CConfig(**CARTPOLE, num_envs=10, rollout_env_steps=16)),
        ("pqn", PQNConfig(**CARTPOLE, num_envs=7, rollout_env_steps=16, epochs=1, minibatches=2)),
        ("reinforce", ReinforceConfig(**CARTPOLE, num_envs=7, rollout_env_steps=16, **NORMALISED)),
    ],
)
def test_schedules_count_to_the_updates_there_are(agent, config, tmp_path):
    worker = build_worker(Run(tmp_path, agent, config))
    while worker.env_steps < config.total_env_steps:
        worker.advance(config.total_env_steps)
    steps = worker.updates * (config.epochs * config.minibatches if hasattr(config, "minibatches") else 1)
    assert steps == config.total_updates
    worker.close()


def test_a_run_that_ends_before_there_is_anything_to_learn_from_is_refused():
    with pytest.raises(ValueError, match="the first update comes after 104, which 8 environments take for --n-step"):
        for_its_length(DQNConfig(**CARTPOLE, num_envs=8, n_step=13))
    with pytest.raises(ValueError, match="alphazero draws positions alike"):
        AlphaZeroConfig(env="rlsuite/TicTacToe-v0", replay_priority_exponent=0.5)


def test_a_run_of_the_rollout_that_scales_are_measured_by_says_that_nothing_is_learned(caplog):
    for_its_length(PPOConfig(**CARTPOLE, rollout_env_steps=64, num_envs=4, **NORMALISED))
    assert caplog.text == ""
    for_its_length(PPOConfig(**CARTPOLE, rollout_env_steps=104, num_envs=4, **NORMALISED))
    assert "nothing is learned" in caplog.text
