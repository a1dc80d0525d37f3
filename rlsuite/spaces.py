"""Spaces of observations that say more than a ``Box``: frames in a stack, or parts side by side. Imports no torch."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

Padding = Literal["zero", "first"]


class FrameStack(Box):
    """The newest ``stack`` frames, the oldest first; the first axis is the stack, or the stack's and the channels'.

    Args:
        low, high: bounds ``[stack, *frame]`` or ``[stack * channels, height, width]``, arrays of the space's type.
        stack: number of frames.
        padding: what stands before the first frame of an episode: "zero" for zeros, "first" for that frame again.
    """

    def __init__(self, low: np.ndarray, high: np.ndarray, stack: int, padding: Padding) -> None:
        dtype: Any = low.dtype
        super().__init__(low, high, dtype=dtype)
        self.stack = stack
        self.padding: Padding = padding


class Parts(Box):
    """A vector of several observations side by side, each flattened; ``parts`` are their spaces, in this order."""

    def __init__(self, parts: Sequence[Box]) -> None:
        dtype: Any = np.uint8 if all(part.dtype == np.uint8 for part in parts) else np.float32
        low, high = (np.concatenate([bound.ravel() for bound in bounds]) for bounds in _bounds(parts))
        super().__init__(low.astype(dtype), high.astype(dtype), dtype=dtype)
        self.parts = tuple(parts)

    def __repr__(self) -> str:
        return f"Parts({', '.join(map(str, self.parts))})"


def _bounds(parts: Sequence[Box]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [part.low for part in parts], [part.high for part in parts]
