"""Sets of cells of the grid as bits of two integers, so that a rule is a few operations on whole numbers ``[N]``.

Row ``y`` and column ``x`` are bit ``y * 10 + x``, counted from the first row: 50 bits, rows 0 to 4, in the upper half
and 50 in the lower one. Grids of flags, a hundred numbers each, took compiled code over sixty times as long.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from envs.core import State
from envs.minatar import drawing, grid

_ROWS = grid.SIZE // 2  # of a half
_BITS = _ROWS * grid.SIZE
_HALF = (1 << _BITS) - 1


class Board(NamedTuple):
    """A set of cells in each of N grids; both halves int64 ``[N]``."""

    upper: Tensor
    lower: Tensor


def of(state: State, kind: str) -> Board:
    """The board of that name in a state."""
    return Board(state[f"{kind}_upper"], state[f"{kind}_lower"])


def entries(kind: str, cells: Board) -> State:
    """A board as entries of a state."""
    return {f"{kind}_upper": cells.upper, f"{kind}_lower": cells.lower}


def both(rule: Callable[..., Tensor], *boards: Board) -> Board:
    """A rule that looks at no other cell, in both halves."""
    return Board(rule(*(board.upper for board in boards)), rule(*(board.lower for board in boards)))


def cell(row: int, column: Tensor) -> Board:
    """One cell in each grid: a row, and columns int64 ``[N]``."""
    bit = torch.ones_like(column) << (column + row % _ROWS * grid.SIZE)
    none = torch.zeros_like(bit)
    return Board(bit, none) if row < _ROWS else Board(none, bit)


def united(first: Board, second: Board) -> Board:
    return both(lambda one, other: one | other, first, second)


def common(first: Board, second: Board) -> Board:
    return both(lambda one, other: one & other, first, second)


def without(board: Board, gone: Board) -> Board:
    return both(lambda cells, taken: cells & ~taken, board, gone)


def where(mask: Tensor, if_true: Board, if_false: Board) -> Board:
    """Grid by grid one or the other; ``mask`` is bool ``[N]``."""
    return both(lambda one, other: torch.where(mask, one, other), if_true, if_false)


def kept(board: Board, mask: Tensor) -> Board:
    """No cells at all where ``mask`` is False."""
    return both(lambda cells: torch.where(mask, cells, 0), board)


def one_up(board: Board) -> Board:
    """Shift all rows up by one and drop the first."""
    carried = (board.lower & grid.ALL_COLUMNS) << (_BITS - grid.SIZE)
    return Board((board.upper >> grid.SIZE) | carried, board.lower >> grid.SIZE)


def one_down(board: Board) -> Board:
    """Shift all rows down by one and drop the last."""
    carried = board.upper >> (_BITS - grid.SIZE)
    return Board((board.upper << grid.SIZE) & _HALF, (board.lower << grid.SIZE) & _HALF | carried)


def row(board: Board, number: int) -> Tensor:
    """The columns of one row as the ten lowest bits, int64 ``[N]``."""
    half = board.upper if number < _ROWS else board.lower
    return (half >> number % _ROWS * grid.SIZE) & grid.ALL_COLUMNS


def occupied_columns(board: Board) -> Tensor:
    """The columns with a cell in any row, as the ten lowest bits, int64 ``[N]``."""
    found = board.upper | board.lower
    found = found | (found >> 2 * grid.SIZE)
    return (found | (found >> grid.SIZE) | (found >> 2 * grid.SIZE)) & grid.ALL_COLUMNS


def lowest_in_column(board: Board, column: Tensor) -> Board:
    """The lowest cell of a column, which is given as one of the ten lowest bits, int64 ``[N]``; or none."""
    doubled = column | (column << grid.SIZE)
    everywhere = doubled | (doubled << 2 * grid.SIZE) | (column << 4 * grid.SIZE)
    upper, lower = (_lowest(half & everywhere) for half in board)
    return Board(torch.where(lower != 0, 0, upper), lower)


def _lowest(cells: Tensor) -> Tensor:
    """Only the lowest of the cells of one column."""
    filled = cells | (cells >> grid.SIZE)
    filled = filled | (filled >> 2 * grid.SIZE)
    filled = filled | (cells >> 4 * grid.SIZE)
    return filled ^ (filled >> grid.SIZE)


def count(board: Board) -> Tensor:
    """Return the number of cells, int64 ``[N]``, from sums of bits in pairs, then in fours, then in eights."""
    total = torch.zeros_like(board.upper)
    for half in board:
        pairs = half - ((half >> 1) & 0x5555555555555)
        fours = (pairs & 0x3333333333333) + ((pairs >> 2) & 0x3333333333333)
        total = total + fours
    eights = (total & 0xF0F0F0F0F0F0F) + ((total >> 4) & 0xF0F0F0F0F0F0F)
    eights = eights + (eights >> 32)
    eights = eights + (eights >> 16)
    return (eights + (eights >> 8)) & 0xFF


def channel(board: Board) -> drawing.Channel:
    """The cells as rows to draw."""
    return [row(board, number).to(torch.int32) for number in range(grid.SIZE)]


def from_flags(flags: Tensor) -> Board:
    """The cells that bool ``[N, 10, 10]`` marks."""
    weights = 1 << torch.arange(_BITS, device=flags.device)
    upper, lower = ((half * weights).sum(-1) for half in flags.flatten(-2).split(_BITS, dim=-1))
    return Board(upper, lower)
