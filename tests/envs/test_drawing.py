"""Observations drawn from bits, against cells set one by one."""

import torch

from envs.minatar import drawing

N = 40


def test_bits_of_columns_and_nothing_outside() -> None:
    assert drawing.bit(torch.arange(-2, 12, dtype=torch.int32)).tolist() == [0, 0, *(1 << x for x in range(10)), 0, 0]


def test_every_channel_shows_its_cells() -> None:
    torch.manual_seed(0)
    for channels in (1, 3, 4, 10):
        flags = torch.rand(N, channels, 10, 10) < 0.3
        weight = 1 << torch.arange(10, dtype=torch.int32)
        rows = (flags * weight).sum(-1).to(torch.int32)
        seen = drawing.observation(*([rows[:, channel, row] for row in range(10)] for channel in range(channels)))
        assert seen.dtype == torch.uint8
        assert torch.equal(seen, flags * torch.tensor(255, dtype=torch.uint8))


def test_one_row_of_each_grid() -> None:
    row = torch.randint(10, (N,), dtype=torch.int32)
    column = torch.randint(10, (N,), dtype=torch.int32)
    expected = torch.zeros(N, 2, 10, 10, dtype=torch.bool)
    expected[torch.arange(N), 0, row, column] = True
    expected[:, 1, 9] = True
    everything = torch.full((N,), 0x3FF, dtype=torch.int32)
    seen = drawing.observation(drawing.cells(row, drawing.bit(column)), drawing.rows({9: everything}))
    assert torch.equal(seen == 255, expected)
