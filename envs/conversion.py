"""What environments exchange (NumPy arrays of any type) as what agents exchange (tensors), and back."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

_INTEGERS_OF_FLOAT32 = 1 << 23  # below, float32 holds each integer and the half beside it


def tensor_space(space: gymnasium.Space[Any]) -> Box:
    """The space of the tensors that ``observation_tensor`` makes of a single environment's observations.

    ``Box`` keeps its shape; uint8 stays, every other type becomes float32. ``Discrete(n)`` becomes one-hot float32 [n].

    Raises:
        ValueError: any other space.
    """
    if isinstance(space, Discrete):
        return Box(0.0, 1.0, (int(space.n),), np.float32)
    if isinstance(space, Box):
        if space.dtype in (np.uint8, np.float32):
            return space
        with np.errstate(over="ignore"):  # a bound beyond float32 becomes infinite
            return Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)
    raise ValueError(
        f"observation space {space} is not supported: Box and Discrete are. "
        "Flatten it with gymnasium.wrappers.FlattenObservation."
    )


def observation_tensor(space: gymnasium.Space[Any], observation: Any) -> Tensor:
    """Observations ``[N, ...]`` of ``space`` as a tensor of ``tensor_space(space)``, without a copy where types agree.

    Observations that are tensors already are returned as they are.
    """
    if isinstance(observation, Tensor):
        return observation
    tensor = torch.from_numpy(observation)
    if isinstance(space, Discrete):
        return torch.nn.functional.one_hot(tensor.long() - int(space.start), int(space.n)).float()
    return tensor if tensor.dtype == torch.uint8 else tensor.float()


def tensor_action_space(space: gymnasium.Space[Any]) -> Box | Discrete:
    """The space that agents act in, of which ``action_array`` makes actions of ``space``.

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
