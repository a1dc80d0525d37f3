"""One environment whose every episode can be played again. Imports no torch: it also runs in worker processes."""

from typing import Any, NamedTuple

import gymnasium
import numpy as np

from envs.info import FAILURE
from envs.seeding import episode_seed

StepResult = tuple[Any, float, bool, bool, dict[str, Any]]


class EpisodeRecord(NamedTuple):
    """All that it takes to bring a deterministic environment back to where it was."""

    seed: int
    episode: int  # counts from 0
    actions: list[Any]  # since the episode began
    observation: Any  # what they led to, to check that they did so again


class Replayable(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Seeds each episode from (environment seed, episode number) and keeps the actions since its start.

    Goes around all other wrappers, the time limit included, so that playing the actions again brings back all of it.
    ``reset(seed=...)`` sets the environment seed and begins with episode 0; without a seed the next episode begins.

    Where the environment raises, or returns an observation of a wrong shape, nothing is raised here. The step returns
    the observation before it, reward 0 and a text under ``info[FAILURE]``: worker processes live on, and the caller
    learns which of many environments failed.
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
        except Exception as error:
            return self._observation, self._failure(f"raised {_in_one_line(error)}", "reset()")
        if fault := self._fault(observation):
            return self._observation, self._failure(fault, "reset()")
        self._observation = observation
        return observation, info

    def step(self, action: Any) -> StepResult:
        if self.resume_from is not None:
            return self._play_back()
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            reward = float(reward)
        except Exception as error:
            return self._failed_step(f"raised {_in_one_line(error)}")
        if fault := self._fault(observation):
            return self._failed_step(fault)
        self._actions.append(action.copy() if isinstance(action, np.ndarray) else action)
        self._observation = observation
        return observation, reward, bool(terminated), bool(truncated), info

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

    def _fault(self, observation: Any) -> str | None:
        """What is wrong with an observation's form, if anything is. Its values are looked at elsewhere, in batches."""
        array = np.asarray(observation)
        if array.shape != self._shape:
            return f"returned an observation of shape {array.shape} instead of {self._shape}"
        if array.dtype == self._dtype or self._dtype is None:
            return None
        if not np.can_cast(array.dtype, self._dtype, casting="same_kind"):
            return f"returned an observation of type {array.dtype} instead of {self._dtype}"
        return None

    def _failed_step(self, what: str) -> StepResult:
        return self._observation, 0.0, False, False, self._failure(what, "step()")

    def _failure(self, what: str, call: str) -> dict[str, Any]:
        return {FAILURE: f"{call} {what} (episode {self._episode}, after {len(self._actions)} steps of it)"}


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
