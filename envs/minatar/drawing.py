"""Observations of games whose state is bits: a channel is ten rows int32 ``[N]``, bit ``x`` of a row is column ``x``.

Four cells become the four bytes of an integer in a few operations that vector units have: marked cell by cell
(``grid.draw``), Breakout's observations took compiled code three times as long. Rows are apart, and not one tensor, so
that they fuse with the rules they come from.
"""

import torch
from torch import Tensor

from envs.minatar import grid

Channel = list[Tensor]
"""Ten rows int32 ``[N]``, from the top."""

_WORD = 32  # bits of an int32


def bit(column: Tensor) -> Tensor:
    """Columns int32 as bits; those outside of the grid as none."""
    inside = (column >= 0) & (column < grid.SIZE)
    return torch.where(inside, 1 << column.clamp(0, grid.SIZE - 1), 0)


def cells(row: Tensor, columns: Tensor) -> Channel:
    """The cells of one row of each grid: its number and its columns as bits, both int32 ``[N]``."""
    return [torch.where(row == number, columns, 0) for number in range(grid.SIZE)]


def rows(given: dict[int, Tensor]) -> Channel:
    """The rows of those numbers, and nothing in the others."""
    nothing = torch.zeros_like(next(iter(given.values())))
    return [given.get(number, nothing) for number in range(grid.SIZE)]


def observation(*channels: Channel) -> Tensor:
    """Return the observation uint8 ``[N, C, 10, 10]``: 255 at the cells of each channel and 0 elsewhere.

    Its rows in memory are some bytes longer than ``C * 100``, up to whole pairs of integers of 32 cells.
    """
    lines = [row for channel in channels for row in channel]
    size = len(lines) * grid.SIZE
    first, second = (
        torch.stack([_word(lines, start) for start in range(half, size + half, 2 * _WORD)]) for half in (0, _WORD)
    )
    # Two words are the 16 lanes of the widest vectors, one the 8 of others: where a vector of fours came from three or
    # more words, or half of one, compiled code would draw them one by one.
    lane = torch.arange(2 * _WORD // 4, dtype=torch.int32, device=first.device)
    word = torch.where(lane < _WORD // 4, first.T.unsqueeze(-1), second.T.unsqueeze(-1))
    fours = word >> 4 * (lane % (_WORD // 4)) & 0xF
    # Bit k of four times 2 ** 7k is where byte k begins; the lowest byte comes first in memory.
    drawn = (fours * 0x204081 & 0x01010101) * 0xFF
    return drawn.flatten(1).view(torch.uint8)[:, :size].unflatten(1, (len(channels), grid.SIZE, grid.SIZE))


def _word(lines: list[Tensor], first: int) -> Tensor:
    """32 cells, counted line by line from number ``first`` on, as the bits of an int32."""
    word = torch.zeros_like(lines[0])
    for number, line in enumerate(lines):
        distance = number * grid.SIZE - first
        if -grid.SIZE < distance < _WORD:
            word = word | (line << distance if distance >= 0 else line >> -distance)
    return word
