"""Convert observations and actions between the arrays of environments and the tensors of agents."""

import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from torch import Tensor

from envs.arrangement import arranged_space, arrangement
from rlsuite.spaces import FrameStack, Parts

_INTEGERS_OF_FLOAT32 = 1 << 23  # below, float32 holds each integer and the half beside it


def tensor_space(space: gymnasium.Space[Any]) -> Box:
    """The space of the tensors that ``observation_tensor`` makes of a single environment's observations.

    It has one axis for numbers and three for pictures, ``[channels, height, width]``; see ``arrangement``. uint8 stays,
    every other type becomes float32. ``Discrete(n)`` becomes one-hot float32 [n], ``MultiDiscrete`` the same of each
    component, side by side, and ``MultiBinary`` a vector of zeros and ones. The frames of a ``FrameStack`` are arranged
    one by one, and their channels joined; a vector of ``Parts`` stays.

    Raises:
        ValueError: any other space.
    """
    if isinstance(space, Discrete):
        return Box(0.0, 1.0, (int(space.n),), np.float32)
    if isinstance(space, MultiDiscrete):
        return Box(0.0, 1.0, (int(space.nvec.sum()),), np.float32)
    if isinstance(space, MultiBinary):
        return Box(0.0, 1.0, (math.prod(space.shape),), np.float32)
    if isinstance(space, Parts):
        return space
    if isinstance(space, FrameStack):
        frames = [arranged_space(_frame_space(space, index)) for index in range(space.stack)]
        low, high = (
            np.concatenate(bounds) for bounds in zip(*((frame.low, frame.high) for frame in frames), strict=True)
        )
        return FrameStack(low, high, space.stack, space.padding)
    if isinstance(space, Box) and 0 not in space.shape:
        return arranged_space(space)
    raise ValueError(
        f"observation space {space} is not supported: Box, Discrete, MultiDiscrete and MultiBinary are, and Dict and "
        "Tuple of these. Change it by a wrapper."
    )


def _frame_space(space: FrameStack, index: int) -> Box:
    dtype: Any = space.dtype
    return Box(space.low[index], space.high[index], dtype=dtype)


def observation_tensor(space: gymnasium.Space[Any], observation: Any) -> Tensor:
    """Observations ``[N, ...]`` of ``space``, an array or a tensor, as a tensor ``[N, *tensor_space(space).shape]``.

    Nothing is copied where types and axes agree.
    """
    tensor = observation if isinstance(observation, Tensor) else torch.from_numpy(observation)
    if isinstance(space, Discrete):
        return torch.nn.functional.one_hot(tensor.long() - int(space.start), int(space.n)).float()
    if isinstance(space, MultiDiscrete):
        choices = torch.from_numpy(space.nvec.astype(np.int64)).flatten()
        start = torch.from_numpy(space.start.astype(np.int64)).flatten()
        place = tensor.long().flatten(1) + (choices.cumsum(0) - choices - start).to(tensor.device)
        return torch.zeros(len(tensor), int(choices.sum()), device=tensor.device).scatter_(1, place, 1.0)
    tensor = tensor if tensor.dtype == torch.uint8 else tensor.float()
    frames = space.stack if isinstance(space, FrameStack) else 1
    axes = (space.shape or ())[1:] if isinstance(space, FrameStack) else space.shape or ()
    order, (first, *others) = arrangement(axes, tensor.dtype == torch.uint8)
    apart = tensor.reshape(len(tensor) * frames, *axes).permute(0, *(1 + axis for axis in order))
    return apart.reshape(len(tensor), frames * first, *others).contiguous()


def tensor_action_space(space: gymnasium.Space[Any]) -> Box | Discrete | MultiDiscrete | MultiBinary:
    """Return the space that agents act in; ``action_array`` converts its actions to those of ``space``.

    ``Discrete``, ``MultiDiscrete`` and ``MultiBinary`` stay. ``Box`` becomes float32; bounds that float32 cannot hold,
    or hardly, become infinite. A ``Box`` of integers is widened by half on each side, so that rounding gives every
    value an equal share.

    Raises:
        ValueError: any other space, a ``Box`` of nothing, or one of more integers than float32 can tell apart.
    """
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        return space
    if not isinstance(space, Box):
        raise ValueError(f"action space {space} is not supported: Discrete, MultiDiscrete, MultiBinary and Box are.")
    if 0 in space.shape:
        raise ValueError(f"action space {space} holds no number, so that there is nothing to choose.")
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    if space.dtype.kind in "iub":
        if max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)) >= _INTEGERS_OF_FLOAT32:
            raise ValueError(f"action space {space} has more integers than the float32 of an agent can tell apart.")
        low, high = low - 0.5, high + 0.5
    largest = float(np.finfo(np.float32).max)
    low, high = np.where(low <= -largest, -np.inf, low), np.where(high >= largest, np.inf, high)
    return Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)


def action_array(space: gymnasium.Space[Any], action: np.ndarray) -> np.ndarray:
    """Actions int64 counted from 0, ``[N]`` or ``[N, ...]``, or float32 ``[N, ...]``, as a new array of the space.

    Those of a ``Box`` are brought within its bounds, and to the nearest integers where it is one of integers.
    """
    if isinstance(space, Discrete | MultiDiscrete):
        return (action + space.start).astype(space.dtype)
    if isinstance(space, MultiBinary):
        return action.astype(space.dtype)
    assert isinstance(space, Box)
    action = action.reshape(len(action), *space.shape)
    if space.dtype.kind in "iub":
        return np.clip(np.rint(action), space.low, space.high).astype(space.dtype)
    return np.clip(action.astype(space.dtype), space.low, space.high)
