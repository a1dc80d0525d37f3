"""Plays the published MinAtar games beside ours, fed with the numbers that ours drew."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from envs.core import Dynamics, State, TorchVectorEnv
from rlsuite import random


class Script:
    """Stands in for NumPy's random state and hands out prepared answers by the name of the call."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {"rand": [], "randint": []}

    def rand(self, *shape: int) -> Any:
        return self.answers["rand"].pop(0)

    def randint(self, *args: Any, **kwargs: Any) -> Any:
        return self.answers["randint"].pop(0)


Answers = dict[str, list[Any]]


def assert_plays_like_the_published_game(
    game: str,
    dynamics: Dynamics,
    initial_answers: Callable[[Tensor], Answers],
    step_answers: Callable[[Tensor, Any], Answers],
    *,
    num_envs: int = 4,
    steps: int = 700,
    action_weights: list[float] | None = None,
    policy: Callable[[Any], int] | None = None,
    arrange: Callable[[Any, State], None] | None = None,
) -> None:
    """Compares observations, rewards and terminations at every step.

    Args:
        initial_answers: from an episode's key (int64 ``[1]``) what the published game is to draw at its start.
        step_answers: from a step's key and the published game what it is to draw in that step, the sticky chance first.
        action_weights: of the six actions, uniform unless given.
        policy: chooses actions by looking at the published game, instead of at random in half of the environments.
        arrange: changes the start of an episode in the published game and, in place, in our state of that environment.
    """
    published = pytest.importorskip("minatar", reason="the published MinAtar games (pip install minatar) are not here")
    rng = np.random.default_rng(0)
    weights = np.ones(6) / 6 if action_weights is None else np.array(action_weights) / np.sum(action_weights)
    env = TorchVectorEnv(dynamics, num_envs)
    env.reset(seed=3)
    oracles = [published.Environment(game) for _ in range(num_envs)]
    for oracle in oracles:
        oracle.random = oracle.env.random = Script()

    def restart(index: int) -> None:
        key = random.fold(env.key[index : index + 1], env.episode[index : index + 1])
        oracles[index].random.answers = initial_answers(key)
        oracles[index].reset()
        oracles[index].last_action = 0
        if arrange is not None:
            arrange(oracles[index].env, {name: value[index] for name, value in env.state.items()})

    def assert_sees(index: int, seen: Tensor, when: str) -> None:
        expected = np.moveaxis(oracles[index].state(), 2, 0)
        np.testing.assert_array_equal(seen[index].numpy() > 0, expected, err_msg=f"environment {index}, {when}")

    for index in range(num_envs):
        restart(index)
        assert_sees(index, env.observe(), "at the start")
    episodes = 0
    for step in range(steps):
        actions = rng.choice(6, num_envs, p=weights)
        for index in range(num_envs // 2 if policy else 0):
            actions[index] = policy(oracles[index].env)
        keys = random.fold(env.key, env.episode, torch.where(env.ended, 0, env.episode_length) + 1)
        observation, reward, terminated, _, info = env.step(torch.from_numpy(actions))
        assert torch.equal(observation, env.observe())
        for index, oracle in enumerate(oracles):
            oracle.random.answers = step_answers(keys[index : index + 1], oracle.env)
            expected_reward, expected_terminated = oracle.act(int(actions[index]))
            when = f"step {step}"
            assert_sees(index, info["final_obs"], when)
            assert reward[index].item() == expected_reward, when
            assert terminated[index].item() == expected_terminated, when
            if expected_terminated:
                episodes += 1
                restart(index)
                assert_sees(index, env.observe(), "after a reset")
    assert episodes > 0
