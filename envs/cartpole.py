"""CartPole: balance a pole on a cart (Barto, Sutton and Anderson, 1983), as Gymnasium's ``CartPole-v1``."""

import math

import numpy as np
import torch
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import State
from envs.rendering import draw_with
from rlsuite import random

GRAVITY = 9.8  # m/s^2
POLE_MASS = 0.1  # kg
TOTAL_MASS = 1.1  # kg, cart and pole
HALF_LENGTH = 0.5  # m, of the pole
FORCE = 10.0  # N
STEP_SECONDS = 0.02
POSITION_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad


class CartPole:
    """State: position (m), velocity (m/s), angle (rad, 0 is upright) and angular velocity (rad/s), all ``[N]``.

    Reward 1 a step, the last one included. Terminates where the pole leans by more than 12 degrees or the cart is more
    than 2.4 m from the middle.

    Args:
        dtype: of the state; float64 follows Gymnasium's environment to the last digits. Observations are float32.
    """

    observation_space = Box(
        np.array([-2 * POSITION_LIMIT, -np.inf, -2 * ANGLE_LIMIT, -np.inf], np.float32),
        np.array([2 * POSITION_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], np.float32),
    )
    action_space = Discrete(2)  # push to the left, push to the right
    max_episode_steps = 500
    render_fps = 50
    is_random = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        """All four uniform in [-0.05, 0.05)."""
        values = (draw.to(self.dtype) * 0.1 - 0.05 for draw in random.uniforms(key, 4))
        return dict(zip(("position", "velocity", "angle", "angular_velocity"), values, strict=True))

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Explicit Euler: positions move with the old velocities (Florian, 2007, equations 23 and 24)."""
        velocity, angle, angular_velocity = state["velocity"], state["angle"], state["angular_velocity"]
        force = action.to(self.dtype) * (2 * FORCE) - FORCE
        sin, cos = torch.sin(angle), torch.cos(angle)
        pole_moment = POLE_MASS * HALF_LENGTH
        push = (force + pole_moment * angular_velocity.square() * sin) / TOTAL_MASS
        angular_acceleration = (GRAVITY * sin - cos * push) / (
            HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.square() / TOTAL_MASS)
        )
        acceleration = push - pole_moment * angular_acceleration * cos / TOTAL_MASS
        following = {
            "position": state["position"] + STEP_SECONDS * velocity,
            "velocity": velocity + STEP_SECONDS * acceleration,
            "angle": angle + STEP_SECONDS * angular_velocity,
            "angular_velocity": angular_velocity + STEP_SECONDS * angular_acceleration,
        }
        terminated = (following["position"].abs() > POSITION_LIMIT) | (following["angle"].abs() > ANGLE_LIMIT)
        return following, torch.ones_like(velocity), terminated

    def observe(self, state: State) -> Tensor:
        columns = (state["position"], state["velocity"], state["angle"], state["angular_velocity"])
        return torch.stack(columns, dim=-1).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        columns = (state["position"], state["velocity"], state["angle"], state["angular_velocity"])
        return draw_with(CartPoleEnv, state=np.array([float(column) for column in columns]))
