"""Drive: keep a car in the middle of a winding road by steering, from measurements or from pictures."""

import math

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs.core import State
from envs.drive_picture import Road, draw
from rlsuite import random

STEP_SECONDS = 0.1
CAR_LENGTH = 5.0  # m
MAX_STEERING = 0.5  # rad, of the front wheels
HALF_WIDTH = 4.0  # m, of the road
SPEEDS = (8.0, 12.0)  # m/s, drawn for each episode and kept
WAVE_LENGTHS = (60.0, 110.0, 190.0)  # m, of the bends that add up to the road
MAX_CURVATURE = 0.06  # 1/m, of all bends together
BENDS_AHEAD = 6  # curvature is measured here and at 5 places ahead
BENDS_SPACING = 6.0  # m

VIEW_PIXELS = 42
VIEW_RESOLUTION = 0.7  # m
_PIXELS_BEHIND = 3


class Drive:
    """State: ``distance`` along the middle of the road (m), ``offset`` from it to the left (m), ``heading`` against the
    road's (rad), ``speed`` (m/s) and ``steering`` (rad), ``[N]``; ``amplitudes`` (1/m) and ``phases`` (rad) of the
    road's bends, ``[N, 3]``.

    The reward is the progress along the road, 1 where the car drives straight ahead, times 1 - (offset / 4 m)^2.
    Terminates where the middle of the car leaves the road. A perfect episode earns about 500.

    Observations: offset, heading and speed, and curvatures up to 30 m ahead, each scaled and clipped to [-1, 1].

    Args:
        dtype: of the state. Observations are float32.
    """

    observation_space: Box = Box(-1.0, 1.0, (3 + BENDS_AHEAD,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)  # full steering to the right .. to the left
    max_episode_steps = 500
    render_fps = 20
    is_random = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, key: Tensor) -> State:
        """A new road, and a car near its middle that points about along it."""
        draws = random.uniform(key, 3 + 2 * len(WAVE_LENGTHS)).to(self.dtype)
        placement, (amplitudes, phases) = draws[:, :3], draws[:, 3:].unflatten(-1, (2, -1)).unbind(1)
        offset, heading, speed = placement.unbind(-1)
        return {
            "distance": torch.zeros_like(offset),
            "offset": 2 * offset - 1,
            "heading": 0.3 * heading - 0.15,
            "speed": SPEEDS[0] + (SPEEDS[1] - SPEEDS[0]) * speed,
            "steering": torch.zeros_like(offset),
            "amplitudes": (0.4 + 0.6 * amplitudes) * (MAX_CURVATURE / len(WAVE_LENGTHS)),
            "phases": 2 * math.pi * phases,
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """The kinematic bicycle of Polack et al. (2017), centre of mass midway, in the coordinates of the road."""
        offset, heading, speed = state["offset"], state["heading"], state["speed"]
        steering = MAX_STEERING * action.squeeze(-1).to(self.dtype).clamp(-1.0, 1.0)
        slip = torch.atan(torch.tan(steering) / 2)
        bend = curvature(state, state["distance"].unsqueeze(-1)).squeeze(-1)
        # The inside of a bend is shorter than its middle.
        progress = torch.cos(heading + slip) / (1 - offset * bend)
        travelled = speed * STEP_SECONDS
        following = state | {
            "distance": state["distance"] + travelled * progress,
            "offset": offset + travelled * torch.sin(heading + slip),
            "heading": heading + travelled * (torch.sin(slip) / (CAR_LENGTH / 2) - bend * progress),
            "steering": steering,
        }
        centred = 1 - (following["offset"] / HALF_WIDTH).square()
        return following, progress * centred.clamp(min=0), following["offset"].abs() > HALF_WIDTH

    def observe(self, state: State) -> Tensor:
        ahead = torch.arange(BENDS_AHEAD, dtype=self.dtype, device=state["distance"].device) * BENDS_SPACING
        bends = curvature(state, state["distance"].unsqueeze(-1) + ahead) / MAX_CURVATURE
        middle, spread = sum(SPEEDS) / 2, (SPEEDS[1] - SPEEDS[0]) / 2
        car = (state["offset"] / HALF_WIDTH, state["heading"] / (math.pi / 2), (state["speed"] - middle) / spread)
        return torch.cat((torch.stack(car, dim=-1), bends), dim=-1).clamp(-1.0, 1.0).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        amplitudes, phases = (state[name].double().numpy() for name in ("amplitudes", "phases"))
        return draw(
            Road(amplitudes, phases, np.array(WAVE_LENGTHS), HALF_WIDTH),
            distance=float(state["distance"]),
            offset=float(state["offset"]),
            heading=float(state["heading"]),
            steering=float(state["steering"]),
            car_length=CAR_LENGTH,
        )


class DrivePixels(Drive):
    """``Drive`` seen from above: uint8 ``[1, 42, 42]``, 0.7 m a pixel, the car near the bottom and pointing up.

    Grass is black, the road white with soft edges and a grey line in its middle.
    """

    observation_space = Box(0, 255, (1, VIEW_PIXELS, VIEW_PIXELS), np.uint8)

    def observe(self, state: State) -> Tensor:
        device = state["distance"].device
        index = torch.arange(VIEW_PIXELS, dtype=self.dtype, device=device)
        ahead = (index - _PIXELS_BEHIND) * VIEW_RESOLUTION  # of each row, from the car, nearest first
        to_the_left = ((VIEW_PIXELS - 1) / 2 - index) * VIEW_RESOLUTION  # of each column
        middle_x, middle_y, direction = _middle_of_the_road(state, ahead)
        # The road is straight enough to be its tangent within the row where it passes.
        sin, cos = torch.sin(direction).unsqueeze(-1), torch.cos(direction).unsqueeze(-1)
        beside = (to_the_left - middle_y.unsqueeze(-1)) * cos - (ahead - middle_x).unsqueeze(-1) * sin
        road = ((HALF_WIDTH - beside.abs()) / VIEW_RESOLUTION + 0.5).clamp(0.0, 1.0)
        line = (1.0 - beside.abs() / VIEW_RESOLUTION).clamp(0.0, 1.0)
        return (255.0 * road * (1.0 - 0.5 * line)).to(torch.uint8).flip(1).unsqueeze(1)


def curvature(state: State, distance: Tensor) -> Tensor:
    """Curvature of the road (1/m, positive to the left) at distances ``[N, K]`` along it."""
    total = torch.zeros_like(distance)
    for wave in range(len(WAVE_LENGTHS)):
        total = total + state["amplitudes"][:, wave, None] * torch.sin(_angle(state, distance, wave))
    return total


def _direction(state: State, distance: Tensor) -> Tensor:
    """Direction of the road (rad), the integral of its curvature; it keeps within 1.2 of 0, so no road meets itself."""
    total = torch.zeros_like(distance)
    for wave, length in enumerate(WAVE_LENGTHS):
        scale = state["amplitudes"][:, wave, None] * (length / (2 * math.pi))
        total = total - scale * torch.cos(_angle(state, distance, wave))
    return total


def _angle(state: State, distance: Tensor, wave: int) -> Tensor:
    return distance * (2 * math.pi / WAVE_LENGTHS[wave]) + state["phases"][:, wave, None]


def _middle_of_the_road(state: State, ahead: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The middle of the road as seen from the car.

    Args:
        ahead: ``[K]`` evenly spaced distances along the road; entry ``_PIXELS_BEHIND`` is 0.

    Returns:
        Its place, metres ahead and to the left of the car, and its direction against the car's (rad), ``[N, K]``.
    """
    here = state["distance"].unsqueeze(-1)
    direction = _direction(state, here + ahead) - _direction(state, here)
    # Midpoints between neighbours: the sums below then are accurate to the second order.
    between = (direction[:, 1:] + direction[:, :-1]) / 2
    along = torch.nn.functional.pad(torch.cos(between).cumsum(-1), (1, 0)) * VIEW_RESOLUTION
    across = torch.nn.functional.pad(torch.sin(between).cumsum(-1), (1, 0)) * VIEW_RESOLUTION
    origin = slice(_PIXELS_BEHIND, _PIXELS_BEHIND + 1)
    along = along - along[:, origin]
    across = across - across[:, origin] - state["offset"].unsqueeze(-1)
    sin, cos = torch.sin(state["heading"]).unsqueeze(-1), torch.cos(state["heading"]).unsqueeze(-1)
    return along * cos + across * sin, across * cos - along * sin, direction - state["heading"].unsqueeze(-1)
