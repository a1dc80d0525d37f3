"""Pendulum against Gymnasium's own, transition by transition."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from classic_oracle import assert_same_transitions

from envs.pendulum import Pendulum
from rlsuite import random


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_transitions_are_gymnasiums(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    states = rng.uniform([-10, -8], [10, 8], (400, 2))  # angles beyond a full turn, too: they are never wrapped
    states[:2] = [[1.5, 7.99], [-1.5, -7.99]]  # runs into the bounds of the speed
    # Torques beyond the bounds, too; float64, because Gymnasium computes in the type of the action.
    actions = rng.uniform(-3, 3, (len(states), 1))
    assert_same_transitions(
        Pendulum(dtype), gymnasium.make("Pendulum-v1"), ("angle", "angular_velocity"), states, actions, dtype
    )


def test_never_terminates_and_begins_anywhere() -> None:
    pendulum = Pendulum()
    state = pendulum.initial(random.key(torch.arange(10_000)))
    assert -math.pi <= state["angle"].min() < -3.1 < 3.1 < state["angle"].max() < math.pi
    assert -1 <= state["angular_velocity"].min() < -0.99 < 0.99 < state["angular_velocity"].max() < 1
    _, _, terminated = pendulum.transition(state, torch.zeros(10_000, 1), torch.zeros(10_000))
    assert not terminated.any()
