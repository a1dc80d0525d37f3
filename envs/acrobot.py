"""Acrobot: swing the tip of two hanging links up to a height (Sutton, 1996), as Gymnasium's ``Acrobot-v1``."""

import math

import numpy as np
import torch
from gymnasium.envs.classic_control import AcrobotEnv
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import State
from envs.rendering import draw_with
from rlsuite import random

GRAVITY = 9.8  # m/s^2
LINK_LENGTH = 1.0  # m, both links
LINK_MASS = 1.0  # kg, both links
LINK_CENTRE = 0.5  # m, of mass from the joint
LINK_INERTIA = 1.0  # kg m^2, both links
STEP_SECONDS = 0.2
MAX_SPEEDS = (4 * math.pi, 9 * math.pi)  # rad/s

_Joints = tuple[Tensor, Tensor, Tensor, Tensor]  # two angles and their velocities


class Acrobot:
    """State: the angles of the first link (0 hangs down) and of the second against the first, wrapped to [-pi, pi], and
    their velocities (rad, rad/s), ``[N]``.

    Reward -1 a step, 0 at the last. Terminates where the tip is a link's length above the fixed joint.

    Args:
        dtype: of the state; float64 follows Gymnasium's environment to the last digits. Observations are float32.
    """

    observation_space = Box(
        np.array([-1, -1, -1, -1, -MAX_SPEEDS[0], -MAX_SPEEDS[1]], np.float32),
        np.array([1, 1, 1, 1, MAX_SPEEDS[0], MAX_SPEEDS[1]], np.float32),
    )
    action_space = Discrete(3)  # torque -1, 0, 1 N m on the joint between the links
    max_episode_steps = 500
    render_fps = 15
    is_random = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        """All four uniform in [-0.1, 0.1)."""
        return _named(*(draw.to(self.dtype) * 0.2 - 0.1 for draw in random.uniforms(key, 4)))

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        angle_1, angle_2, speed_1, speed_2 = _runge_kutta(_joints(state), (action - 1).to(self.dtype))
        angle_1, angle_2 = _wrapped(angle_1), _wrapped(angle_2)
        speed_1 = speed_1.clamp(-MAX_SPEEDS[0], MAX_SPEEDS[0])
        speed_2 = speed_2.clamp(-MAX_SPEEDS[1], MAX_SPEEDS[1])
        terminated = -torch.cos(angle_1) - torch.cos(angle_2 + angle_1) > 1.0
        return _named(angle_1, angle_2, speed_1, speed_2), terminated.to(self.dtype) - 1, terminated

    def observe(self, state: State) -> Tensor:
        angle_1, angle_2, speed_1, speed_2 = _joints(state)
        columns = (torch.cos(angle_1), torch.sin(angle_1), torch.cos(angle_2), torch.sin(angle_2), speed_1, speed_2)
        return torch.stack(columns, dim=-1).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        return draw_with(AcrobotEnv, state=np.array([float(value) for value in _joints(state)]))


def _named(angle_1: Tensor, angle_2: Tensor, speed_1: Tensor, speed_2: Tensor) -> State:
    return {"angle_1": angle_1, "angle_2": angle_2, "speed_1": speed_1, "speed_2": speed_2}


def _joints(state: State) -> _Joints:
    return state["angle_1"], state["angle_2"], state["speed_1"], state["speed_2"]


def _wrapped(angle: Tensor) -> Tensor:
    return angle - 2 * math.pi * torch.round(angle / (2 * math.pi))


def _derivative(joints: _Joints, torque: Tensor) -> _Joints:
    """The equations of motion in Sutton and Barto's book (first edition, section 11.3)."""
    angle_1, angle_2, speed_1, speed_2 = joints
    reach = LINK_LENGTH * LINK_CENTRE
    cos_2, sin_2 = torch.cos(angle_2), torch.sin(angle_2)
    inertia_1 = (
        LINK_MASS * LINK_CENTRE**2
        + LINK_MASS * (LINK_LENGTH**2 + LINK_CENTRE**2 + 2 * reach * cos_2)
        + 2 * LINK_INERTIA
    )
    inertia_2 = LINK_MASS * (LINK_CENTRE**2 + reach * cos_2) + LINK_INERTIA
    # cos(x - pi/2) is written as sin(x): two roundings less, and the same to the last digit or two.
    weight_2 = LINK_MASS * LINK_CENTRE * GRAVITY * torch.sin(angle_1 + angle_2)
    weight_1 = (
        -LINK_MASS * reach * speed_2.square() * sin_2
        - 2 * LINK_MASS * reach * speed_2 * speed_1 * sin_2
        + (LINK_MASS * LINK_CENTRE + LINK_MASS * LINK_LENGTH) * GRAVITY * torch.sin(angle_1)
        + weight_2
    )
    acceleration_2 = (
        torque + inertia_2 / inertia_1 * weight_1 - LINK_MASS * reach * speed_1.square() * sin_2 - weight_2
    ) / (LINK_MASS * LINK_CENTRE**2 + LINK_INERTIA - inertia_2.square() / inertia_1)
    acceleration_1 = -(inertia_2 * acceleration_2 + weight_1) / inertia_1
    return speed_1, speed_2, acceleration_1, acceleration_2


def _runge_kutta(start: _Joints, torque: Tensor) -> _Joints:
    """One step of the classical fourth-order method."""

    def moved(derivative: _Joints, seconds: float) -> _Joints:
        angle_1, angle_2, speed_1, speed_2 = (
            value + seconds * rate for value, rate in zip(start, derivative, strict=True)
        )
        return angle_1, angle_2, speed_1, speed_2

    slope_1 = _derivative(start, torque)
    slope_2 = _derivative(moved(slope_1, STEP_SECONDS / 2), torque)
    slope_3 = _derivative(moved(slope_2, STEP_SECONDS / 2), torque)
    slope_4 = _derivative(moved(slope_3, STEP_SECONDS), torque)
    a, b, c, d = (
        (first + 2 * second + 2 * third + fourth) / 6
        for first, second, third, fourth in zip(slope_1, slope_2, slope_3, slope_4, strict=True)
    )
    return moved((a, b, c, d), STEP_SECONDS)
