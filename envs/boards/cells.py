"""The cells of a board in its orientations."""

import torch


def mirrored(height: int, width: int) -> list[list[int]]:
    """The cells of a board as they are, and with left and right exchanged."""
    cells = torch.arange(height * width).view(height, width)
    return [cells.flatten().tolist(), cells.flip(1).flatten().tolist()]


def turned(size: int) -> list[list[int]]:
    """The cells of a square board in its eight orientations, the first as it is."""
    cells = torch.arange(size * size).view(size, size)
    quarters = [torch.rot90(cells, turns) for turns in range(4)]
    return [view.flatten().tolist() for quarter in quarters for view in (quarter, quarter.flip(1))]
