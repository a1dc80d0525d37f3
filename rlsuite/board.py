"""The contract of board games for two players, by which agents play against themselves."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

Position = Tensor
"""Positions int64 ``[..., 2]``: the stones of the side to move, then those of the other; cell k is bit k of either.

Nothing else is known of a game, so that a position can be made of an observation. Bits are what rules are quick with.
"""


class Symmetry(NamedTuple):
    """A way to turn the board: cell k shows what was in ``cells[k]``, and action a was ``actions[a]`` before."""

    cells: Sequence[int]
    actions: Sequence[int]


class Board(Protocol):
    """A game of two sides that move in turn and see everything, as pure functions over positions.

    What one side wins the other loses. After every move the board is seen from the other side. Where a move is not
    legal, or the game is over, what follows means nothing.
    """

    shape: tuple[int, int]  # rows and columns; cells are counted row by row from the top, and are fewer than 64
    actions: int  # A
    max_moves: int  # of a game, those of both sides and passes
    symmetries: Sequence[Symmetry]  # the first leaves everything as it is

    def initial(self, *leading: int) -> Position:
        """Beginnings of games, ``[*leading, 2]`` on the CPU."""
        ...

    def legal(self, position: Position) -> Tensor:
        """Which moves the side to move has, bool ``[..., A]``; at least one, unless the game is over."""
        ...

    def play(self, position: Position, action: Tensor) -> Position:
        """The positions after moves int64 ``[...]``, as the other side sees them."""
        ...

    def outcome(self, position: Position) -> tuple[Tensor, Tensor]:
        """Whether the game is over, bool ``[...]``, and what it is worth to the side to move: float32 1, 0 or -1."""
        ...

    def estimate(self, position: Position) -> Tensor:
        """A rule of thumb's value for the side to move, float32 ``[...]`` between -1 and 1."""
        ...


def one_by_one(bits: Tensor, cells: int) -> Tensor:
    """Bits ``[...]`` as 0 and 1, int64 ``[..., cells]``."""
    return bits.unsqueeze(-1) >> torch.arange(cells, device=bits.device) & 1


def planes(position: Position, shape: tuple[int, int]) -> Tensor:
    """Positions as pictures of 0 and 1, uint8 ``[..., 2, *shape]``."""
    return one_by_one(position, shape[0] * shape[1]).to(torch.uint8).unflatten(-1, shape)


def packed(planes: Tensor) -> Position:
    """The positions of pictures ``[..., 2, H, W]``."""
    stones = planes.flatten(-2).long()
    return (stones << torch.arange(stones.shape[-1], device=stones.device)).sum(dim=-1)


def stones(bits: Tensor) -> Tensor:
    """The number of bits that are set in int64 ``[...]`` below 2 ** 63."""
    pairs = bits - ((bits >> 1) & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    eights = (fours + (fours >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (eights * 0x0101010101010101) >> 56
