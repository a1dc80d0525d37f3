"""A corridor whose far end forks; the way to take is told at its near end (Bakker, 2002)."""

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import State
from rlsuite import random

NORTH, EAST, SOUTH, WEST = range(4)
_REWARD, _PENALTY = 4.0, -0.1
_CELL = 12  # pixels


class TMaze:
    """Reward 4 for the right arm; -0.1 for the wrong one, and for each step in the corridor that is not one ahead.

    Bakker's maze, in which going back costs nothing: here it costs as much as standing still, so that walking to the
    fork is soon learned, and what remains is to remember. A policy without memory gets at most 1.95 on average, and 4
    is the most. Terminates in either arm.

    State: ``position`` (0 to ``length``, where the fork is) and ``south`` (whether that is the right arm), ``[N]``.
    Observation: at the start (0, 1, 1) where north is right and (1, 1, 0) where south is; (1, 0, 1) in the corridor;
    (0, 1, 0) at the fork.

    Args:
        length: steps from the start to the fork.

    Raises:
        ValueError: ``length`` is not positive.
    """

    observation_space = Box(0.0, 1.0, (3,), np.float32)
    action_space = Discrete(4)  # north, east (ahead), south, west
    max_episode_steps = 500
    render_fps = 10
    is_random = False

    def __init__(self, length: int = 10) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, not {length}")
        self.length = length

    def initial(self, key: Tensor) -> State:
        return {"position": torch.zeros_like(key), "south": random.integers(key, 2) == 1}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        position, at_fork = state["position"], state["position"] == self.length
        terminated = at_fork & ((action == NORTH) | (action == SOUTH))
        right = terminated & ((action == SOUTH) == state["south"])
        ahead = (action == EAST) & ~at_fork
        moved = (position + ahead.long() - (action == WEST).long()).clamp(min=0)
        reward = torch.where(right, _REWARD, torch.where(ahead, 0.0, _PENALTY))
        return state | {"position": moved}, reward, terminated

    def observe(self, state: State) -> Tensor:
        at_start, at_fork = state["position"] == 0, state["position"] == self.length
        corridor = ~at_start & ~at_fork
        columns = (corridor | (at_start & state["south"]), at_start | at_fork, corridor | (at_start & ~state["south"]))
        return torch.stack(columns, dim=-1).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        """The maze from above: the right arm green, the agent blue."""
        cells = np.full((5, self.length + 3, 3), 18, np.uint8)
        cells[2, 1:-1] = cells[1:4, -2] = 90
        cells[3 if state["south"] else 1, -2] = (0, 158, 115)
        cells[2, 1 + int(state["position"])] = (86, 180, 233)
        return cells.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
