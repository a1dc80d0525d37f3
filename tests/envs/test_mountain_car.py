"""Both MountainCars against Gymnasium's own, transition by transition."""

import gymnasium
import numpy as np
import pytest
import torch
from classic_oracle import assert_same_transitions

from envs.mountain_car import MountainCar, MountainCarContinuous
from rlsuite import random

NAMES = ("position", "velocity")


def _states(rng: np.random.Generator, goal: float) -> np.ndarray:
    inside = rng.uniform([-1.2, -0.07], [0.6, 0.07], (400, 2))
    into_the_wall = [[-1.2, -0.05], [-1.19, -0.07], [-1.2, 0.0]]
    over_the_flag = [[goal - 0.02, 0.03], [goal - 0.07, 0.07], [goal + 0.01, -0.02], [0.59, 0.07]]
    return np.concatenate([inside, into_the_wall, over_the_flag])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_discrete_transitions_are_gymnasiums(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    states = _states(rng, MountainCar.goal_position)
    actions = rng.integers(0, 3, len(states))
    oracle = gymnasium.make("MountainCar-v0")
    assert_same_transitions(MountainCar(dtype), oracle, NAMES, states, actions, dtype, oracle_state=tuple)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_continuous_transitions_are_gymnasiums(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    states = _states(rng, MountainCarContinuous.goal_position)
    actions = rng.uniform(-1.5, 1.5, (len(states), 1)).astype(np.float32)
    oracle = gymnasium.make("MountainCarContinuous-v0")
    # Gymnasium computes its reward in float64 and rounds its state to float32.
    assert_same_transitions(MountainCarContinuous(dtype), oracle, NAMES, states, actions, dtype, tolerance=1e-5)


@pytest.mark.parametrize("car", [MountainCar(), MountainCarContinuous()])
def test_episodes_begin_at_rest_in_the_valley(car: MountainCar | MountainCarContinuous) -> None:
    state = car.initial(random.key(torch.arange(10_000)))
    assert -0.6 <= state["position"].min() < -0.599 < -0.401 < state["position"].max() < -0.4
    assert not state["velocity"].any()
