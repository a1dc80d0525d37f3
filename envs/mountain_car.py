"""MountainCar: drive an underpowered car up a hill (Moore, 1990), with discrete or continuous actions."""

import numpy as np
import torch
from gymnasium.envs.classic_control import Continuous_MountainCarEnv, MountainCarEnv
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import State
from envs.rendering import draw_with
from rlsuite import random

MIN_POSITION, MAX_POSITION = -1.2, 0.6
MAX_SPEED = 0.07  # per step
GRAVITY = 0.0025

_OBSERVATION_SPACE = Box(
    np.array([MIN_POSITION, -MAX_SPEED], np.float32), np.array([MAX_POSITION, MAX_SPEED], np.float32)
)


def _initial(key: Tensor, dtype: torch.dtype) -> State:
    """Return a state at rest, with a position uniform in [-0.6, -0.4)."""
    position = random.uniform(key).to(dtype) * 0.2 - 0.6
    return {"position": position, "velocity": torch.zeros_like(position)}


def _roll(state: State, acceleration: Tensor) -> State:
    """One step along the valley sin(3 x); the wall on the left stops the car."""
    position, velocity = state["position"], state["velocity"]
    velocity = (velocity + acceleration - GRAVITY * torch.cos(3 * position)).clamp(-MAX_SPEED, MAX_SPEED)
    position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION)
    at_the_wall = (position <= MIN_POSITION) & (velocity < 0)
    return {"position": position, "velocity": torch.where(at_the_wall, 0.0, velocity)}


def _observe(state: State) -> Tensor:
    return torch.stack((state["position"], state["velocity"]), dim=-1).to(torch.float32)


class MountainCar:
    """Gymnasium's ``MountainCar-v0``: reward -1 a step until the flag at 0.5 is reached.

    State: position and velocity (per step), ``[N]``.

    Args:
        dtype: of the state; float64 follows Gymnasium's environment to the last digits. Observations are float32.
    """

    observation_space = _OBSERVATION_SPACE
    action_space = Discrete(3)  # accelerate to the left, not at all, to the right
    max_episode_steps = 200
    render_fps = 30
    is_random = False
    force = 0.001
    goal_position = 0.5

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        return _initial(key, self.dtype)

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        following = _roll(state, (action - 1).to(self.dtype) * self.force)
        terminated = (following["position"] >= self.goal_position) & (following["velocity"] >= 0)
        return following, -torch.ones_like(following["position"]), terminated

    def observe(self, state: State) -> Tensor:
        return _observe(state)

    def render(self, state: State) -> np.ndarray:
        return draw_with(MountainCarEnv, state=(float(state["position"]), float(state["velocity"])))


class MountainCarContinuous:
    """Gymnasium's ``MountainCarContinuous-v0``: 100 for the flag at 0.45, less 0.1 action^2 a step.

    State: position and velocity (per step), ``[N]``. The force is clipped to the action space, the cost is not.

    Args:
        dtype: of the state. Gymnasium rounds its state to float32 at every step. Observations are float32.
    """

    observation_space = _OBSERVATION_SPACE
    action_space = Box(-1.0, 1.0, (1,), np.float32)
    max_episode_steps = 999
    render_fps = 30
    is_random = False
    power = 0.0015
    goal_position = 0.45

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        return _initial(key, self.dtype)

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        force = action.squeeze(-1).to(self.dtype)
        following = _roll(state, force.clamp(-1.0, 1.0) * self.power)
        terminated = (following["position"] >= self.goal_position) & (following["velocity"] >= 0)
        return following, torch.where(terminated, 100.0, 0.0) - 0.1 * force.square(), terminated

    def observe(self, state: State) -> Tensor:
        return _observe(state)

    def render(self, state: State) -> np.ndarray:
        return draw_with(Continuous_MountainCarEnv, state=(float(state["position"]), float(state["velocity"])))
