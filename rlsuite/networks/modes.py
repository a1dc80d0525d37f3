"""Whether networks are being trained, and dropout, whose masks depend on nothing but the seed and the update.

Inside ``with training(keys)`` dropout draws masks, and batch norm uses and follows the statistics of the batch. Outside
both are deterministic functions of their input.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rlsuite import random

_keys: Tensor | None = None  # [S], one for each network, or one number
_masks = 0  # drawn since the context was entered


@contextmanager
def training(keys: Tensor) -> Iterator[None]:
    """Train networks while entered; ``keys`` ``[S]`` (see ``rlsuite.random``) decide each network's dropout masks."""
    global _keys, _masks
    before = _keys, _masks
    _keys, _masks = keys, 0
    try:
        yield
    finally:
        _keys, _masks = before


def is_training() -> bool:
    """Whether networks are being trained now."""
    return _keys is not None


class Dropout(nn.Module):
    """Sets each number to zero with ``probability`` and scales the others up (Srivastava et al., 2014).

    Args:
        probability: of zero.
        shared: trailing axes that share a mask, counted from the last but one: 1 gives one mask for all steps of a
            sequence ``[B, T, F]`` (Gal and Ghahramani, 2016).
    """

    def __init__(self, probability: float, shared: int = 0) -> None:
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise ValueError(f"the probability of dropout must be at least 0 and below 1, not {probability}")
        self.probability, self.shared = probability, shared

    def forward(self, x: Tensor) -> Tensor:
        if not is_training() or self.probability == 0.0:
            return x
        return x * self._mask(x.shape, x.device)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S networks on ``[S, B, ...]``, each with masks of its own."""
        if not is_training() or self.probability == 0.0:
            return x
        return x * self._mask(x.shape[1:], x.device)

    def _mask(self, shape: torch.Size, device: torch.device) -> Tensor:
        """Factors ``[S, *shape]``, or ``shape`` where the key is a single number."""
        global _masks
        assert _keys is not None
        key = random.fold(_keys, _masks)
        _masks += 1
        last = len(shape) - 1
        own = [1 if last - self.shared <= axis < last else size for axis, size in enumerate(shape)]
        kept = random.uniform(key, *own).to(device) >= self.probability
        return kept / (1.0 - self.probability)
