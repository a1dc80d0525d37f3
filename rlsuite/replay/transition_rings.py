"""Ring buffers of complete transitions, packed without holes from streams that have holes."""

from typing import Any

import torch
from torch import Tensor

from rlsuite.experience import Batch
from rlsuite.replay.packing import Packing
from rlsuite.replay.rings import Rings
from rlsuite.state import check, check_counts


class TransitionRings:
    """R rings that keep the newest ``slots`` transitions each.

    ``written`` ``[R]`` counts what was ever appended; transition number p of a ring is there while
    ``written - slots <= p < written``.
    """

    def __init__(self, rings: int, slots: int, packing: Packing, device: torch.device | str) -> None:
        self._packing = packing
        self._rings = Rings(rings, slots, [((width,), dtype) for dtype, width in packing.widths.items()], device)
        self.written = torch.zeros(rings, dtype=torch.int64, device=device)

    @property
    def slots(self) -> int:
        return self._rings.slots

    @property
    def nbytes(self) -> int:
        return self._rings.nbytes

    def append(self, transitions: Batch, complete: Tensor) -> tuple[Tensor, Tensor]:
        """Append, in order, the transitions marked in ``complete`` (bool).

        The leading axes of both multiply to ``[R, C]``: C candidates a ring, at most ``slots``. Returns their positions
        and which of them were appended, ``[R, C]``.
        """
        complete = complete.reshape(self._rings.rings, complete.numel() // self._rings.rings)
        number = complete.cumsum(dim=1)
        position = self.written.unsqueeze(1) + number - 1
        self._rings.write(position, complete, self._packing.pack(transitions))
        self.written.add_(complete.sum(dim=1))
        return position, complete

    def gather(self, ring: Tensor, position: Tensor) -> Batch:
        """Transitions number ``position`` (int64) of rings ``ring``, which broadcast to the batch's leading axes."""
        return self._packing.unpack(self._rings.read(self._rings.row(ring, position)))

    def read(self, first_ring: Tensor, slot: Tensor) -> Batch:
        """Transitions in slots, counted through the rings from ``first_ring`` on; both broadcast."""
        return self._packing.unpack(self._rings.read(self._rings.row_of_slot(first_ring, slot)))

    def state_dict(self) -> dict[str, Any]:
        return {"written": self.written.clone(), "rings": self._rings.state_dict(self.written)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check({"written": self.written, "rings": state.get("rings")}, state, "transitions")
        check_counts(state["written"], "transitions/written")
        self._rings.load_state_dict(state["rings"], state["written"])
        self.written.copy_(state["written"])
