"""What environments exchange (NumPy arrays of any type) as what agents exchange (tensors), and back."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor


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


def check_action_space(space: gymnasium.Space[Any]) -> None:
    """``ValueError`` for action spaces that no agent here can act in."""
    if not isinstance(space, Discrete | Box):
        raise ValueError(f"action space {space} is not supported: Discrete and Box are.")


def action_array(space: gymnasium.Space[Any], action: Tensor) -> np.ndarray:
    """Actions ``[N]`` int64 counted from 0, or ``[N, A]`` float32, as a new array of the space's type and start."""
    array = action.detach().cpu().numpy()
    if isinstance(space, Discrete):
        return array.astype(np.int64) + int(space.start)
    return array.reshape(len(array), *(space.shape or ())).astype(space.dtype)
