"""Games of so many stones in a row: Tic-tac-toe, and Connect Four, whose stones fall to the lowest free cell."""

from collections.abc import Sequence
from functools import reduce
from operator import and_

import torch
from torch import Tensor

from envs.boards.cells import mirrored, turned
from rlsuite.board import Position, Symmetry, one_by_one, stones

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows down and columns right


class InARow:
    """The first side with ``length`` stones in a row, a column or a diagonal wins; a full board is a draw.

    Actions are cells, or columns where stones fall.

    Args:
        height, width: of the board.
        length: stones to win, at most 4.
        falls: whether stones fall.
    """

    def __init__(self, height: int, width: int, length: int, falls: bool = False) -> None:
        self.shape, self.length, self.falls = (height, width), length, falls
        self.cells = self.max_moves = height * width
        self.actions = width if falls else self.cells
        self.symmetries: Sequence[Symmetry] = (
            [Symmetry(cells, [cell % width for cell in cells[:width]]) for cells in mirrored(height, width)]
            if falls
            else [Symmetry(cells, cells) for cells in turned(height)]
        )
        # Of each direction: bits from a cell to the next, and the cells where lines that win start.
        self._lines = [(down * width + right, self._starts(down, right)) for down, right in _DIRECTIONS]

    def _starts(self, down: int, right: int) -> int:
        height, width = self.shape
        last = self.length - 1
        return sum(
            1 << row * width + column
            for row in range(height - last * down)
            for column in range(width)
            if 0 <= column + last * right < width
        )

    def initial(self, *leading: int) -> Position:
        return torch.zeros(*leading, 2, dtype=torch.int64)

    def legal(self, position: Position) -> Tensor:
        # Where stones fall, a column is free as long as its cell in the top row is.
        return one_by_one(_taken(position), self.actions) == 0

    def play(self, position: Position, action: Tensor) -> Position:
        mine, theirs = position.unbind(dim=-1)
        cell = action
        if self.falls:
            taken, (height, width) = _taken(position), self.shape
            for row in range(1, height):
                cell = cell + width * (1 - (taken >> (action + row * width) & 1))
        return torch.stack([theirs, mine | 1 << cell], dim=-1)

    def outcome(self, position: Position) -> tuple[Tensor, Tensor]:
        theirs = position[..., 1]  # only who has just moved can have won
        whole = torch.zeros_like(theirs)
        for distance, starts in self._lines:
            whole = whole | reduce(and_, self._along(theirs, distance)) & starts
        lost = whole != 0
        full = _taken(position) == (1 << self.cells) - 1
        return lost | full, -lost.to(torch.float32)

    def estimate(self, position: Position) -> Tensor:
        """By the lines that only one side has stones on: each counts by the square of their number."""
        worth = torch.zeros_like(position[..., 0])
        for distance, starts in self._lines:
            mine, theirs = (self._along(side, distance) for side in position.unbind(dim=-1))
            worth = worth + _worth(mine, theirs, starts) - _worth(theirs, mine, starts)
        return torch.tanh(0.02 * worth)

    def _along(self, side: Tensor, distance: int) -> list[Tensor]:
        """The stones on the first cell of every line of a direction, on the second and so on, as bits at its start."""
        return [side >> step * distance for step in range(self.length)]


def _worth(own: list[Tensor], others: list[Tensor], starts: int) -> Tensor:
    """The sum of the squares of one side's stones, up to three, on the lines where the other has none."""
    free = starts & ~others[0]
    for along in others[1:]:
        free = free & ~along
    # The number of stones on each line in binary digits, for all lines at once.
    ones, twos = own[0], torch.zeros_like(own[0])
    for along in own[1:]:
        ones, twos = ones ^ along, twos | (ones & along)
    return stones(ones & free) + 4 * stones(twos & free) + 4 * stones(ones & twos & free)


def _taken(position: Position) -> Tensor:
    return position[..., 0] | position[..., 1]
