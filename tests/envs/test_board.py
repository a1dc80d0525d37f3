"""Sets of cells as bits, against grids of flags."""

import pytest
import torch

from envs.minatar import bits, board, drawing
from envs.minatar.board import Board

GRIDS = 200


@pytest.fixture
def flags() -> torch.Tensor:
    """Grids from empty to full, bool ``[N, 10, 10]``."""
    torch.manual_seed(0)
    return torch.rand(GRIDS, 10, 10) < torch.linspace(0, 1, GRIDS).view(-1, 1, 1)


@pytest.fixture
def cells(flags: torch.Tensor) -> Board:
    return board.from_flags(flags)


def _flags(cells: Board) -> torch.Tensor:
    return drawing.observation(board.channel(cells))[:, 0] == 255


def _bits(columns: torch.Tensor) -> torch.Tensor:
    return columns.unsqueeze(-1) >> torch.arange(10) & 1 != 0


def test_pictures_show_the_cells(flags: torch.Tensor, cells: Board) -> None:
    pictures = drawing.observation(board.channel(cells), board.channel(board.without(cells, cells)))
    assert pictures.dtype == torch.uint8
    assert torch.equal(pictures[:, 0], flags * torch.tensor(255, dtype=torch.uint8))
    assert not pictures[:, 1].any()


def test_cells_move_a_row_and_leave_the_grid(flags: torch.Tensor, cells: Board) -> None:
    nothing = torch.zeros(GRIDS, 1, 10, dtype=torch.bool)
    assert torch.equal(_flags(board.one_up(cells)), torch.cat((flags[:, 1:], nothing), dim=1))
    assert torch.equal(_flags(board.one_down(cells)), torch.cat((nothing, flags[:, :-1]), dim=1))


def test_rows_columns_and_counts(flags: torch.Tensor, cells: Board) -> None:
    for number in range(10):
        assert torch.equal(_bits(board.row(cells, number)), flags[:, number])
    assert torch.equal(_bits(board.occupied_columns(cells)), flags.any(1))
    assert torch.equal(board.count(cells), flags.sum((1, 2)))


@pytest.mark.parametrize("column", range(10))
def test_lowest_of_a_column(flags: torch.Tensor, cells: Board, column: int) -> None:
    lowest = _flags(board.lowest_in_column(cells, torch.full((GRIDS,), 1 << column)))
    expected = torch.zeros_like(flags)
    for grid, marks in enumerate(flags[:, :, column]):
        if marks.any():
            expected[grid, marks.nonzero().max(), column] = True
    assert torch.equal(lowest, expected)


@pytest.mark.parametrize("row", range(10))
def test_one_cell(row: int) -> None:
    column = torch.arange(10)
    seen = _flags(board.cell(row, column))
    assert seen.sum() == 10
    assert seen[column, row, column].all()


def test_highest_and_lowest_bit() -> None:
    numbers = torch.arange(1024)
    assert bits.highest(numbers).tolist() == [(1 << number.bit_length()) >> 1 for number in range(1024)]
    assert bits.lowest(numbers).tolist() == [number & -number for number in range(1024)]
