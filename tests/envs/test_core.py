"""The vector environment on tensors: resets, masks, seeds, statistics, save and restore, and bad input."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from torch import Tensor

from envs.cartpole import CartPole
from envs.core import State, TorchVectorEnv
from envs.info import STATISTICS
from envs.pendulum import Pendulum
from rlsuite import random


class Countdown:
    """Starts at a drawn number, counts down with each step, adds drawn noise to the reward, terminates at zero."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(2)
    max_episode_steps = 6
    render_fps = 10
    is_random = True

    def initial(self, key: Tensor) -> State:
        start = random.integers(key, 9, 1).squeeze(-1) + 1
        return {"left": start, "start": start}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        left = state["left"] - 1
        return {"left": left, "start": state["start"]}, random.uniform(key, 1).squeeze(-1) + action, left == 0

    def observe(self, state: State) -> Tensor:
        return torch.stack((state["left"], state["start"]), dim=-1).float()

    def render(self, state: State) -> np.ndarray:
        return np.full((4, 5, 3), int(state["left"]), np.uint8)


def _rollout(env: TorchVectorEnv, steps: int, seed: int | list[int] = 0) -> list[tuple[Any, ...]]:
    env.reset(seed=seed)
    width = env.num_envs
    return [env.step(torch.full((width,), step % 2)) for step in range(steps)]


def _transitions(mode: AutoresetMode, steps: int = 60) -> list[list[tuple[Any, ...]]]:
    """For each environment its (observation, reward, terminated, truncated, next observation), phantoms left out."""
    env = TorchVectorEnv(Countdown(), 3, autoreset_mode=mode)
    observation, _ = env.reset(seed=5)
    found: list[list[tuple[Any, ...]]] = [[], [], []]
    phantom = torch.zeros(3, dtype=torch.bool)
    for _ in range(steps):
        after, reward, terminated, truncated, info = env.step(torch.ones(3, dtype=torch.int64))
        ended = terminated | truncated
        next_observation = info["final_obs"] if mode is AutoresetMode.SAME_STEP else after
        for i in range(3):
            if mode is not AutoresetMode.NEXT_STEP or not phantom[i]:
                flags = (bool(terminated[i]), bool(truncated[i]))
                found[i].append(
                    (tuple(observation[i].tolist()), float(reward[i]), *flags, tuple(next_observation[i].tolist()))
                )
        if mode is AutoresetMode.NEXT_STEP:
            assert torch.equal(info["valid"], ~phantom)
            phantom = ended
        elif mode is AutoresetMode.DISABLED and ended.any():
            after, _ = env.reset(options={"reset_mask": ended})
        observation = after
    return found


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_the_autoreset_modes_make_the_same_transitions(mode: AutoresetMode) -> None:
    for expected, found in zip(_transitions(AutoresetMode.SAME_STEP), _transitions(mode), strict=True):
        assert len(found) >= 40
        assert found == expected[: len(found)]


def test_episodes_end_by_themselves_or_at_the_limit() -> None:
    for transitions in _transitions(AutoresetMode.SAME_STEP):
        for observation, _, terminated, truncated, next_observation in transitions:
            left, start = next_observation
            assert terminated == (left == 0)
            assert truncated == (start - left == Countdown.max_episode_steps)
            assert left == observation[0] - 1


@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
def test_statistics_are_those_of_the_episode_that_ended(mode: AutoresetMode) -> None:
    env = TorchVectorEnv(Countdown(), 4, autoreset_mode=mode)
    total, length = torch.zeros(4), torch.zeros(4)
    for _, reward, terminated, truncated, info in _rollout(env, 50):
        counted = info.get("valid", torch.ones(4, dtype=torch.bool))
        total, length = total + reward, length + counted
        ended = terminated | truncated
        assert torch.equal(info[f"_{STATISTICS}"], ended)
        torch.testing.assert_close(info[STATISTICS]["r"], total)
        assert torch.equal(info[STATISTICS]["l"], length.int())
        total, length = total * ~ended, length * ~ended


def test_phantom_steps_earn_nothing() -> None:
    env = TorchVectorEnv(Countdown(), 4, autoreset_mode=AutoresetMode.NEXT_STEP)
    phantoms = 0
    for _, reward, terminated, truncated, info in _rollout(env, 50):
        phantom = ~info["valid"]
        phantoms += int(phantom.sum())
        assert not (reward[phantom].any() or terminated[phantom].any() or truncated[phantom].any())
    assert phantoms > 10


def test_an_environment_does_the_same_alone_and_in_company() -> None:
    together = _rollout(TorchVectorEnv(Countdown(), 5), 40, seed=[9, 8, 7, 6, 5])
    alone = _rollout(TorchVectorEnv(Countdown(), 1), 40, seed=7)
    for many, one in zip(together, alone, strict=True):
        for index in range(4):
            assert torch.equal(many[index][2:3], one[index])


def test_a_seed_counts_up_over_the_environments_and_seeds_repeat() -> None:
    env = TorchVectorEnv(CartPole(), 3)
    first, _ = env.reset(seed=10)
    second_episode, _ = env.reset()
    listed, _ = env.reset(seed=[10, 11, 12])
    assert torch.equal(first, listed)
    assert torch.equal(second_episode, env.reset()[0])
    assert not torch.equal(first, second_episode)
    assert len(first.unique(dim=0)) == 3


def test_without_a_seed_environments_differ_from_run_to_run() -> None:
    first, _ = TorchVectorEnv(CartPole(), 2).reset()
    second, _ = TorchVectorEnv(CartPole(), 2).reset()
    assert not torch.equal(first, second)


def test_a_masked_reset_leaves_the_others_alone() -> None:
    env = TorchVectorEnv(CartPole(), 3, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    before, *_ = env.step(torch.zeros(3, dtype=torch.int64))
    after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.equal(after[1], before[1])
    assert env.episode_length.tolist() == [1, 0, 1]


@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
def test_a_restored_environment_goes_on_exactly(mode: AutoresetMode) -> None:
    env = TorchVectorEnv(Countdown(), 4, autoreset_mode=mode)
    _rollout(env, 17)
    saved = env.state_dict()
    action = torch.ones(4, dtype=torch.int64)
    expected = [env.step(action) for _ in range(20)]

    other = TorchVectorEnv(Countdown(), 4, autoreset_mode=mode)
    other.load_state_dict(saved)
    for left, right in zip(expected, (other.step(action) for _ in range(20)), strict=True):
        for index in range(4):
            assert torch.equal(left[index], right[index])
        assert torch.equal(left[4][STATISTICS]["r"], right[4][STATISTICS]["r"])


def test_state_keeps_its_addresses() -> None:
    env = TorchVectorEnv(CartPole(), 4)
    tensors = [*env.state.values(), env.key, env.episode, env.episode_length, env.episode_return, env.ended]
    addresses = [tensor.data_ptr() for tensor in tensors]
    _rollout(env, 30)
    env.load_state_dict(env.state_dict())
    tensors = [*env.state.values(), env.key, env.episode, env.episode_length, env.episode_return, env.ended]
    assert addresses == [tensor.data_ptr() for tensor in tensors]


def test_what_a_step_returned_is_not_changed_by_the_next() -> None:
    env = TorchVectorEnv(CartPole(), 2)
    env.reset(seed=0)
    observation, *_, info = env.step(torch.ones(2, dtype=torch.int64))
    kept = [observation.clone(), info[STATISTICS]["r"].clone(), info["final_obs"].clone()]
    env.step(torch.ones(2, dtype=torch.int64))
    for now, then in zip((observation, info[STATISTICS]["r"], info["final_obs"]), kept, strict=True):
        assert torch.equal(now, then)


def test_compiled_steps_equal_eager_steps() -> None:
    eager, compiled = (TorchVectorEnv(Countdown(), 16, compile=compile) for compile in (False, True))
    for left, right in zip(_rollout(eager, 30), _rollout(compiled, 30), strict=True):
        for index in range(4):
            torch.testing.assert_close(left[index], right[index])


def test_sampled_actions_cover_the_space() -> None:
    keys = random.key(torch.arange(1000))
    assert TorchVectorEnv(CartPole(), 1000).sample_actions(keys).bincount().min() > 400
    torques = TorchVectorEnv(Pendulum(), 1000).sample_actions(keys)
    assert torques.shape == (1000, 1)
    assert -2 <= torques.min() < -1.9 < 1.9 < torques.max() < 2


def test_render_draws_the_chosen_environments() -> None:
    env = TorchVectorEnv(Countdown(), 6, render_mode="rgb_array")
    env.reset(seed=0)
    assert len(env.render()) == 6
    env.render_indices = (4, 1)
    assert [int(frame[0, 0, 0]) for frame in env.render()] == env.state["left"][[4, 1]].tolist()


def test_rendering_needs_its_mode() -> None:
    env = TorchVectorEnv(Countdown(), 1)
    with pytest.warns(UserWarning, match="rgb_array"):
        assert env.render() is None


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (torch.zeros(3, dtype=torch.int64), r"integers \[2\]"),
        (torch.zeros(2), r"integers \[2\].*float32"),
        (torch.zeros(2, dtype=torch.bool), r"integers \[2\].*bool"),
        (torch.tensor([0, 2]), "0 to 1"),
        (torch.tensor([-1, 0]), "0 to 1"),
    ],
)
def test_bad_discrete_actions_are_named(action: Tensor, message: str) -> None:
    env = TorchVectorEnv(CartPole(), 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (torch.zeros(2), r"floating point \[2, 1\]"),
        (torch.zeros(2, 1, dtype=torch.int64), r"floating point \[2, 1\]"),
        (torch.tensor([[0.0], [float("nan")]]), "finite"),
        (torch.tensor([[0.0], [float("inf")]]), "finite"),
    ],
)
def test_bad_continuous_actions_are_named(action: Tensor, message: str) -> None:
    env = TorchVectorEnv(Pendulum(), 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_steps_beyond_an_end_are_refused_when_nothing_resets() -> None:
    env = TorchVectorEnv(Countdown(), 1, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="reset_mask"):
        for _ in range(10):
            env.step(torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1"),
        ({"num_envs": 10**14}, r"about 6.\de\+06 GiB"),
        ({"device": "cuda:99"}, "'cuda:99' is not available"),
        ({"render_mode": "human"}, "rgb_array"),
    ],
)
def test_impossible_environments_say_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchVectorEnv(CartPole(), **({"num_envs": 2} | options))


def test_bad_seeds_and_masks_are_named() -> None:
    env = TorchVectorEnv(CartPole(), 2)
    with pytest.raises(ValueError, match="one seed for each of 2"):
        env.reset(seed=[1])
    with pytest.raises(ValueError, match=r"reset_mask must be bool \[2\]"):
        env.reset(options={"reset_mask": torch.zeros(3, dtype=torch.bool)})


def test_foreign_states_are_refused() -> None:
    env = TorchVectorEnv(CartPole(), 2)
    with pytest.raises(ValueError, match="Pendulum, not of CartPole"):
        env.load_state_dict(TorchVectorEnv(Pendulum(), 2).state_dict())
    with pytest.raises(ValueError, match="3 environments, not 2"):
        env.load_state_dict(TorchVectorEnv(CartPole(), 3).state_dict())
