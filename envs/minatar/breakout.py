"""MinAtar Breakout: keep the ball in play with the paddle and break the bricks."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import drawing, grid
from rlsuite import random

BRICK_ROWS = (1, 2, 3)
_FULL_WALL = (1 << len(BRICK_ROWS) * grid.SIZE) - 1


class Breakout:
    """Reward 1 a brick. The wall comes back when it is gone and the ball is low. Terminates when the paddle misses.

    State: ``paddle`` (column), ``ball_x`` and ``ball_y``, where the ball was before (``trail_x``, ``trail_y``), its
    direction (``velocity_x``, ``velocity_y``, each 1 or -1), ``bricks`` (one bit each, row by row), ``in_bricks``
    (the ball has just broken a brick and passes through others), ``last_action``; int32 and bool, ``[N]``.

    Channels: paddle, ball, trail, bricks.
    """

    observation_space = grid.observation_space(4)
    action_space = grid.ACTION_SPACE
    max_episode_steps = grid.MAX_EPISODE_STEPS
    render_fps = grid.RENDER_FPS
    is_random = True

    def __init__(self, sticky_action_probability: float = 0.1) -> None:
        self.sticky_action_probability = sticky_action_probability

    def initial(self, key: Tensor) -> State:
        """The ball starts below the wall, at the left or the right side, and falls towards the middle."""
        right = random.integers(key, 2).to(torch.int32)
        ball_x, ball_y = right * (grid.SIZE - 1), torch.full_like(right, 3)
        return {
            "paddle": torch.full_like(right, 4),
            "ball_x": ball_x,
            "ball_y": ball_y,
            "trail_x": ball_x,
            "trail_y": ball_y,
            "velocity_x": 1 - 2 * right,
            "velocity_y": torch.ones_like(right),
            "bricks": torch.full_like(right, _FULL_WALL),
            "in_bricks": torch.zeros_like(right, dtype=torch.bool),
            "last_action": torch.full_like(right, grid.NOTHING),
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks."""
        chance = random.uniform(key)
        action = grid.sticky(action, state["last_action"], chance, self.sticky_action_probability)
        paddle = grid.moved(state["paddle"], action, grid.LEFT, grid.RIGHT)
        old_x, old_y, bricks = state["ball_x"], state["ball_y"], state["bricks"]

        x, y = old_x + state["velocity_x"], old_y + state["velocity_y"]
        velocity_x = torch.where((x < 0) | (x >= grid.SIZE), -state["velocity_x"], state["velocity_x"])
        x = x.clamp(0, grid.SIZE - 1)

        at_the_top = y < 0
        y = y.clamp(min=0)
        in_wall_rows = (y >= BRICK_ROWS[0]) & (y <= BRICK_ROWS[-1])
        brick = torch.where(in_wall_rows, (y - BRICK_ROWS[0]) * grid.SIZE + x, 0)
        on_a_brick = in_wall_rows & ((bricks >> brick) & 1).to(torch.bool)
        broken = on_a_brick & ~state["in_bricks"]
        bricks = torch.where(broken, bricks & ~(torch.ones_like(brick) << brick), bricks)

        low = y == grid.SIZE - 1
        bricks = torch.where(low & (bricks == 0), _FULL_WALL, bricks)
        from_above = low & (old_x == paddle)
        from_the_side = low & ~from_above & (x == paddle)
        velocity_x = torch.where(from_the_side, -velocity_x, velocity_x)
        bounced = broken | from_above | from_the_side
        velocity_y = torch.where(at_the_top | bounced, -state["velocity_y"], state["velocity_y"])

        following = {
            "paddle": paddle,
            "ball_x": x,
            "ball_y": torch.where(bounced, old_y, y),
            "trail_x": old_x,
            "trail_y": old_y,
            "velocity_x": velocity_x,
            "velocity_y": velocity_y,
            "bricks": bricks,
            "in_bricks": on_a_brick,
            "last_action": action,
        }
        return following, broken.to(torch.float32), low & ~bounced

    def observe(self, state: State) -> Tensor:
        bricks = {row: state["bricks"] >> (row - BRICK_ROWS[0]) * grid.SIZE & grid.ALL_COLUMNS for row in BRICK_ROWS}
        return drawing.observation(
            drawing.rows({grid.SIZE - 1: drawing.bit(state["paddle"])}),
            drawing.cells(state["ball_y"], drawing.bit(state["ball_x"])),
            drawing.cells(state["trail_y"], drawing.bit(state["trail_x"])),
            drawing.rows(bricks),
        )

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])
