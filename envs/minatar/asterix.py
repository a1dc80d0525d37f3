"""MinAtar Asterix: collect the treasure and avoid the enemies that cross the field from the sides."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid
from rlsuite import random

ROWS = 8  # 1 to 8, one enemy or treasure each
FIRST_SPAWN_INTERVAL = 10
FIRST_MOVE_INTERVAL = 5
RAMP_INTERVAL = 100
GOLD_PROBABILITY = 1 / 3


class Asterix:
    """Reward 1 a treasure. Terminates when an enemy is met.

    State, int32 ``[N]``: ``x`` and ``y`` of the player, ``spawn_interval``, ``spawn_timer``, ``move_interval``,
    ``move_timer``, ``ramp_timer``, ``ramp_level``, ``last_action``; of what is in each row, ``[N, 8]``: ``thing_x``
    (int32), and bool ``is_there``, ``is_gold``, ``to_the_right``.

    Channels: player, enemies, where things come from, treasures.

    Args:
        sticky_action_probability: of doing the last action again.
        ramping: things come and move ever faster.
    """

    observation_space = grid.observation_space(4)
    action_space = grid.ACTION_SPACE
    max_episode_steps = grid.MAX_EPISODE_STEPS
    render_fps = grid.RENDER_FPS
    is_random = True

    def __init__(self, sticky_action_probability: float = 0.1, ramping: bool = True) -> None:
        self.sticky_action_probability = sticky_action_probability
        self.ramping = ramping

    def initial(self, key: Tensor) -> State:
        zero = torch.zeros_like(key, dtype=torch.int32)
        rows = torch.zeros(*key.shape, ROWS, dtype=torch.int32, device=key.device)
        return {
            "x": zero + 5,
            "y": zero + 5,
            "spawn_interval": zero + FIRST_SPAWN_INTERVAL,
            "spawn_timer": zero + FIRST_SPAWN_INTERVAL,
            "move_interval": zero + FIRST_MOVE_INTERVAL,
            "move_timer": zero + FIRST_MOVE_INTERVAL,
            "ramp_timer": zero + RAMP_INTERVAL,
            "ramp_level": zero,
            "last_action": zero + grid.NOTHING,
            "thing_x": rows,
            "is_there": rows.to(torch.bool),
            "is_gold": rows.to(torch.bool),
            "to_the_right": rows.to(torch.bool),
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks; of a new thing its direction, whether it is gold, and its row."""
        draws = random.uniform(key, 4)
        action = grid.sticky(action, state["last_action"], draws[:, 0], self.sticky_action_probability)
        things = _spawned(state, draws[:, 1:])
        spawn_timer = torch.where(state["spawn_timer"] == 0, state["spawn_interval"], state["spawn_timer"])
        x = grid.moved(state["x"], action, grid.LEFT, grid.RIGHT)
        y = grid.moved(state["y"], action, grid.UP, grid.DOWN, low=1, high=ROWS)

        thing_x, is_there = things["thing_x"], things["is_there"]
        in_players_row = y.unsqueeze(-1) == torch.arange(1, ROWS + 1, dtype=y.dtype, device=y.device)
        met_before = is_there & in_players_row & (thing_x == x.unsqueeze(-1))
        is_there = is_there & ~(met_before & things["is_gold"])

        move = (state["move_timer"] == 0).unsqueeze(-1)
        direction = things["to_the_right"].to(torch.int32) * 2 - 1
        thing_x = torch.where(move, thing_x + direction, thing_x)
        is_there = is_there & (thing_x >= 0) & (thing_x < grid.SIZE)
        met_after = is_there & move & in_players_row & (thing_x == x.unsqueeze(-1))
        is_there = is_there & ~(met_after & things["is_gold"])

        reward = (met_before & things["is_gold"]).sum(-1) + (met_after & things["is_gold"]).sum(-1)
        terminated = ((met_before | met_after) & ~things["is_gold"]).any(-1)
        following = {
            "x": x,
            "y": y,
            "spawn_timer": spawn_timer - 1,
            "move_timer": torch.where(move.squeeze(-1), state["move_interval"], state["move_timer"]) - 1,
            "last_action": action,
            **self._ramped(state),
            **things,
            "thing_x": thing_x,
            "is_there": is_there,
        }
        return following, reward.to(torch.float32), terminated

    def _ramped(self, state: State) -> State:
        """Shorter intervals now and then, those between moves every second time, until both are 1."""
        spawn, move, level = state["spawn_interval"], state["move_interval"], state["ramp_level"]
        active = (spawn > 1) | (move > 1) if self.ramping else torch.zeros_like(spawn, dtype=torch.bool)
        due = active & (state["ramp_timer"] < 0)
        return {
            "spawn_interval": torch.where(due, (spawn - 1).clamp(min=1), spawn),
            "move_interval": torch.where(due & (level % 2 == 1), (move - 1).clamp(min=1), move),
            "ramp_level": level + due.to(level.dtype),
            "ramp_timer": torch.where(due, RAMP_INTERVAL, state["ramp_timer"] - active.to(level.dtype)),
        }

    def observe(self, state: State) -> Tensor:
        x, there, gold = state["thing_x"], state["is_there"], state["is_gold"]
        row = torch.arange(1, ROWS + 1, dtype=x.dtype, device=x.device)
        return grid.draw(
            4,
            grid.cells(0, state["y"].unsqueeze(-1), state["x"].unsqueeze(-1)),
            grid.cells(1, row, x, there & ~gold),
            grid.cells(2, row, torch.where(state["to_the_right"], x - 1, x + 1), there),
            grid.cells(3, row, x, there & gold),
        )

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _spawned(state: State, draws: Tensor) -> State:
    """The things in their rows, with a new one in a row drawn from the empty ones where it is time."""
    empty = ~state["is_there"]
    place = empty.cumsum(-1)
    chosen = (draws[:, 2:3] * place[:, -1:]).to(torch.int64) + 1
    new = empty & (place == chosen) & (state["spawn_timer"] == 0).unsqueeze(-1)
    right = draws[:, 0:1] < 0.5
    return {
        "thing_x": torch.where(new, torch.where(right, 0, grid.SIZE - 1).to(torch.int32), state["thing_x"]),
        "is_there": state["is_there"] | new,
        "is_gold": torch.where(new, draws[:, 1:2] < GOLD_PROBABILITY, state["is_gold"]),
        "to_the_right": torch.where(new, right, state["to_the_right"]),
    }
