"""The cells of boards: as bits, and in the orientations of a board."""

import torch
from torch import Tensor


def one_by_one(bits: Tensor, cells: int) -> Tensor:
    """Bits ``[...]`` as 0 and 1, int64 ``[..., cells]``."""
    return bits.unsqueeze(-1) >> torch.arange(cells, device=bits.device) & 1


def mirrored(height: int, width: int) -> list[list[int]]:
    """The cells of a board as they are, and with left and right exchanged."""
    cells = torch.arange(height * width).view(height, width)
    return [cells.flatten().tolist(), cells.flip(1).flatten().tolist()]


def turned(size: int) -> list[list[int]]:
    """The cells of a square board in its eight orientations, the first as it is."""
    cells = torch.arange(size * size).view(size, size)
    quarters = [torch.rot90(cells, turns) for turns in range(4)]
    return [view.flatten().tolist() for quarter in quarters for view in (quarter, quarter.flip(1))]
