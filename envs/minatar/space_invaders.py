"""MinAtar SpaceInvaders: shoot the aliens before they land, and mind their bullets."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid
from rlsuite import random

STEPS_PER_SHOT = 5  # of the cannon
ALIEN_STEPS_PER_SHOT = 10
SLOWEST_ALIENS = 12  # steps between moves in the first wave, at most
FASTEST_WAVE = 6
_BOTTOM = grid.SIZE - 1


class SpaceInvaders:
    """Reward 1 an alien. Fewer aliens move faster, and so does each new wave. Terminates when an alien or a bullet hits
    the cannon, or when aliens that stand in the lowest row turn.

    State, int32 ``[N]``: ``cannon`` (column), ``shot_timer``, ``alien_direction`` (-1 left, 1 right),
    ``alien_move_interval``, ``alien_move_timer``, ``alien_shot_timer``, ``last_action``; bool ``[N, 10, 10]``:
    ``aliens``, ``bullets`` and ``alien_bullets``.

    Channels: cannon, aliens, aliens that move to the left, aliens that move to the right, bullets, alien bullets.

    Args:
        sticky_action_probability: of doing the last action again.
        ramping: each wave moves faster than the last.
    """

    observation_space = grid.observation_space(6)
    action_space = grid.ACTION_SPACE
    max_episode_steps = grid.MAX_EPISODE_STEPS
    render_fps = grid.RENDER_FPS
    is_random = True

    def __init__(self, sticky_action_probability: float = 0.1, ramping: bool = True) -> None:
        self.sticky_action_probability = sticky_action_probability
        self.ramping = ramping

    def initial(self, key: Tensor) -> State:
        zero = torch.zeros_like(key, dtype=torch.int32)
        none = torch.zeros(*key.shape, grid.SIZE, grid.SIZE, dtype=torch.bool, device=key.device)
        return {
            "cannon": zero + 5,
            "shot_timer": zero,
            "alien_direction": zero - 1,
            "alien_move_interval": zero + SLOWEST_ALIENS,
            "alien_move_timer": zero + SLOWEST_ALIENS,
            "alien_shot_timer": zero + ALIEN_STEPS_PER_SHOT,
            "last_action": zero + grid.NOTHING,
            "aliens": none | _wave(key.device),
            "bullets": none,
            "alien_bullets": none,
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks."""
        chance = random.uniform(key)
        action = grid.sticky(action, state["last_action"], chance, self.sticky_action_probability)
        cannon = grid.moved(state["cannon"], action, grid.LEFT, grid.RIGHT)
        at_cannon = grid.columns(cannon) == cannon.unsqueeze(-1)

        fires = (action == grid.FIRE) & (state["shot_timer"] == 0)
        bullets = torch.nn.functional.pad(state["bullets"][:, 1:], (0, 0, 0, 1))
        # A new bullet starts in the cannon's row and flies at once.
        bullets = bullets | _in_row(_BOTTOM - 1, at_cannon & fires.unsqueeze(-1))
        alien_bullets = torch.nn.functional.pad(state["alien_bullets"][:, :-1], (0, 0, 1, 0))
        shot = (alien_bullets[:, _BOTTOM] & at_cannon).any(-1)

        aliens, direction, caught, move = _marched(state, at_cannon)
        count = state["aliens"].sum((-1, -2)).to(torch.int32)
        move_timer = torch.where(move, torch.minimum(count, state["alien_move_interval"]), state["alien_move_timer"])

        alien_fires = state["alien_shot_timer"] == 0
        alien_bullets = alien_bullets | (_nearest_alien(aliens, cannon) & alien_fires.view(-1, 1, 1))
        killed = aliens & bullets
        aliens, bullets = aliens & ~killed, bullets & ~killed

        cleared = ~aliens.any(-1).any(-1)
        faster = cleared & (state["alien_move_interval"] > FASTEST_WAVE) & self.ramping
        following = {
            "cannon": cannon,
            "shot_timer": grid.counted_down(torch.where(fires, STEPS_PER_SHOT, state["shot_timer"])),
            "alien_direction": direction,
            "alien_move_interval": state["alien_move_interval"] - faster.to(torch.int32),
            "alien_move_timer": move_timer - 1,
            "alien_shot_timer": torch.where(alien_fires, ALIEN_STEPS_PER_SHOT, state["alien_shot_timer"]) - 1,
            "last_action": action,
            "aliens": aliens | (_wave(aliens.device) & cleared.view(-1, 1, 1)),
            "bullets": bullets,
            "alien_bullets": alien_bullets,
        }
        return following, killed.sum((-1, -2)).to(torch.float32), shot | caught

    def observe(self, state: State) -> Tensor:
        aliens, left = state["aliens"], (state["alien_direction"] < 0).view(-1, 1, 1)
        maps = torch.stack((aliens, aliens & left, aliens & ~left, state["bullets"], state["alien_bullets"]), dim=1)
        cannon = grid.draw(1, grid.cells(0, _BOTTOM, state["cannon"].unsqueeze(-1)))
        return torch.cat((cannon, maps.to(torch.uint8) * 255), dim=1)

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _wave(device: torch.device) -> Tensor:
    """Where a wave of aliens begins: bool ``[10, 10]``, four rows of six."""
    row = torch.arange(grid.SIZE, device=device)
    return (row < 4).unsqueeze(-1) & ((row >= 2) & (row < 8))


def _in_row(row: int, marks: Tensor) -> Tensor:
    """Columns bool ``[N, 10]`` as one row of the grid."""
    return torch.nn.functional.pad(marks.unsqueeze(-2), (0, 0, row, _BOTTOM - row))


def _marched(state: State, at_cannon: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One row down and about face at a side, else one column on, where it is time.

    Returns:
        The aliens, their direction, whether the cannon is lost to them, and whether it was time.
    """
    aliens, direction = state["aliens"], state["alien_direction"]
    move = state["alien_move_timer"] == 0
    at_the_side = torch.where(direction < 0, aliens[:, :, 0].any(-1), aliens[:, :, _BOTTOM].any(-1))
    turn, on = move & at_the_side, move & ~at_the_side
    landed = turn & aliens[:, _BOTTOM].any(-1)
    sideways = torch.where((direction < 0).view(-1, 1, 1), aliens.roll(-1, dims=2), aliens.roll(1, dims=2))
    marched = torch.where(on.view(-1, 1, 1), sideways, torch.where(turn.view(-1, 1, 1), aliens.roll(1, dims=1), aliens))
    met = (aliens[:, _BOTTOM] & at_cannon).any(-1) | (marched[:, _BOTTOM] & at_cannon).any(-1)
    return marched, torch.where(turn, -direction, direction), met | landed, move


def _nearest_alien(aliens: Tensor, cannon: Tensor) -> Tensor:
    """The lowest alien of the column nearest to the cannon (of two as near, the left one): bool ``[N, 10, 10]``."""
    column = grid.columns(cannon)
    offset = column - cannon.unsqueeze(-1)
    distance = torch.where(aliens.any(1), 2 * offset.abs() + (offset > 0), 4 * grid.SIZE)
    row = torch.where(aliens, column.unsqueeze(-1), -1)
    lowest = (row == row.amax(1, keepdim=True)) & aliens
    return lowest & (distance == distance.amin(-1, keepdim=True)).unsqueeze(1)
