"""Arranges arrays of any axes as vectors, or pictures with their channels first. Imports no torch."""

import functools
import math
from typing import Any

import numpy as np
from gymnasium.spaces import Box

# Of bytes with two axes, those of this size are grey pictures; below lie boards, and stacks of a few vectors.
_SMALLEST_GREY_PICTURE = 16
_SMALLEST_PICTURE = 3


@functools.cache
def arrangement(axes: tuple[int, ...], of_bytes: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The new order of the axes of an observation, and their new lengths: one axis for numbers, three for pictures.

    An array is a picture where it has three axes or more, or two of bytes. Height and width are its two largest axes
    side by side, and all others are channels: of colour, last or first, or of a stack, ``[stack, height, width, 3]``.
    """
    as_they_are = tuple(range(len(axes)))
    numbers = as_they_are, (math.prod(axes),)
    is_grey = len(axes) == 2 and of_bytes and min(axes) >= _SMALLEST_GREY_PICTURE
    if len(axes) < 3 and not is_grey:
        return numbers
    height = max(as_they_are[:-1], key=lambda axis: (axes[axis] * axes[axis + 1], axis))  # of equal ones the last
    size = axes[height : height + 2]
    if min(size) < _SMALLEST_PICTURE:
        return numbers
    channels = [axis for axis in as_they_are if axis not in (height, height + 1)]
    return (*channels, height, height + 1), (math.prod(axes) // math.prod(size), *size)


def arranged_space(space: Box) -> Box:
    """The space of the arranged observations: uint8 stays, every other type becomes float32."""
    dtype: Any = np.uint8 if space.dtype == np.uint8 else np.float32
    with np.errstate(over="ignore"):  # a bound beyond float32 becomes infinite
        low, high = space.low.astype(dtype), space.high.astype(dtype)
    order, shape = arrangement(space.shape, dtype == np.uint8)
    return Box(low.transpose(order).reshape(shape), high.transpose(order).reshape(shape), dtype=dtype)
