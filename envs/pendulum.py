"""Pendulum: swing up and hold a pendulum with a weak motor, as Gymnasium's ``Pendulum-v1``."""

import math

import numpy as np
import torch
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.spaces import Box
from torch import Tensor

from envs.core import State
from envs.rendering import draw_with
from rlsuite import random

GRAVITY = 10.0  # m/s^2
MASS = 1.0  # kg
LENGTH = 1.0  # m
STEP_SECONDS = 0.05
MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m


class Pendulum:
    """State: angle (rad, 0 is upright, never wrapped) and angular velocity (rad/s), ``[N]``.

    The reward punishes the angle before the step, speed and torque. Never terminates.

    Args:
        dtype: of the state; float64 follows Gymnasium's environment to the last digits. Observations are float32.
    """

    observation_space = Box(np.array([-1, -1, -MAX_SPEED], np.float32), np.array([1, 1, MAX_SPEED], np.float32))
    action_space = Box(-MAX_TORQUE, MAX_TORQUE, (1,), np.float32)  # torque (N m)
    max_episode_steps = 200
    render_fps = 30
    is_random = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        """Angle uniform in [-pi, pi), angular velocity in [-1, 1)."""
        angle, speed = (2 * draw.to(self.dtype) - 1 for draw in random.uniforms(key, 2))
        return {"angle": math.pi * angle, "angular_velocity": speed}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Semi-implicit Euler: the angle moves with the new angular velocity."""
        angle, angular_velocity = state["angle"], state["angular_velocity"]
        torque = action.squeeze(-1).to(self.dtype).clamp(-MAX_TORQUE, MAX_TORQUE)
        from_upright = angle - 2 * math.pi * torch.round(angle / (2 * math.pi))
        cost = from_upright.square() + 0.1 * angular_velocity.square() + 0.001 * torque.square()
        acceleration = 3 * GRAVITY / (2 * LENGTH) * torch.sin(angle) + 3 / (MASS * LENGTH**2) * torque
        angular_velocity = (angular_velocity + acceleration * STEP_SECONDS).clamp(-MAX_SPEED, MAX_SPEED)
        following = {"angle": angle + angular_velocity * STEP_SECONDS, "angular_velocity": angular_velocity}
        return following, -cost, torch.zeros_like(angle, dtype=torch.bool)

    def observe(self, state: State) -> Tensor:
        angle = state["angle"]
        columns = (torch.cos(angle), torch.sin(angle), state["angular_velocity"])
        return torch.stack(columns, dim=-1).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        angle_and_speed = np.array([float(state["angle"]), float(state["angular_velocity"])])
        return draw_with(PendulumEnv, state=angle_and_speed, last_u=None)
