"""Wrappers round each copy of a Gymnasium environment. Imports no torch: it also runs in worker processes."""

from dataclasses import dataclass, fields
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import FrameStackObservation, TransformObservation

from envs.arrangement import arranged_space, arrangement
from envs.lookup import find_function
from envs.parts import JoinedParts, has_parts
from envs.previous import WithPrevious
from rlsuite.configuration import option
from rlsuite.spaces import FrameStack

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)  # of red, green and blue, as Gymnasium has them


class PreprocessingError(ValueError):
    """An option that does not fit the environment; the message names both."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Wrappers of an environment, applied in the order of these fields.

    Args:
        max_episode_steps: steps after which an episode is truncated, instead of those of the registration.
        wrapper: ``module:function`` of each that takes the environment and returns another.
        grey: pictures in grey.
        resize: height and width of pictures, or one number for both.
        frame_stack: how many observations are stacked.
        previous_action_and_reward: beside what is observed.
    """

    max_episode_steps: int | None = None
    wrapper: tuple[str, ...] = ()
    grey: bool = False
    resize: tuple[int, ...] | None = None
    frame_stack: int | None = None
    previous_action_and_reward: bool = False

    @property
    def options(self) -> list[str]:
        """The options that are set, as the command line calls them."""
        return [option(field.name) for field in fields(self) if getattr(self, field.name) != field.default]

    def check(self) -> None:
        """Raises ``ValueError`` where a wrapper is not found."""
        for name in self.wrapper:
            find_function(name)

    def wrapped(self, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
        """The environment with all but the limit of its episodes, which ``gymnasium.make`` takes.

        Raises:
            PreprocessingError: an option does not fit, or a wrapper raised.
            UnsupportedSpace: the observation has parts that nothing makes numbers of.
        """
        for name in self.wrapper:
            env = _wrapped_by(name, env)
        if self.grey:
            env = Grey(env)
        if self.resize is not None:
            env = Resized(env, self.resize[0], self.resize[-1])
        if self.frame_stack is not None:
            if has_parts(env.observation_space):
                raise PreprocessingError(f"--frame-stack: observations have parts: {env.observation_space}")
            # Some environments write the next observation over the last one.
            copied = TransformObservation(env, np.array, env.observation_space)
            env = FrameStackObservation(copied, self.frame_stack)
        if isinstance(env, FrameStackObservation):
            _tell_frames(env)
        if self.previous_action_and_reward:
            env = WithPrevious(env)
        return JoinedParts(env) if has_parts(env.observation_space) else env


PLAIN = Preprocessing()


class Grey(gymnasium.ObservationWrapper[np.ndarray, Any, Any]):
    """Pictures ``[1, height, width]`` in grey, of those in colour.

    Raises:
        PreprocessingError: observations are no pictures in colour or grey.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        space = _picture_space("--grey", env)
        if space.shape[0] not in (1, 3):
            raise PreprocessingError(f"--grey: {space.shape[0]} channels are no colours: {env.observation_space}")
        dtype: Any = space.dtype
        self.observation_space = Box(space.low.min(), space.high.max(), (1, *space.shape[1:]), dtype)

    def observation(self, observation: Any) -> np.ndarray:
        picture = _channels_first(self.env.observation_space, observation)
        if len(picture) == 1:
            return picture
        return _of_type(self.observation_space, np.tensordot(_LUMINANCE, picture.astype(np.float32), 1)[np.newaxis])


class Resized(gymnasium.ObservationWrapper[np.ndarray, Any, Any]):
    """Pictures ``[channels, height, width]`` of another size: each pixel is the mean of the area that it covers.

    Raises:
        PreprocessingError: observations are no pictures.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], height: int, width: int) -> None:
        super().__init__(env)
        space = _picture_space("--resize", env)
        dtype: Any = space.dtype
        self.observation_space = Box(space.low.min(), space.high.max(), (space.shape[0], height, width), dtype)
        self._down, self._across = _areas(space.shape[1], height), _areas(space.shape[2], width)

    def observation(self, observation: Any) -> np.ndarray:
        picture = _channels_first(self.env.observation_space, observation)
        return _of_type(self.observation_space, self._down @ picture.astype(np.float32) @ self._across.T)


def _areas(before: int, after: int) -> np.ndarray:
    """Shares ``[after, before]`` of the old pixels in the new ones along an axis; each row sums to 1."""
    edges = np.arange(after + 1) * (before / after)
    old = np.arange(before)
    overlap = np.minimum(edges[1:, np.newaxis], old + 1) - np.maximum(edges[:-1, np.newaxis], old)
    return (overlap.clip(min=0.0) * (after / before)).astype(np.float32)


def _picture_space(name: str, env: gymnasium.Env[Any, Any]) -> Box:
    space = env.observation_space
    arranged = arranged_space(space) if isinstance(space, Box) and 0 not in space.shape else None
    if arranged is None or len(arranged.shape) != 3:
        raise PreprocessingError(f"{name}: observations are no pictures: {space}")
    return arranged


def _channels_first(space: Any, observation: Any) -> np.ndarray:
    array = np.asarray(observation)
    order, shape = arrangement(space.shape, space.dtype == np.uint8)
    return array.transpose(order).reshape(shape)


def _of_type(space: Any, picture: np.ndarray) -> np.ndarray:
    return np.rint(picture).astype(np.uint8) if space.dtype == np.uint8 else picture


def _tell_frames(env: Any) -> None:
    """Have the space of stacked observations say that they are, also where a person's wrapper stacks them."""
    space, padding = env.observation_space, {"reset": "first", "zero": "zero"}.get(env.padding_type)
    if isinstance(space, Box) and padding is not None:
        env.observation_space = FrameStack(space.low, space.high, env.stack_size, padding)  # type: ignore[arg-type]


def _wrapped_by(name: str, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    try:
        wrapped = find_function(name)(env)
    except Exception as error:  # anything can go wrong in other people's modules
        raise PreprocessingError(f"--wrapper {name}: {type(error).__name__}: {error}") from error
    if not isinstance(wrapped, gymnasium.Env):
        raise PreprocessingError(f"--wrapper {name} returned {type(wrapped).__name__} instead of an environment")
    return wrapped
