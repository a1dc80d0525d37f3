"""Acrobot against Gymnasium's own, transition by transition."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from classic_oracle import assert_same_transitions

from envs.acrobot import Acrobot
from rlsuite import random

NAMES = ("angle_1", "angle_2", "speed_1", "speed_2")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_transitions_are_gymnasiums(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    # Below the bounds of the speeds, where one step's rounding grows little; the bounds themselves come next.
    states = rng.uniform([-math.pi, -math.pi, -4, -9], [math.pi, math.pi, 4, 9], (300, 4))
    actions = rng.integers(0, 3, len(states))
    tolerance = 1e-11 if dtype == torch.float64 else 2e-4  # four evaluations of stiff equations at up to 9 rad/s
    assert_same_transitions(
        Acrobot(dtype), gymnasium.make("Acrobot-v1"), NAMES, states, actions, dtype, tolerance=tolerance
    )


def test_speeds_and_angles_stay_bounded_as_gymnasiums() -> None:
    rng = np.random.default_rng(1)
    high = [math.pi, math.pi, 4 * math.pi, 9 * math.pi]
    states = rng.uniform(np.negative(high), high, (300, 4))
    actions = rng.integers(0, 3, len(states))
    oracle = gymnasium.make("Acrobot-v1")
    assert_same_transitions(Acrobot(torch.float64), oracle, NAMES, states, actions, torch.float64, tolerance=1e-9)


def test_reaching_the_height_costs_nothing() -> None:
    upright = {name: torch.zeros(1) for name in NAMES} | {"angle_1": torch.full((1,), math.pi)}
    _, reward, terminated = Acrobot().transition(upright, torch.ones(1), torch.zeros(1))
    assert terminated.item()
    assert reward.item() == 0.0


def test_episodes_begin_hanging() -> None:
    state = Acrobot().initial(random.key(torch.arange(10_000)))
    for name in NAMES:
        assert -0.1 <= state[name].min() < -0.099 < 0.099 < state[name].max() < 0.1
