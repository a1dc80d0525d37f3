"""MinAtar SpaceInvaders: shoot the aliens before they land, and mind their bullets."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import bits, board, drawing, grid
from envs.minatar.board import Board
from rlsuite import random

STEPS_PER_SHOT = 5  # of the cannon
ALIEN_STEPS_PER_SHOT = 10
SLOWEST_ALIENS = 12  # steps between moves in the first wave, at most
FASTEST_WAVE = 6
_BOTTOM = grid.SIZE - 1
_WAVE = sum(1 << row * grid.SIZE + column for row in range(4) for column in range(2, 8))  # upper half of a board


class SpaceInvaders:
    """Reward 1 an alien. Fewer aliens move faster, and so does each new wave. Terminates when an alien or a bullet hits
    the cannon, or when aliens that stand in the lowest row turn.

    State, int32 ``[N]``: ``cannon`` (column), ``shot_timer``, ``alien_direction`` (-1 left, 1 right),
    ``alien_move_interval``, ``alien_move_timer``, ``alien_shot_timer``, ``last_action``; boards of
    ``envs.minatar.board``: ``aliens``, ``bullets`` and ``alien_bullets``.

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
        none = torch.zeros_like(key, dtype=torch.int64)
        return {
            "cannon": zero + 5,
            "shot_timer": zero,
            "alien_direction": zero - 1,
            "alien_move_interval": zero + SLOWEST_ALIENS,
            "alien_move_timer": zero + SLOWEST_ALIENS,
            "alien_shot_timer": zero + ALIEN_STEPS_PER_SHOT,
            "last_action": zero + grid.NOTHING,
            **board.entries("aliens", Board(none + _WAVE, none)),
            **board.entries("bullets", Board(none, none)),
            **board.entries("alien_bullets", Board(none, none)),
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks."""
        chance = random.uniform(key)
        action = grid.sticky(action, state["last_action"], chance, self.sticky_action_probability)
        cannon = grid.moved(state["cannon"], action, grid.LEFT, grid.RIGHT)
        column = cannon.to(torch.int64)

        fires = (action == grid.FIRE) & (state["shot_timer"] == 0)
        bullets = board.one_up(board.of(state, "bullets"))
        # A new bullet starts in the cannon's row and flies at once.
        bullets = board.united(bullets, board.kept(board.cell(_BOTTOM - 1, column), fires))
        alien_bullets = board.one_down(board.of(state, "alien_bullets"))
        shot = _stands_in(board.row(alien_bullets, _BOTTOM), column)

        aliens, direction, caught, move = _marched(state, column)
        count = board.count(board.of(state, "aliens")).to(torch.int32)
        move_timer = torch.where(move, torch.minimum(count, state["alien_move_interval"]), state["alien_move_timer"])

        alien_fires = state["alien_shot_timer"] == 0
        alien_bullets = board.united(alien_bullets, board.kept(_nearest_alien(aliens, column), alien_fires))
        killed = board.common(aliens, bullets)
        aliens, bullets = board.without(aliens, killed), board.without(bullets, killed)

        cleared = (aliens.upper | aliens.lower) == 0
        faster = cleared & (state["alien_move_interval"] > FASTEST_WAVE) & self.ramping
        following = {
            "cannon": cannon,
            "shot_timer": grid.counted_down(torch.where(fires, STEPS_PER_SHOT, state["shot_timer"])),
            "alien_direction": direction,
            "alien_move_interval": state["alien_move_interval"] - faster.to(torch.int32),
            "alien_move_timer": move_timer - 1,
            "alien_shot_timer": torch.where(alien_fires, ALIEN_STEPS_PER_SHOT, state["alien_shot_timer"]) - 1,
            "last_action": action,
            **board.entries("aliens", Board(torch.where(cleared, _WAVE, aliens.upper), aliens.lower)),
            **board.entries("bullets", bullets),
            **board.entries("alien_bullets", alien_bullets),
        }
        return following, board.count(killed).to(torch.float32), shot | caught

    def observe(self, state: State) -> Tensor:
        aliens, left = board.of(state, "aliens"), state["alien_direction"] < 0
        maps = (
            board.cell(_BOTTOM, state["cannon"].to(torch.int64)),
            aliens,
            board.kept(aliens, left),
            board.kept(aliens, ~left),
            board.of(state, "bullets"),
            board.of(state, "alien_bullets"),
        )
        return drawing.observation(*(board.channel(cells) for cells in maps))

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _stands_in(row: Tensor, column: Tensor) -> Tensor:
    """Whether a row, as its ten bits, has something in the column."""
    return (row >> column) & 1 != 0


def _marched(state: State, column: Tensor) -> tuple[Board, Tensor, Tensor, Tensor]:
    """One row down and about face at a side, else one column on, where it is time.

    Returns:
        The aliens, their direction, whether the cannon in that column is lost to them, and whether it was time.
    """
    aliens, direction = board.of(state, "aliens"), state["alien_direction"]
    move, to_the_left = state["alien_move_timer"] == 0, direction < 0
    lowest_row, columns = board.row(aliens, _BOTTOM), board.occupied_columns(aliens)
    at_the_side = _stands_in(columns, torch.where(to_the_left, 0, _BOTTOM).to(torch.int64))
    turn = move & at_the_side
    landed = turn & (lowest_row != 0)
    # In the published game aliens that go down from the lowest row are seen in the first one, when all is over.
    down = board.united(board.one_down(aliens), Board(lowest_row, torch.zeros_like(lowest_row)))
    sideways = board.both(lambda cells: torch.where(to_the_left, cells >> 1, cells << 1), aliens)
    marched = board.where(move, board.where(at_the_side, down, sideways), aliens)
    met = _stands_in(lowest_row | board.row(marched, _BOTTOM), column)
    return marched, torch.where(turn, -direction, direction), met | landed, move


def _nearest_alien(aliens: Board, cannon: Tensor) -> Board:
    """The lowest alien of the column nearest to the cannon; of two as near, the left one."""
    columns = board.occupied_columns(aliens)
    up_to_cannon = columns & ((torch.full_like(cannon, 2) << cannon) - 1)
    beyond = columns & ~up_to_cannon
    left, right = bits.highest(up_to_cannon), bits.lowest(beyond)
    # Bits a and b are 2^a and 2^b: the left one is as near where cannon - a <= b - cannon.
    left_is_nearer = (right == 0) | (left * right >= torch.ones_like(cannon) << 2 * cannon)
    return board.lowest_in_column(aliens, torch.where(left_is_nearer, left, right))
