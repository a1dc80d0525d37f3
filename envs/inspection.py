"""Check observations, rewards and actions for wrong shapes, values outside a space, NaN and infinity."""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete

from envs.info import FAILURE

_Whole = Discrete | MultiDiscrete | MultiBinary

_LARGEST = float(np.finfo(np.float32).max)


class Fault(NamedTuple):
    """A description of a fault, and the index of its environment; None if it concerns the whole batch."""

    environment: int | None
    what: str


def reported_fault(info: dict[str, Any]) -> Fault | None:
    """The first failure that an environment itself reported."""
    if FAILURE not in info:
        return None
    environment = int(np.flatnonzero(info[f"_{FAILURE}"])[0])
    return Fault(environment, info[FAILURE][environment])


def observation_fault(space: gymnasium.Space[Any], observation: np.ndarray, num_envs: int) -> Fault | None:
    """The first observation that is not finite in float32, or outside a space of whole numbers."""
    expected = (num_envs, *(space.shape or ()))
    if observation.shape != expected:
        return Fault(None, f"the observations have the shape {observation.shape} instead of {expected}")
    if isinstance(space, _Whole):
        outside = _outside(space, observation)
        return outside and Fault(outside.environment, f"the observation {outside.what}")
    if np.issubdtype(observation.dtype, np.floating) and (unfit := _not_finite(observation)).any():
        environment, *place = (int(index) for index in np.argwhere(unfit)[0])
        return Fault(environment, f"the observation is {_named(observation[(environment, *place)])} at index {place}")
    return None


def reward_fault(reward: np.ndarray, num_envs: int) -> Fault | None:
    """The first reward that is not finite in float32."""
    if reward.shape != (num_envs,):
        return Fault(None, f"the rewards have the shape {reward.shape} instead of {(num_envs,)}")
    if (unfit := _not_finite(reward)).any():
        environment = int(np.flatnonzero(unfit)[0])
        return Fault(environment, f"the reward is {_named(reward[environment])}")
    return None


def action_fault(space: gymnasium.Space[Any], action: np.ndarray) -> Fault | None:
    """The first action of an agent, counted from 0, that is not finite, or outside a space of whole numbers."""
    if isinstance(space, _Whole):
        outside = _outside(space, action if isinstance(space, MultiBinary) else action + space.start)
        return outside and Fault(outside.environment, f"the agent's action {outside.what}")
    if not np.isfinite(action).all():
        environment = int(np.argwhere(~np.isfinite(action))[0][0])
        return Fault(environment, f"the agent's action is not finite: {action[environment].tolist()}")
    return None


def _not_finite(values: np.ndarray) -> np.ndarray:
    """Return a mask of the values that float32, the dtype of agents, cannot hold as finite numbers."""
    if values.dtype.itemsize <= 4:
        return ~np.isfinite(values)
    return ~(np.abs(values) <= _LARGEST)


def _named(value: Any) -> str:
    return f"{value}, more than the largest float32 ({_LARGEST:.2g})" if np.isfinite(value) else f"{value}"


def _outside(space: _Whole, values: np.ndarray) -> Fault | None:
    start, choices = _range(space)
    outside = ((values < start) | (values >= start + choices)).reshape(len(values), -1).any(axis=1)
    if not outside.any():
        return None
    environment = int(np.flatnonzero(outside)[0])
    return Fault(environment, f"{values[environment]} is outside {space}")


def _range(space: _Whole) -> tuple[Any, Any]:
    """The smallest number of each component, and how many there are."""
    if isinstance(space, MultiBinary):
        return 0, 2
    return space.start, space.n if isinstance(space, Discrete) else space.nvec
