"""Observations that are dictionaries or tuples, as one vector. Imports no torch: it also runs in worker processes."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space

from envs.arrangement import arranged_space, arrangement
from rlsuite.spaces import Parts


class UnsupportedSpace(ValueError):
    """An observation space that nothing here makes numbers of; the message names the part."""


class JoinedParts(gymnasium.ObservationWrapper[np.ndarray, Any, Any]):
    """The parts of a ``Dict`` or ``Tuple``, side by side in a vector as ``gymnasium.spaces.flatten`` puts them.

    Discrete parts are one-hot. Pictures have their channels first, ``[channels, height, width]``, before they are
    flattened; the space, a ``Parts``, tells where they are.

    Raises:
        UnsupportedSpace: a part is no ``Box``, ``Discrete``, ``MultiDiscrete`` or ``MultiBinary``.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._leaves = list(_leaves(env.observation_space))
        self.observation_space = Parts([_leaf_space(path, space) for path, space in self._leaves])

    def observation(self, observation: Any) -> np.ndarray:
        parts = [_leaf_vector(space, _at(observation, path)) for path, space in self._leaves]
        return np.concatenate(parts).astype(self.observation_space.dtype, copy=False)


def has_parts(space: Space[Any]) -> bool:
    return isinstance(space, Dict | Tuple)


def _leaves(space: Space[Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Space[Any]]]:
    """The spaces without parts, each with the keys and indices that lead to it."""
    if isinstance(space, Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, Tuple):
        for index, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, index))
    else:
        yield path, space


def _at(observation: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        observation = observation[key]
    return observation


def _leaf_space(path: tuple[Any, ...], space: Space[Any]) -> Box:
    if isinstance(space, Box) and 0 not in space.shape:
        return arranged_space(space)
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        flat = flatten_space(space)
        assert isinstance(flat, Box)
        return Box(flat.low.astype(np.float32), flat.high.astype(np.float32), dtype=np.float32)
    named = "".join(f"[{key!r}]" for key in path)
    raise UnsupportedSpace(
        f"part {named} of the observation space, {space}, is not supported: Box, Discrete, MultiDiscrete and "
        "MultiBinary are. Leave it out by a wrapper, --wrapper module:function."
    )


def _leaf_vector(space: Space[Any], value: Any) -> np.ndarray:
    if isinstance(space, Box):
        array = np.asarray(value)
        if array.shape != space.shape:
            raise ValueError(f"a part of the observation has the shape {array.shape} instead of {space.shape}")
        order, _ = arrangement(space.shape, space.dtype == np.uint8)
        return array.transpose(order).ravel()
    if not space.contains(value):
        raise ValueError(f"a part of the observation, {value!r}, is outside {space}")
    return np.asarray(flatten(space, value))
