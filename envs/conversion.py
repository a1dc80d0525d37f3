"""Convert observations and actions between the arrays of environments and the tensors of agents."""

import functools
import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

_INTEGERS_OF_FLOAT32 = 1 << 23  # below, float32 holds each integer and the half beside it
# Of bytes with two axes, those of this size are grey pictures; below lie boards, and stacks of a few vectors.
_SMALLEST_GREY_PICTURE = 16
_SMALLEST_PICTURE = 3


def tensor_space(space: gymnasium.Space[Any]) -> Box:
    """The space of the tensors that ``observation_tensor`` makes of a single environment's observations.

    It has one axis for numbers and three for pictures, ``[channels, height, width]``, and nothing else has to be known
    of an observation. uint8 stays, every other type becomes float32. ``Discrete(n)`` becomes one-hot float32 [n].

    A ``Box`` is a picture where it has three axes or more, or two of bytes. Height and width are its two largest axes
    side by side, and all others are channels: of colour, last or first, or of a stack, ``[stack, height, width, 3]``.

    Raises:
        ValueError: any other space.
    """
    if isinstance(space, Discrete):
        return Box(0.0, 1.0, (int(space.n),), np.float32)
    if isinstance(space, Box) and 0 not in space.shape:
        dtype: Any = np.uint8 if space.dtype == np.uint8 else np.float32
        low: Any
        high: Any
        with np.errstate(over="ignore"):  # a bound beyond float32 becomes infinite
            low, high = space.low.astype(dtype), space.high.astype(dtype)
        order, shape = _arrangement(space.shape, dtype == np.uint8)
        return Box(low.transpose(order).reshape(shape), high.transpose(order).reshape(shape), dtype=dtype)
    raise ValueError(
        f"observation space {space} is not supported: Box and Discrete are. "
        "Flatten it with gymnasium.wrappers.FlattenObservation."
    )


@functools.cache
def _arrangement(axes: tuple[int, ...], of_bytes: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the order and the lengths of axes that turn observations into those of ``tensor_space``."""
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


def observation_tensor(space: gymnasium.Space[Any], observation: Any) -> Tensor:
    """Observations ``[N, ...]`` of ``space``, an array or a tensor, as a tensor ``[N, *tensor_space(space).shape]``.

    Nothing is copied where types and axes agree.
    """
    tensor = observation if isinstance(observation, Tensor) else torch.from_numpy(observation)
    if isinstance(space, Discrete):
        return torch.nn.functional.one_hot(tensor.long() - int(space.start), int(space.n)).float()
    tensor = tensor if tensor.dtype == torch.uint8 else tensor.float()
    order, shape = _arrangement(space.shape or (), tensor.dtype == torch.uint8)
    return tensor.permute(0, *(1 + axis for axis in order)).reshape(len(tensor), *shape).contiguous()


def tensor_action_space(space: gymnasium.Space[Any]) -> Box | Discrete:
    """Return the space that agents act in; ``action_array`` converts its actions to those of ``space``.

    ``Discrete`` stays. ``Box`` becomes float32; bounds that float32 cannot hold, or hardly, become infinite. A ``Box``
    of integers is widened by half on each side, so that rounding gives every value an equal share.

    Raises:
        ValueError: any other space, or a ``Box`` of more integers than float32 can tell apart.
    """
    if isinstance(space, Discrete):
        return space
    if not isinstance(space, Box):
        raise ValueError(f"action space {space} is not supported: Discrete and Box are.")
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    if space.dtype.kind in "iub":
        if max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)) >= _INTEGERS_OF_FLOAT32:
            raise ValueError(f"action space {space} has more integers than the float32 of an agent can tell apart.")
        low, high = low - 0.5, high + 0.5
    largest = float(np.finfo(np.float32).max)
    low, high = np.where(low <= -largest, -np.inf, low), np.where(high >= largest, np.inf, high)
    return Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)


def action_array(space: gymnasium.Space[Any], action: np.ndarray) -> np.ndarray:
    """Actions ``[N]`` int64 counted from 0, or ``[N, A]`` float32, as a new array of the space's shape, type and start.

    Those of a ``Box`` are brought within its bounds, and to the nearest integers where it is one of integers.
    """
    if isinstance(space, Discrete):
        return (action + space.start).astype(space.dtype)
    assert isinstance(space, Box)
    action = action.reshape(len(action), *space.shape)
    if space.dtype.kind in "iub":
        return np.clip(np.rint(action), space.low, space.high).astype(space.dtype)
    return np.clip(action.astype(space.dtype), space.low, space.high)
