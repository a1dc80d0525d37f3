"""Evaluations: whole episodes, and an end even where episodes have none."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.dqn import DQNConfig
from agents.runs.run import Run, environments, evaluation_envs, evaluation_limit
from rlsuite.agent import Acted
from rlsuite.training.evaluation import evaluate


class Counting(gymnasium.Env):
    """Episodes of ``length`` steps with a reward of one each."""

    observation_space = gymnasium.spaces.Box(0.0, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length: int = 3) -> None:
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.full(1, self.time, np.float32), 1.0, self.time >= self.length, False, {}


gymnasium.register("toy/Counting-v0", Counting)
gymnasium.register("toy/Limited-v0", Counting, max_episode_steps=70_000)


class Still:
    def initial_state(self, num_envs):
        return {}

    def act(self, observation, state, began, env_step, *, explore):
        return Acted(torch.zeros(observation.shape[:2], dtype=torch.int64), state)


def run_of(folder, **options):
    return Run(folder, "dqn", DQNConfig(env="toy/Counting-v0", device="cpu", **options))


def played(run, episodes, num_envs, **options):
    opened = environments(run, "evaluate", num_envs)
    try:
        return evaluate(Still(), opened, episodes, **options)
    finally:
        opened.close()


def test_arguments_of_the_environment_reach_it(tmp_path):
    found = played(run_of(tmp_path, env_kwargs={"length": 7}, seeds=2), 5, 2)
    assert found.returns.tolist() == [[7.0] * 5] * 2 and found.unfinished == 0
    with pytest.raises(ValueError, match="cannot make toy/Counting-v0 with {'size': 7}"):
        played(run_of(tmp_path, env_kwargs={"size": 7}), 1, 1)
    with pytest.raises(ValueError, match="render_mode cannot be chosen"):
        played(run_of(tmp_path, env_kwargs={"render_mode": "human"}), 1, 1)


def test_a_cut_counts_open_episodes_as_they_stand_and_no_others(tmp_path):
    run = run_of(tmp_path, env_kwargs={"length": 8})
    found = played(run, 6, 2, max_env_steps=20)
    assert str(found.returns.tolist()) == "[[8.0, 8.0, 2.0, 2.0, nan, nan]]"
    assert found.unfinished == 4
    assert found.metrics()["evaluation/score"].tolist() == [5.0]
    assert found.metrics()["evaluation/length_env_steps"].tolist() == [5.0]
    assert played(run, 6, 2, max_env_steps=48).unfinished == 0


def test_whoever_watches_sees_how_far_it_is_and_may_end_it(tmp_path):
    seen = []

    def watch(progress):
        seen.append((progress.env_steps, progress.episodes))
        if progress.env_steps >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        played(run_of(tmp_path, seeds=2), 10, 2, watch=watch)
    assert seen == [(2, 0.0), (4, 0.0), (6, 2.0), (8, 2.0)]


@pytest.mark.parametrize(
    ("options", "copies"),
    [
        ({}, 1),
        ({"num_envs": 4}, 4),
        ({"num_envs": 40}, 20),
        ({"evaluation_envs": 3}, 3),
        ({"env": "rlsuite/CartPole-v1"}, 10),
        ({"env": "ALE/Pong-v5"}, 10),
        ({"env": "CartPole-v1"}, 10),
        ({"env": "CartPole-v1", "num_envs": 16}, 10),
        ({"env": "CartPole-v1", "vectorization": "async"}, 1),
        ({"env": "rlsuite/CartPole-v1", "evaluation_envs": 2}, 2),
    ],
)
def test_copies_of_an_environment_are_as_many_as_train_unless_they_cost_little(tmp_path, options, copies):
    run = Run(tmp_path, "dqn", DQNConfig(**({"env": "toy/Counting-v0"} | options)))
    assert evaluation_envs(run, 20, at_most=10) == copies


def test_evaluations_have_an_end_that_cuts_no_limited_episode(tmp_path):
    def limit(**options):
        return evaluation_limit(Run(tmp_path, "dqn", DQNConfig(**({"env": "toy/Counting-v0"} | options))), 10, 2)

    assert limit(total_env_steps=500) == 100_000
    assert limit(total_env_steps=5_000_000) == 5_000_000
    assert limit(evaluation_max_env_steps=7) == 7
    assert limit(env="toy/Limited-v0") >= 10 * 70_000
    assert limit(env="ALE/Pong-v5", total_env_steps=100) >= 10 * 27_000
