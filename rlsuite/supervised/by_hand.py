"""A learner made by hand: named tensors, and a rule that changes them."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

from rlsuite.state import restore

B_contra = TypeVar("B_contra", contravariant=True)
Tensors = dict[str, Tensor]


class ByHand(Generic[B_contra]):
    """Learns by a rule that is written down in full.

    Args:
        tensors: all that is learned, by name, ``[S, ...]`` for S seeds.
        rule: changes the tensors in place, given a batch, and returns numbers ``[S]`` to log.
    """

    def __init__(self, tensors: Tensors, rule: Callable[[Tensors, B_contra], Tensors]) -> None:
        self.tensors, self.rule = tensors, rule

    def update(self, batch: B_contra) -> Tensors:
        return self.rule(self.tensors, batch)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.tensors)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.tensors, state)
