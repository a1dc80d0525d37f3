"""Networks whose outputs do not change when a picture is turned: features averaged, or the largest, over a group.

The sum, or the maximum, of f(g x) over all g of a group does not change when x is turned by one of them, since that
only changes the order of the terms.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

_QUARTERS = 4


class OverQuarterTurns(nn.Module):
    """``module`` of a square picture in its four orientations, reduced to one output by mean or maximum.

    Args:
        module: pictures ``[B, C, N, N]`` to ``[B, F]``.
        reduce: mean, or max of each of the F outputs.
    """

    def __init__(self, module: nn.Module, reduce: Literal["mean", "max"] = "mean") -> None:
        super().__init__()
        self.module, self.reduce = module, reduce

    def forward(self, pictures: Tensor) -> Tensor:
        return self._reduced(self.module(self._orientations(pictures, batch_axis=0)), batch_axis=0)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], pictures: Tensor) -> Tensor:
        """The same for S networks on ``[S, B, C, N, N]``."""
        return self._reduced(child("module", self._orientations(pictures, batch_axis=1)), batch_axis=1)

    def _orientations(self, pictures: Tensor, batch_axis: int) -> Tensor:
        """All orientations of all pictures along the axis of the batch."""
        height, width = pictures.shape[-2:]
        if height != width:
            raise ValueError(f"pictures must be square to be turned by 90 degrees, not {height} x {width}")
        return torch.cat([torch.rot90(pictures, turns, dims=(-2, -1)) for turns in range(_QUARTERS)], dim=batch_axis)

    def _reduced(self, outputs: Tensor, batch_axis: int) -> Tensor:
        each = outputs.unflatten(batch_axis, (_QUARTERS, -1))
        return each.mean(dim=batch_axis) if self.reduce == "mean" else each.amax(dim=batch_axis)
