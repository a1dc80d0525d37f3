"""MinAtar Freeway: cross eight lanes of traffic, again and again."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid
from rlsuite import random

LANES = 8  # rows 1 to 8
CHICKEN_COLUMN = 4
SLOWEST = 5  # a car of speed s waits s steps between moves
STEPS_PER_MOVE = 3  # of the chicken
TIME_LIMIT_STEPS = 2500


class Freeway:
    """Reward 1 a crossing, after which cars change their speeds; a car that hits sends the chicken back to the start.

    Terminates with step 2,501: the published game calls its time limit a termination.

    State, int32: ``row`` of the chicken, ``wait`` until it can move, ``time_left``, ``last_action``, ``[N]``; of the
    cars ``car_x``, ``car_wait`` and ``car_speed`` (negative to the left) ``[N, 8]``.

    Channels: chicken, cars, and where cars come from, in one channel for each speed 1 to 5.
    """

    observation_space = grid.observation_space(2 + SLOWEST)
    action_space = grid.ACTION_SPACE
    max_episode_steps = grid.MAX_EPISODE_STEPS
    render_fps = grid.RENDER_FPS
    is_random = True

    def __init__(self, sticky_action_probability: float = 0.1) -> None:
        self.sticky_action_probability = sticky_action_probability

    def initial(self, key: Tensor) -> State:
        speed = _speeds(random.uniform(key, 2 * LANES))
        row = torch.full_like(speed[:, 0], grid.SIZE - 1)
        return {
            "row": row,
            "wait": torch.full_like(row, STEPS_PER_MOVE),
            "time_left": torch.full_like(row, TIME_LIMIT_STEPS),
            "last_action": torch.full_like(row, grid.NOTHING),
            "car_x": torch.zeros_like(speed),
            "car_wait": speed.abs(),
            "car_speed": speed,
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks, and new speeds and directions of the eight cars."""
        draws = random.uniform(key, 1 + 2 * LANES)
        action = grid.sticky(action, state["last_action"], draws[:, 0], self.sticky_action_probability)

        moves = ((action == grid.UP) | (action == grid.DOWN)) & (state["wait"] == 0)
        row = torch.where(moves, grid.moved(state["row"], action, grid.UP, grid.DOWN), state["row"])
        wait = torch.where(moves, STEPS_PER_MOVE, state["wait"])

        crossed = row == 0
        row = torch.where(crossed, grid.SIZE - 1, row)
        new_speed = _speeds(draws[:, 1:])
        speed = torch.where(crossed.unsqueeze(-1), new_speed, state["car_speed"])
        car_wait = torch.where(crossed.unsqueeze(-1), new_speed.abs(), state["car_wait"])

        drives = car_wait == 0
        car_x = torch.where(drives, (state["car_x"] + speed.sign()) % grid.SIZE, state["car_x"])
        in_the_way = (state["car_x"] == CHICKEN_COLUMN) | (car_x == CHICKEN_COLUMN)
        hit = (in_the_way & (row.unsqueeze(-1) == _lanes(row))).any(dim=-1)

        time_left = state["time_left"] - 1
        following = {
            "row": torch.where(hit, grid.SIZE - 1, row),
            "wait": grid.counted_down(wait),
            "time_left": time_left,
            "last_action": action,
            "car_x": car_x,
            "car_wait": torch.where(drives, speed.abs(), car_wait - 1),
            "car_speed": speed,
        }
        return following, crossed.to(torch.float32), time_left < 0

    def observe(self, state: State) -> Tensor:
        row, car_x, speed = state["row"].unsqueeze(-1), state["car_x"], state["car_speed"]
        lane = _lanes(row)
        behind = (car_x - speed.sign()) % grid.SIZE
        return grid.draw(
            2 + SLOWEST,
            grid.cells(0, row, torch.full_like(row, CHICKEN_COLUMN)),
            grid.cells(1, lane, car_x),
            grid.cells(1, lane + grid.SIZE * speed.abs(), behind),  # the channel of speed s comes s after that of cars
        )

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _lanes(like: Tensor) -> Tensor:
    return torch.arange(1, LANES + 1, dtype=like.dtype, device=like.device)


def _speeds(draws: Tensor) -> Tensor:
    """Speeds 1 to 5 to the left (negative) or the right from uniform numbers ``[N, 16]``: int32 ``[N, 8]``."""
    speed = (draws[:, :LANES] * SLOWEST).to(torch.int32) + 1
    return torch.where(draws[:, LANES:] < 0.5, -speed, speed)
