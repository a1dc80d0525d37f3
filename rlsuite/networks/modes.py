"""Whether networks are being trained, and dropout, whose masks depend on nothing but the seed and the update.

Inside ``with training(keys)`` dropout draws masks, and batch norm uses and follows the statistics of the batch. Outside
both are deterministic functions of their input.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rlsuite import random, ranks

_STREAM = 14
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


def keys_of(seeds: Tensor, updates: Tensor) -> Tensor:
    """The keys ``[S]`` of networks with these seeds, for the update after so many ``[S]``; each rank has its own."""
    keys = random.key(seeds, _STREAM, updates)
    return random.fold(keys, ranks.rank()) if ranks.rank() else keys


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
        check_probability(probability)
        self.probability, self.shared = probability, shared

    def forward(self, x: Tensor) -> Tensor:
        if not is_training() or self.probability == 0.0:
            return x
        return x * kept(self._own(x.shape), self.probability, x.device)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S networks on ``[S, B, ...]``, each with masks of its own."""
        if not is_training() or self.probability == 0.0:
            return x
        return x * kept(self._own(x.shape[1:]), self.probability, x.device)

    def _own(self, shape: torch.Size) -> list[int]:
        """The shape of a mask for numbers of that shape."""
        last = len(shape) - 1
        return [1 if last - self.shared <= axis < last else size for axis, size in enumerate(shape)]


class DropConnect(nn.Linear):
    """A linear layer that sets each weight to zero with ``probability``, one mask a batch (Wan et al., 2013).

    The others are scaled up, so that the layer without masks is the mean over masks.
    """

    def __init__(self, inputs: int, outputs: int, probability: float) -> None:
        super().__init__(inputs, outputs)
        check_probability(probability)
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self._masked(self.weight, self.weight.shape), self.bias)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S networks on ``[S, B, inputs]``, each with a mask of its own."""
        weight = self._masked(named["weight"], named["weight"].shape[1:])
        return torch.baddbmm(named["bias"].unsqueeze(1), x, weight.mT)

    def _masked(self, weight: Tensor, shape: torch.Size) -> Tensor:
        if not is_training() or self.probability == 0.0:
            return weight
        return weight * kept(list(shape), self.probability, weight.device)


def check_probability(probability: float) -> None:
    """Raises ``ValueError`` where nothing would be left, or the number is no probability."""
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"the probability of dropout must be at least 0 and below 1, not {probability}")


def kept(shape: list[int], probability: float, device: torch.device) -> Tensor:
    """Factors ``[S, *shape]``, or ``shape`` where the key is one number: 0 with ``probability``, the others above 1."""
    global _masks
    assert _keys is not None
    key = random.fold(_keys, _masks)
    _masks += 1
    return (random.uniform(key, *shape).to(device) >= probability) / (1.0 - probability)
