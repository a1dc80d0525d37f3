"""An environment that can play each episode again. Imports no torch: it also runs in worker processes."""

import copy
import reprlib
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from envs.info import FAILURE, STOPS_BOOTSTRAP
from envs.seeding import episode_seed
from rlsuite.notice import warn_once

StepResult = tuple[Any, float, bool, bool, dict[str, Any]]


class EpisodeRecord(NamedTuple):
    """All that it takes to bring a deterministic environment back to where it was."""

    seed: int
    episode: int  # counts from 0
    actions: list[Any]  # since the episode began
    observation: Any  # the result of the actions, to check the playback


class Replayable(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Seeds each episode from (environment seed, episode number) and keeps the actions since its start.

    Goes around all other wrappers, the time limit included, so that playing the actions again brings back all of it.
    ``reset(seed=...)`` sets the environment seed and begins with episode 0; without a seed the next episode begins.

    Where the environment raises, or returns what its spaces exclude, nothing is raised here. The step returns the
    observation before it, reward 0 and a text under ``info[FAILURE]``: worker processes live on, and the caller learns
    which of many environments failed. Of what an environment says in ``info``, only what is read is passed on.

    Arrays are copied on their way in and out: some environments write the next observation over the last one, and some
    work on the action they are given.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.resume_from: EpisodeRecord | None = None  # set from outside; the next step plays it back
        self._seed = 0
        self._episode = -1
        self._actions: list[Any] = []
        self._shape, self._dtype = env.observation_space.shape or (), env.observation_space.dtype
        self._observation: Any = np.zeros(self._shape, self._dtype)

    def record(self) -> EpisodeRecord:
        return EpisodeRecord(self._seed, self._episode, self._actions, self._observation)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        self._actions = []
        try:
            observation, info = self.env.reset(seed=episode_seed(self._seed, self._episode), options=options)
            self._observation = self._own(observation)
            return self._observation, _read(info)
        except _Unfit as error:
            return self._observation, self._failure(f"returned {error}", "reset()")
        except (Exception, SystemExit) as error:
            return self._observation, self._failure(f"raised {_in_one_line(error)}", "reset()")

    def step(self, action: Any) -> StepResult:
        if self.resume_from is not None:
            return self._play_back()
        played = copy.copy(action)
        try:
            returned = self.env.step(action)
            if not isinstance(returned, tuple) or len(returned) != 5:
                raise _Unfit(f"{_short(returned)} instead of (observation, reward, terminated, truncated, info)")
            observation, reward, terminated, truncated, info = returned
            result = self._own(observation), _number(reward), bool(terminated), bool(truncated), _read(info)
        except _Unfit as error:
            return self._failed_step(f"returned {error}")
        except (Exception, SystemExit) as error:
            return self._failed_step(f"raised {_in_one_line(error)}")
        self._actions.append(played)
        self._observation = result[0]
        return result

    def close(self) -> None:
        try:
            self.env.close()
        except (Exception, SystemExit) as error:  # only a warning: the run must not be lost to it
            warn_once(f"{self.spec.id if self.spec else self.env}: close() raised {_in_one_line(error)}")

    def _play_back(self) -> StepResult:
        """Begin the recorded episode again and act as recorded; returns what the last step returned then."""
        assert self.resume_from is not None
        record, self.resume_from = self.resume_from, None
        self._seed, self._episode = record.seed, record.episode - 1
        observation, info = self.reset()
        result: StepResult = (observation, 0.0, False, False, info)
        for action in record.actions:
            _, _, terminated, truncated, _ = result
            if terminated or truncated:
                return self._failed_step("ended an episode earlier than it did before")
            result = self.step(action)
        if not np.array_equal(self._observation, record.observation):
            return self._failed_step("is not where the same seed and actions led before")
        return result

    def _own(self, observation: Any) -> Any:
        """A copy of an observation, of the space's type. Its values are looked at elsewhere, in batches.

        Raises:
            _Unfit: it has another shape or another type, or numbers beyond that type.
        """
        if self._dtype is None:  # a space with parts
            return copy.deepcopy(observation)
        array = np.asarray(observation)
        if array.shape != self._shape:
            raise _Unfit(f"an observation of shape {array.shape} instead of {self._shape}")
        if array.dtype != self._dtype and not np.can_cast(array.dtype, self._dtype, casting="same_kind"):
            raise _Unfit(f"an observation of type {array.dtype} instead of {self._dtype}")
        try:
            with np.errstate(over="raise"):
                return np.array(array, self._dtype)
        except FloatingPointError:
            raise _Unfit(f"an observation with numbers beyond {self._dtype}: {_short(array)}") from None

    def _failed_step(self, what: str) -> StepResult:
        return self._observation, 0.0, False, False, self._failure(what, "step()")

    def _failure(self, what: str, call: str) -> dict[str, Any]:
        return {FAILURE: f"{call} {what} (episode {self._episode}, after {len(self._actions)} steps of it)"}


class _Unfit(ValueError):
    """An environment returned something that cannot be learned from: the message says what."""


def _number(reward: Any) -> float:
    array = np.asarray(reward)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise _Unfit(f"a reward that is no number: {_short(reward)}")
    return float(array.item())


def _read(info: Any) -> dict[str, Any]:
    """Return the entries of an info that the adapter reads; vectors cannot hold every kind of entry."""
    return {key: info[key] for key in (STOPS_BOOTSTRAP,) if key in info} if isinstance(info, dict) else {}


def _in_one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _short(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())
