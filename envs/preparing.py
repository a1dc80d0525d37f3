"""Prepare observations for an agent from Python, as the wrappers of its training prepared them."""

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete, Space, Tuple


class Preparation:
    """From observations as an environment has them to arrays of the space that its run was trained on.

    Takes an observation from before all the wrappers that change one observation at a time (flattened parts, grey or
    smaller pictures), or from after them.

    Args:
        space: after all wrappers, with numbers only.
        env: a copy of the environment with its wrappers; None where it has none.
    """

    def __init__(self, space: Space[Any], env: gymnasium.Env[Any, Any] | None = None) -> None:
        self.space = self._before = space
        self._wrappers: list[gymnasium.ObservationWrapper[Any, Any, Any]] = []  # the innermost first
        while isinstance(env, gymnasium.Wrapper):
            if isinstance(env, gymnasium.ObservationWrapper):
                self._wrappers.insert(0, env)
            elif env.observation_space != env.env.observation_space:
                break  # it needs more than the last observation, as stacks of frames do
            self._before = env.env.observation_space
            env = env.env

    def arrays(self, observation: Any) -> tuple[np.ndarray, bool]:
        """One observation or a batch as ``[N, *space.shape]``, and whether it is one.

        Raises:
            ValueError: it is neither.
        """
        if not isinstance(self._before, Dict | Tuple) or isinstance(observation, np.ndarray):
            found = np.asarray(observation)
            for single in (True, False):
                if found.shape[0 if single else 1 :] == self.space.shape and (single or found.ndim):
                    return (found[np.newaxis] if single else found).astype(self.space.dtype, copy=False), single
        if _fits(self._before, observation):
            return self._prepared(observation)[np.newaxis], True
        batch = list(_entries(observation))
        if not batch or not all(_fits(self._before, entry) for entry in batch):
            before = "" if self._before is self.space else f"is of the space {self._before}, or "
            raise ValueError(
                f"an observation {before}has the shape {self.space.shape}, or (N, ...) a batch of them, "
                f"not {_described(observation)}"
            )
        return np.stack([self._prepared(entry) for entry in batch]), False

    def _prepared(self, observation: Any) -> np.ndarray:
        for wrapper in self._wrappers:
            observation = wrapper.observation(observation)
        return np.asarray(observation, self.space.dtype)


def _fits(space: Space[Any], observation: Any) -> bool:
    """Whether an observation has the parts and shapes of a space; of which type its numbers are does not matter."""
    if isinstance(space, Dict):
        known = isinstance(observation, Mapping) and observation.keys() == space.spaces.keys()
        return known and all(_fits(part, observation[key]) for key, part in space.spaces.items())
    if isinstance(space, Tuple):
        known = isinstance(observation, tuple | list) and len(observation) == len(space.spaces)
        return known and all(_fits(part, entry) for part, entry in zip(space.spaces, observation, strict=True))
    shape = () if isinstance(space, Discrete) else space.shape
    return not isinstance(observation, Mapping) and np.shape(observation) == shape


def _entries(batch: Any) -> Iterator[Any]:
    """The observations of a batch, whose parts are batches too as in vector environments, or which is a list."""
    if isinstance(batch, Mapping):
        parts = {key: list(_entries(part)) for key, part in batch.items()}
        yield from (dict(zip(parts, entry, strict=True)) for entry in zip(*parts.values(), strict=False))
    elif isinstance(batch, tuple):
        yield from zip(*(_entries(part) for part in batch), strict=False)
    elif np.ndim(batch) if isinstance(batch, np.ndarray) else isinstance(batch, list):
        yield from batch


def _described(observation: Any) -> str:
    if isinstance(observation, Mapping | tuple):
        return f"the parts {sorted(map(str, observation)) if isinstance(observation, Mapping) else len(observation)}"
    return str(np.shape(observation))
