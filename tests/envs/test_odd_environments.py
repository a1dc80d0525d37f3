"""Environments of odd forms: what they do with arrays, actions, rewards, infos, and with being made and closed."""

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from toy_environments import Walk

from envs.conversion import action_array, tensor_action_space
from envs.make import make_environments
from rlsuite.experience import ExperienceError
from rlsuite.networks.distributions import squash


class Odd(Walk):
    """Episodes of five steps; one buffer for all observations, the action it was given written over, odd infos."""

    observation_space = Box(0.0, 100.0, (1,), np.float32)
    action_space = Box(-1.0, 1.0, (2,), np.float64)
    buffer = np.zeros(1, np.float32)  # of all copies

    def __init__(self, size: int = 1) -> None:
        if size > 1:
            raise RuntimeError("no licence")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        gymnasium.Env.reset(self, seed=seed)
        self.time, self.sum = 0, 0.0
        self.buffer[:] = 0.0
        return self.buffer, self._info()

    def step(self, action):
        assert self.action_space.contains(action), action
        self.time, self.sum = self.time + 1, self.sum + float(action.sum())
        action *= 0.0
        self.buffer[:] = self.time
        return self.buffer, np.array([self.sum]), False, self.time >= 5, self._info()

    def _info(self):
        return {
            "visited": np.zeros(self.np_random.integers(1, 9)),
            "winner": 1 if self.np_random.random() < 0.5 else "x",
        }

    def close(self):
        raise RuntimeError("not connected to\nthe physics server")


gymnasium.register("toy/Odd-v0", Odd, disable_env_checker=True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_arrays_are_copied_rewards_are_numbers_and_infos_ignored(vectorization: Any, mode: AutoresetMode) -> None:
    def make() -> Any:
        return make_environments("toy/Odd-v0", [0], 2, vectorization=vectorization, autoreset_mode=mode)

    environments, ends = make(), []
    environments.reset()
    for _ in range(14):
        step = environments.step(torch.full((1, 2, 2), 0.5))
        ends += step.next_observation[step.truncated].flatten().tolist()
        assert set(step.reward[step.valid].tolist()) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert ends == [5.0] * 4
    state = environments.state_dict()
    again = make()
    again.load_state_dict(state)
    # The sum of the actions of an episode, which was played back, goes on.
    assert torch.equal(again.step(torch.ones(1, 2, 2)).reward, environments.step(torch.ones(1, 2, 2)).reward)
    environments.close()
    again.close()


def test_closing_that_fails_is_said_in_a_line_and_once(caplog: pytest.LogCaptureFixture) -> None:
    from rlsuite.notice import warn_once

    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "rlsuite"):
        make_environments("toy/Odd-v0", [0], 3).close()
    assert caplog.messages == ["toy/Odd-v0: close() raised RuntimeError: not connected to the physics server"]


@pytest.mark.parametrize(
    ("env_kwargs", "kind", "message"),
    [
        ({"colour": 1}, ValueError, r"cannot make toy/Odd-v0 with {'colour': 1}: TypeError: .*colour.*--env-kwargs"),
        (
            {"size": 2},
            ExperienceError,
            r"cannot make toy/Odd-v0 with {'size': 2}: RuntimeError: no licence.*--env-kwargs",
        ),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(env_kwargs: dict[str, int], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        make_environments("toy/Odd-v0", [0], 1, env_kwargs=env_kwargs)
    assert len(str(caught.value).splitlines()) == 1


LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    "space",
    [
        Box(-2.0, 2.0, (2,), np.float64),
        Box(-0.1, 0.1, (1,), np.float64),
        Box(-1.0, 1.0, (1,), np.float16),
        Box(0, 3, (1,), np.int64),
        Box(0, 255, (2,), np.uint8),
        Box(np.float32(-9.2), np.float32(-1.7), (1,), np.float32),
        Box(np.array([-1, 0], np.float32), np.array([1, 0], np.float32)),
        Box(0.0, np.inf, (1,), np.float32),
        Box(-np.inf, 3.0, (1,), np.float32),
        Box(-LARGEST, LARGEST, (1,), np.float32),
        Box(-1e300, 1.0, (1,), np.float64),
    ],
    ids=str,
)
def test_any_draw_becomes_an_action_of_the_space(space: Box) -> None:
    inner = tensor_action_space(space)
    assert inner.dtype == np.float32
    draws = torch.tensor([-1e6, -3.0, -0.2, 0.0, 0.7, 4.0, 1e6]).unsqueeze(1).expand(-1, space.shape[0])
    actions = action_array(space, squash(draws, torch.tensor(inner.low), torch.tensor(inner.high)).numpy())
    assert actions.dtype == space.dtype and np.isfinite(actions).all()
    assert all(space.contains(action) for action in actions)


def test_integers_have_equal_shares() -> None:
    space = Box(0, 3, (1,), np.int64)
    inner = tensor_action_space(space)
    evenly = np.linspace(inner.low, inner.high, 4000, dtype=np.float32)
    counts = np.unique(action_array(space, evenly), return_counts=True)
    assert counts[0].tolist() == [0, 1, 2, 3] and np.abs(counts[1] - 1000).max() <= 2


def test_bounds_that_are_none_are_infinite_and_too_many_integers_refused() -> None:
    assert not tensor_action_space(Box(-LARGEST, LARGEST, (1,), np.float32)).is_bounded("below")
    with pytest.raises(ValueError, match="more integers than"):
        tensor_action_space(Box(0, 1 << 40, (1,), np.int64))
    with pytest.raises(ValueError, match="nothing to choose"):
        tensor_action_space(Box(0.0, 1.0, (2, 0), np.float32))


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_numbers_beyond_float32_are_named(vectorization: Any) -> None:
    environments = make_environments("toy/Vast-v0", [0], 1, vectorization=vectorization)
    environments.reset()
    with pytest.raises(
        ExperienceError, match=r"the observation is -?1e\+300, more than the largest float32 \(3.4e\+38\) at"
    ):
        environments.step(torch.zeros(1, 1, dtype=torch.int64))
    environments.close()


class Vast(Walk):
    def step(self, action):
        return np.array([0.0, 1e300]), 0.0, False, False, {}


gymnasium.register("toy/Vast-v0", Vast, disable_env_checker=True)
