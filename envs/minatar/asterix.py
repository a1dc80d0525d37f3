"""MinAtar Asterix: collect the treasure and avoid the enemies that cross the field from the sides."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import drawing, grid
from rlsuite import random

ROWS = 8  # 1 to 8, one enemy or treasure each
FIRST_SPAWN_INTERVAL = 10
FIRST_MOVE_INTERVAL = 5
RAMP_INTERVAL = 100
GOLD_PROBABILITY = 1 / 3
_BITS = 4  # of a row in what is packed into an int32
_EACH_ROW = sum(1 << _BITS * row for row in range(ROWS))  # the number 1 in each
_WHOLE_ROW = (1 << _BITS) - 1


class Asterix:
    """Reward 1 a treasure. Terminates when an enemy is met.

    State, int32 ``[N]``: ``x`` and ``y`` of the player, ``spawn_interval``, ``spawn_timer``, ``move_interval``,
    ``move_timer``, ``ramp_timer``, ``ramp_level``, ``last_action``; and four bits for each row, the first one's lowest,
    of ``things`` (the column, counted from 1, or 0 where nothing is), ``gold`` and ``right`` (1 for yes, 0 for no).
    A rule for all rows is then a few operations on whole numbers.

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
            "things": zero,
            "gold": zero,
            "right": zero,
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks; of a new thing its direction, whether it is gold, and its row."""
        sticks, side, kind, place = random.uniforms(key, 4)
        action = grid.sticky(action, state["last_action"], sticks, self.sticky_action_probability)
        things, gold, right = _spawned(state, side, kind, place)
        spawn_timer = torch.where(state["spawn_timer"] == 0, state["spawn_interval"], state["spawn_timer"])
        x = grid.moved(state["x"], action, grid.LEFT, grid.RIGHT)
        y = grid.moved(state["y"], action, grid.UP, grid.DOWN, low=1, high=ROWS)

        met_before = _met(things, x, y)
        things = _without(things, met_before & gold)
        move = state["move_timer"] == 0
        things = torch.where(move, _one_on(things, right), things)
        met_after = torch.where(move, _met(things, x, y), 0)
        things = _without(things, met_after & gold)

        met = met_before | met_after
        following = {
            "x": x,
            "y": y,
            "spawn_timer": spawn_timer - 1,
            "move_timer": torch.where(move, state["move_interval"], state["move_timer"]) - 1,
            "last_action": action,
            **self._ramped(state),
            "things": things,
            "gold": gold,
            "right": right,
        }
        return following, (met & gold != 0).to(torch.float32), met & ~gold != 0

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
        enemies, trails, treasures = {}, {}, {}
        for row in range(ROWS):
            column, is_gold, to_the_right = (
                state[name] >> _BITS * row & _WHOLE_ROW for name in ("things", "gold", "right")
            )
            cell = drawing.bit(column - 1)
            enemies[row + 1] = torch.where(is_gold == 0, cell, 0)
            treasures[row + 1] = torch.where(is_gold == 0, 0, cell)
            trails[row + 1] = torch.where(column == 0, 0, drawing.bit(column - 2 * to_the_right))
        return drawing.observation(
            drawing.cells(state["y"], drawing.bit(state["x"])),
            drawing.rows(enemies),
            drawing.rows(trails),
            drawing.rows(treasures),
        )

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _spawned(state: State, side: Tensor, kind: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``things``, ``gold`` and ``right`` with a new thing in a row drawn from the empty ones where it is time."""
    things, gold, right = state["things"], state["gold"], state["right"]
    empty = ~_not_zero(things) & _EACH_ROW
    numbered = empty * _EACH_ROW  # in each row, how many are empty up to it
    count = numbered >> _BITS * (ROWS - 1) & _WHOLE_ROW
    chosen = (place * count).to(torch.int32) + 1
    new = empty & ~_not_zero(numbered ^ chosen * _EACH_ROW)
    new = torch.where(state["spawn_timer"] == 0, new, 0)
    from_the_left = side < 0.5
    return (
        things | new * torch.where(from_the_left, 1, grid.SIZE).to(torch.int32),
        gold & ~new | torch.where(kind < GOLD_PROBABILITY, new, 0),
        right & ~new | torch.where(from_the_left, new, 0),
    )


def _not_zero(rows: Tensor) -> Tensor:
    """1 in each row whose number is not 0."""
    pairs = rows | rows >> 1
    return (pairs | pairs >> 2) & _EACH_ROW


def _without(things: Tensor, gone: Tensor) -> Tensor:
    """The things but those in rows where ``gone`` is 1."""
    return things & ~(gone * _WHOLE_ROW)


def _met(things: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """1 in the player's row if a thing is where the player is."""
    first_bit = _BITS * (y - 1)
    column = things >> first_bit & _WHOLE_ROW
    return torch.where(column == x + 1, torch.ones_like(things) << first_bit, 0)


def _one_on(things: Tensor, right: Tensor) -> Tensor:
    """All things one column further; those that leave the grid are gone."""
    in_the_last_column = things >> 3 & things >> 1 & _EACH_ROW  # ten is the only column with both bits
    things = _without(things, in_the_last_column & right)
    there = _not_zero(things)
    return things + (there & right) - (there & ~right)
