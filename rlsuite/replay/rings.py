"""Ring buffers side by side in flat tables, written and read by fixed-shape tensor operations."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlsuite.state import restore

_TORCH_TO_NUMPY = {torch.uint8: np.uint8, torch.float32: np.float32, torch.int64: np.int64}


class Rings:
    """``rings`` rings of ``slots`` slots; a slot holds one row of every table.

    Positions count the writes of a ring from its first and are never reduced: position p lies in slot p % slots.
    Each ring has two rows more: a spare one, which takes the writes that are not to be kept, so that no write needs a
    shape that depends on data, and a blank one, which stays zero.

    Args:
        rings: R.
        slots: of each ring.
        tables: shape of a row and dtype, for each table.
        device: where the tables live. On the CPU memory is taken page by page as it is first written.
    """

    def __init__(
        self, rings: int, slots: int, tables: Sequence[tuple[Sequence[int], torch.dtype]], device: torch.device | str
    ) -> None:
        self.rings, self.slots = rings, slots
        self._stride = slots + 2
        self.tables = [_lazy_zeros((rings * self._stride, *shape), dtype, device) for shape, dtype in tables]
        self.blank_row = slots + 1
        self._first_row = torch.arange(rings, device=device) * self._stride

    @property
    def nbytes(self) -> int:
        return sum(table.nbytes for table in self.tables)

    def row(self, ring: Tensor, position: Tensor) -> Tensor:
        """Return the table rows of int64 positions; ``ring`` and ``position`` broadcast."""
        return ring * self._stride + position % self.slots

    def row_of_slot(self, first_ring: Tensor, slot: Tensor) -> Tensor:
        """Return the table rows of slots, counted through the rings from ``first_ring`` on; both broadcast."""
        return first_ring * self._stride + slot + slot // self.slots * (self._stride - self.slots)

    def write(self, position: Tensor, keep: Tensor, values: Sequence[Tensor]) -> None:
        """Write one row of every table at each of C positions ``[R, C]`` of each ring, where ``keep`` ``[R, C]``."""
        row = self._first_row.unsqueeze(1) + torch.where(keep, position % self.slots, self.slots)
        for table, value in zip(self.tables, values, strict=True):
            _put(table, row.flatten(), value.reshape(row.numel(), *table.shape[1:]))

    def write_few(self, position: Tensor, keep: Tensor, values: Sequence[Tensor]) -> None:
        """The same as ``write``; quicker on the CPU where few of many rows are to be kept."""
        if keep.device.type != "cpu":
            self.write(position, keep, values)
            return
        ring, column = keep.nonzero(as_tuple=True)
        row = self.row(ring, position[ring, column])
        for table, value in zip(self.tables, values, strict=True):
            _put(table, row, value.reshape(*keep.shape, *table.shape[1:])[ring, column])

    def read(self, row: Tensor) -> list[Tensor]:
        """The rows of every table, ``[*row.shape, ...]``."""
        flat = row.flatten()
        return [_gather(table, flat).view(*row.shape, *table.shape[1:]) for table in self.tables]

    def state_dict(self, written: Tensor) -> dict[str, Any]:
        """The slots in use after ``written`` writes to each ring; full tables are not copied but shared."""
        used = self._used(written)
        state = {}
        for index, table in enumerate(self.tables):
            by_ring = table.view(self.rings, self._stride, *table.shape[1:])
            # The spare rows depend on the order of writes on the device, so they are not part of the state.
            by_ring[:, self.slots].zero_()
            state[f"table_{index}"] = by_ring[:, :used].contiguous()
        return state

    def _used(self, written: Tensor) -> int:
        """Slots of a ring that have something in them, or all its rows once it is full."""
        most = int(written.max())
        return most if most < self.slots else self._stride

    def load_state_dict(self, state: Mapping[str, Any], written: Tensor) -> None:
        """Go back to what was saved after ``written`` writes to each ring."""
        used = self._used(written)
        restore(
            {
                f"table_{index}": table.view(self.rings, self._stride, *table.shape[1:])[:, :used]
                for index, table in enumerate(self.tables)
            },
            state,
            "rings",
        )


def _put(table: Tensor, row: Tensor, value: Tensor) -> None:
    if not torch.compiler.is_compiling() and table.device.type == "cpu" and table.dtype == torch.uint8:
        words = [_in_words(each) for each in (table, value)]
        if words[0] is not None and words[1] is not None:
            words[0].index_copy_(0, row, words[1])
            return
    table.index_copy_(0, row, value)


def _in_words(rows: Tensor) -> Tensor | None:
    """Rows of bytes as rows of 64-bit words, which torch copies eight times as quickly; None where they are not."""
    flat = rows.flatten(1) if rows.dim() > 1 else rows.unsqueeze(1)
    if flat.shape[1] % 8 or flat.shape[1] == 0 or rows.storage_offset() % 8 or not flat.is_contiguous():
        return None
    return flat.view(torch.int64)


def _gather(table: Tensor, row: Tensor) -> Tensor:
    if torch.compiler.is_compiling() and table.dtype == torch.uint8 and table.device.type == "cpu":
        # Inductor's own code for it copies images byte by byte, which is much slower.
        return torch.ops.rlsuite.gather(table, row)
    return table.index_select(0, row)


torch.library.define("rlsuite::gather", "(Tensor table, Tensor row) -> Tensor")


@torch.library.impl("rlsuite::gather", "cpu")
def _gather_opaquely(table: Tensor, row: Tensor) -> Tensor:
    return table.index_select(0, row)


@torch.library.register_fake("rlsuite::gather")
def _gather_shape(table: Tensor, row: Tensor) -> Tensor:
    return table.new_empty(row.shape[0], *table.shape[1:])


def by_ring(value: Tensor) -> Tensor:
    """Values of T steps, ``[S, T, E, ...]``, by the rings of environments: ``[R, T, ...]``."""
    return value.transpose(1, 2).flatten(0, 1)


def _lazy_zeros(shape: Sequence[int], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    if torch.device(device).type != "cpu" or dtype not in _TORCH_TO_NUMPY:
        return torch.zeros(*shape, dtype=dtype, device=device)
    # torch.zeros would touch every page at once, which takes seconds for gigabytes; numpy leaves that to the system.
    return torch.from_numpy(np.zeros(math.prod(shape), dtype=_TORCH_TO_NUMPY[dtype])).view(*shape)
