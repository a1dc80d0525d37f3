"""What is compiled computes what runs eagerly: acting, stepping, storing, sampling and learning."""

from dataclasses import replace

import gymnasium
import pytest
import torch

from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_worker
from agents.runs.registry import find
from agents.runs.run import Run
from agents.td3 import TD3Config
from rlsuite.replay.prioritised import Prioritised

# Its episodes are cut after five steps, or end.
gymnasium.register("brief/CartPole-v1", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=5)

# Rounds of few vector steps and updates are one region, others several.
SMALL = {"hidden": (16,), "seeds": 2, "num_envs": 4, "threads": 1}
REPLAY = {"learning_starts_env_steps": 32, "replay_capacity": 200, "batch_size": 8, "train_every_env_steps": 4}
LONG_ROUNDS = {"updates_per_train": 5}
NORMALISED = {"normalise_observations": True, "normalise_rewards": True}
CONFIGS = {
    "dqn": DQNConfig(env="rlsuite/CartPole-v1", target_period_updates=5, n_step=3, **REPLAY, **SMALL),
    "dqn, long rounds": DQNConfig(env="rlsuite/CartPole-v1", tau=0.1, **REPLAY | LONG_ROUNDS, **SMALL),
    "dqn, on the host": DQNConfig(env="brief/CartPole-v1", target_period_updates=5, n_step=3, **REPLAY, **SMALL),
    "dqn, stacked frames": DQNConfig(env="ALE/Pong-v5", clip_rewards=True, **REPLAY, **SMALL | {"seeds": 1}),
    "td3": TD3Config(env="rlsuite/Pendulum-v1", policy_delay_updates=3, **NORMALISED, **REPLAY, **SMALL),
    "ddpg": DDPGConfig(env="rlsuite/Pendulum-v1", noise="ornstein-uhlenbeck", random_env_steps=40, **REPLAY, **SMALL),
    "reinforce": ReinforceConfig(env="rlsuite/CartPole-v1", rollout_env_steps=32, **SMALL),
    "ppo": PPOConfig(env="rlsuite/CartPole-v1", rollout_env_steps=32, minibatches=4, **SMALL),
}


SLOW = set(CONFIGS) - {"dqn"}  # compiling takes long, and others compile most of the same parts


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CONFIGS])
def test_a_compiled_run_equals_an_eager_one(name, tmp_path, caplog):
    assert_compiled_equals_eager(name.partition(",")[0], CONFIGS[name], tmp_path, caplog)


@pytest.mark.slow  # it compiles three parts
def test_what_lies_around_a_replay_that_is_not_compiled_equals_what_runs_eagerly(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Prioritised, "compilable", False)
    assert_compiled_equals_eager("dqn", replace(CONFIGS["dqn"], replay_priority_exponent=0.5), tmp_path, caplog)


def assert_compiled_equals_eager(agent, config, folder, caplog):
    states = []
    for execution in ("eager", "compile"):
        worker = build_worker(Run(folder, agent, replace(config, execution=execution)))
        while worker.env_steps < 160:
            worker.advance(160)
        states.append(worker.state_dict())
        assert worker.updates >= 5
    assert "eager" not in caplog.text  # what it says where compiling failed
    compare(*states)


def compare(expected, found, name=""):
    if isinstance(expected, dict):
        assert expected.keys() == found.keys()
        for key in expected:
            compare(expected[key], found[key], f"{name}/{key}")
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3, equal_nan=True, msg=name)
    else:
        assert expected == found, name


@pytest.mark.parametrize("name", ["a2c", "ddpg", "dqn", "pqn", "ppo", "reinforce"])
def test_the_length_of_a_run_is_understood_by_the_compiler(name):
    config = find(name).config_class()(env="CartPole-v1")
    share = torch.compile(lambda updates: updates / config.total_updates, backend="eager", fullgraph=True)
    assert share(torch.ones(1)).item() == pytest.approx(1 / config.total_updates)
