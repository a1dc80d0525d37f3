"""CartPole against Gymnasium's own, transition by transition."""

import gymnasium
import numpy as np
import pytest
import torch
from classic_oracle import assert_same_transitions

from envs.cartpole import ANGLE_LIMIT, POSITION_LIMIT, CartPole
from rlsuite import random

NAMES = ("position", "velocity", "angle", "angular_velocity")


def _states(rng: np.random.Generator) -> np.ndarray:
    inside = rng.uniform([-2.4, -3, -0.21, -3], [2.4, 3, 0.21, 3], (400, 4))
    # Positions do not depend on the force, so these land a hair inside and outside of each limit.
    edges = [
        [sign * limit * (1 + hair), 0, 0, 0] if column == 0 else [0, 0, sign * limit * (1 + hair), 0]
        for column, limit in ((0, POSITION_LIMIT), (2, ANGLE_LIMIT))
        for sign in (-1, 1)
        for hair in (-1e-6, 1e-6)
    ]
    return np.concatenate([inside, np.array(edges)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_transitions_are_gymnasiums(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    states = _states(rng)
    actions = rng.integers(0, 2, len(states))
    assert_same_transitions(CartPole(dtype), gymnasium.make("CartPole-v1"), NAMES, states, actions, dtype)


def test_termination_is_strictly_beyond_the_limits() -> None:
    at_the_limit = {name: torch.zeros(1, dtype=torch.float64) for name in NAMES}
    at_the_limit["position"] += POSITION_LIMIT
    _, reward, terminated = CartPole(torch.float64).transition(at_the_limit, torch.ones(1), torch.zeros(1))
    assert not terminated.item()
    assert reward.item() == 1.0


def test_episodes_begin_near_upright() -> None:
    state = CartPole().initial(random.key(torch.arange(10_000)))
    for name in NAMES:
        assert -0.05 <= state[name].min() < -0.0495
        assert 0.0495 < state[name].max() < 0.05
