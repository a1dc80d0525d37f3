"""Othello: a stone turns all stones of the other side that it closes in with one of its own side's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from envs.boards.cells import turned
from rlsuite.board import Position, Symmetry, one_by_one, stones

_DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
_LARGEST = 7  # so that the cells of a board are the bits of an int64


class Othello:
    """The side with more stones wins when neither has a move. A side without one passes, which is the last action.

    Actions are cells; the first side begins with the stones at the upper right and the lower left of the middle.

    Args:
        size: of the board, 4 or 6.

    Raises:
        ValueError: of another size.
    """

    def __init__(self, size: int = 6) -> None:
        if size not in range(4, _LARGEST, 2):
            raise ValueError(f"the size must be 4 or 6, not {size}")
        self.shape, self.cells = (size, size), size * size
        self.actions = self.cells + 1
        self.passing = self.cells
        self.max_moves = 2 * (self.cells - 4)  # there are never two passes on end
        self.symmetries: Sequence[Symmetry] = [Symmetry(cells, [*cells, self.passing]) for cells in turned(size)]
        self._corners = _bits([0, size - 1, self.cells - size, self.cells - 1])
        # Of each direction: bits from a cell to the next, and the cells that have one before them on the board.
        self._steps = [
            (down * size + right, _bits([cell for cell in range(self.cells) if 0 <= cell % size - right < size]))
            for down, right in _DIRECTIONS
        ]

    def initial(self, *leading: int) -> Position:
        size = self.shape[0]
        low, high = size // 2 - 1, size // 2
        begins, follows = _bits([low * size + high, high * size + low]), _bits([low * size + low, high * size + high])
        return torch.tensor([begins, follows]).repeat(*leading, 1)

    def legal(self, position: Position) -> Tensor:
        places = self._places(*position.unbind(dim=-1))
        return torch.cat([one_by_one(places, self.cells) > 0, (places == 0).unsqueeze(-1)], dim=-1)

    def play(self, position: Position, action: Tensor) -> Position:
        mine, theirs = position.unbind(dim=-1)
        placed = torch.where(action == self.passing, 0, 1 << action.clamp(max=self.cells - 1))
        captured = torch.zeros_like(mine)
        for step in self._steps:
            run, beyond = self._run(placed, theirs, step)
            captured = captured | torch.where((beyond & mine) != 0, run, 0)
        return torch.stack([theirs & ~captured, mine | captured | placed], dim=-1)

    def outcome(self, position: Position) -> tuple[Tensor, Tensor]:
        mine, theirs = position.unbind(dim=-1)
        over = (self._places(mine, theirs) | self._places(theirs, mine)) == 0
        lead = stones(mine) - stones(theirs)
        return over, torch.where(over, lead.sign(), 0).to(torch.float32)

    def estimate(self, position: Position) -> Tensor:
        """By corners, which cannot be turned, by moves to choose from, and a little by stones."""
        mine, theirs = position.unbind(dim=-1)
        moves = stones(self._places(mine, theirs)) - stones(self._places(theirs, mine))
        corners = stones(mine & self._corners) - stones(theirs & self._corners)
        return torch.tanh(0.05 * (5.0 * corners + moves + 0.1 * (stones(mine) - stones(theirs))))

    def _places(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """The cells in which the side to move may put a stone, as bits ``[...]``."""
        places = torch.zeros_like(mine)
        for step in self._steps:
            places = places | self._run(mine, theirs, step)[1]
        return places & ~(mine | theirs)

    def _run(self, start: Tensor, theirs: Tensor, step: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The other side's stones in a direction from cells ``start``, without a gap, and the cells after each."""
        run = _moved(start, step) & theirs
        for _ in range(self.shape[0] - 3):
            run = run | _moved(run, step) & theirs
        return run, _moved(run, step)


def _moved(cells: Tensor, step: tuple[int, int]) -> Tensor:
    """Cells one further; those that leave the board are gone."""
    distance, inside = step
    return (cells << distance if distance > 0 else cells >> -distance) & inside


def _bits(cells: list[int]) -> int:
    return sum(1 << cell for cell in cells)
