"""The source of off-policy agents: steps environments, fills a replay, samples it."""

import contextlib
import math
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.experience import Batch, Environments, ExperienceError, Step
from rlsuite.training.episodes import EpisodeStatistics
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.stopwatch import Stopwatch

_SAMPLE_STREAM = 1
_SHORT_ROUND = 2  # vector steps, and updates: a region's compiling takes time in proportion


class Actor(Protocol):
    """An agent as the collector sees it.

    Attributes:
        is_one_region: its update is tensor operations only, to be compiled as a whole; else it compiles parts itself.
    """

    @property
    def is_one_region(self) -> bool: ...

    def act(self, observation: Tensor, env_step: Tensor, began: Tensor, *, explore: bool) -> Tensor:
        """Actions for observations ``[S, E, ...]``.

        ``env_step`` (int64, no axes) counts the steps taken so far and keys the random numbers; ``began`` ``[S, E]``
        is True where an observation is the first of its episode.
        """
        ...


class Replay(Protocol):
    """What stores transitions; see ``rlsuite.replay``.

    Attributes:
        n_step: of an environment's first n steps, at least one transition can be sampled.
    """

    @property
    def n_step(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def add(self, observation: Tensor, action: Tensor, step: Step) -> None: ...

    def sample(self, batch_size: int, key: Tensor) -> Batch: ...

    def cut(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Collector:
    """K vector steps, then G updates: ``train_every_env_steps`` and ``updates_per_train`` of the configuration.

    One vector step is always under way while the learner works: environments that step in threads or processes of
    their own then cost no time. What is learned does not depend on it, since the order of everything is fixed.

    What is not the environments' own work on the host is compiled as ``execution`` says. Where they are on the device,
    a round that is short enough joins its updates in one region: the worker's matter (``round_is_one_region``).

    Args:
        agent: chooses the actions.
        environments, replay: where transitions come from and go to.
        batch_size: transitions an update, per seed.
        learning_starts_env_steps: no updates before, nor before there is a transition to learn from; exploration is the
            agent's own matter.
        train_every_env_steps: env steps (per seed) between two rounds of updates; where ``num_envs`` does not divide
            it, rounds are stretched to the least common multiple at the same ratio of updates to env steps.
        updates_per_train: updates of one round.
        save_replay: keep the replay in the state; without it a resumed run fills a new one before it learns on.
        clip_rewards: store the sign-preserving clip of rewards to [-1, 1]; episode statistics keep the raw ones.
    """

    def __init__(
        self,
        agent: Actor,
        environments: Environments,
        replay: Replay,
        *,
        batch_size: int,
        learning_starts_env_steps: int,
        train_every_env_steps: int,
        updates_per_train: int,
        clip_rewards: bool = False,
        save_replay: bool = True,
        execution: Execution = "eager",
        device: torch.device | str = "cpu",
    ) -> None:
        self.agent, self.environments, self.replay = agent, environments, replay
        self.batch_size, self.clip_rewards, self.save_replay = batch_size, clip_rewards, save_replay
        self._warm_up_env_steps = max(learning_starts_env_steps, replay.n_step * environments.num_envs)
        self.learning_starts_env_steps = self._warm_up_env_steps
        round_env_steps = math.lcm(train_every_env_steps, environments.num_envs)
        self._round_env_steps = round_env_steps
        self._vector_steps = round_env_steps // environments.num_envs
        self.updates_a_round = updates_per_train * (round_env_steps // train_every_env_steps)
        self.env_steps = 0
        self._sampled = torch.zeros((), dtype=torch.int64, device=device)
        self._env_step = torch.zeros((), dtype=torch.int64, device=device)
        self._seeds = torch.tensor(environments.seeds, dtype=torch.int64, device=device)
        shape = (len(environments.seeds), environments.num_envs)
        self.episodes = EpisodeStatistics(*shape, device)
        self._has_begun = False
        # Buffers that keep their addresses once experience has begun, so that what reads them can be captured.
        self._observation: Tensor | None = None
        self._action = torch.empty(0)
        self._began = torch.ones(shape, dtype=torch.bool, device=device)
        self._arrived: Step | None = None  # a step received early, to be saved
        self._watch = Stopwatch()
        short = max(self._vector_steps, self.updates_a_round) <= _SHORT_ROUND
        on_device, is_compiled = environments.on_device, execution != "eager"
        self.round_is_one_region = on_device and is_compiled and agent.is_one_region and short
        # On the device a vector step is a region, unless a round is one: the rounds before learning starts are few. On
        # the host, what is done with a step.
        self._take_step = compiled(self._step, execution if on_device and not self.round_is_one_region else "eager")
        self._what_came: Step | None = None
        self._answer_region = compiled(self._answer_what_came, execution)
        self._answer = self._answer_from_memory if is_compiled and not on_device else self._store_and_act
        # A step is received early only to be saved, which environments on the device do themselves.
        self._receive = environments.receive if environments.on_device else self._receive_or_arrived

    def collect(self) -> int:
        if self._observation is None:
            self._has_begun = True
            self._begin(self.environments.reset())
        for _ in range(self._vector_steps):
            with self._watch("collect"):
                self._take_step()
        return self.count()

    @property
    def is_warm(self) -> bool:
        has_begun = self._observation is not None
        return has_begun and self.env_steps + self._round_env_steps >= self.learning_starts_env_steps

    def gather(self) -> None:
        for _ in range(self._vector_steps):
            self._step()

    def count(self) -> int:
        self.env_steps += self._round_env_steps
        return self.updates_a_round if self.env_steps >= self.learning_starts_env_steps else 0

    def _begin(self, observation: Tensor) -> None:
        self._hold(observation, self.agent.act(observation, self._env_step, self._began, explore=True))
        self.environments.send(self._action)

    def _hold(self, observation: Tensor, action: Tensor) -> None:
        if self._observation is None:
            self._observation, self._action = observation.clone(), action.clone()
        else:
            self._observation.copy_(observation)
            self._action.copy_(action)

    def _step(self) -> None:
        step = self._receive()
        self._began.copy_(step.began)
        self._answer(step)
        with self._watch("environment"):
            self.environments.send(self._action)

    def _answer_from_memory(self, step: Step) -> None:
        # A region works on the same tensors each time, whereas in a step some may be new and two may be one.
        if self._what_came is None:
            self._what_came = Step(**{field.name: getattr(step, field.name).clone() for field in fields(Step)})
        for field in fields(Step):
            getattr(self._what_came, field.name).copy_(getattr(step, field.name))
        self._answer_region()

    def _answer_what_came(self) -> None:
        assert self._what_came is not None
        self._store_and_act(self._what_came)

    def _store_and_act(self, step: Step) -> None:
        assert self._observation is not None
        with self._watch("store"):
            self.replay.add(self._observation, self._action, step.with_clipped_reward() if self.clip_rewards else step)
            self.episodes.add(step)
        self._observation.copy_(step.observation)
        self._env_step.add_(self.environments.num_envs)
        with self._watch("act"):
            self._action.copy_(self.agent.act(self._observation, self._env_step, self._began, explore=True))

    def _receive_or_arrived(self) -> Step:
        if self._arrived is not None:
            step, self._arrived = self._arrived, None
            return step
        with self._watch("environment"):
            return self.environments.receive()

    def sample(self) -> Batch:
        self._sampled.add_(1)
        return self.replay.sample(self.batch_size, random.key(self._seeds, _SAMPLE_STREAM, self._sampled))

    def statistics(self) -> dict[str, np.ndarray | float]:
        return self.episodes.drain() | self._watch.fractions()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here; where environments failed, to go on with new episodes."""
        state: dict[str, Any] = {
            "env_steps": self.env_steps,
            "sampled": self._sampled,
            "replay": self.replay.state_dict() if self.save_replay else {},
            "episodes": self.episodes.state_dict(),
            "started": self._has_begun,
            "learning_starts_env_steps": self.learning_starts_env_steps,
        }
        if self._observation is not None:
            if not self.environments.on_device and self._arrived is None:
                # Should it fail, they say so again when the step is asked for; what there is can be saved.
                with contextlib.suppress(ExperienceError):
                    self._arrived = self._receive()
            state["observation"], state["action"], state["began"] = self._observation, self._action, self._began
            if self._arrived is not None:
                state["arrived"] = {field.name: getattr(self._arrived, field.name) for field in fields(Step)}
        if self._has_begun:
            state["environments"] = self.environments.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.env_steps = state["env_steps"]
        self.learning_starts_env_steps = state["learning_starts_env_steps"]
        self._env_step.fill_(self.env_steps)
        self._sampled.copy_(state["sampled"])
        if state["replay"]:
            self.replay.load_state_dict(state["replay"])
        else:
            # The replay was not kept: fill a new one first.
            self.learning_starts_env_steps = self.env_steps + self._warm_up_env_steps
        self.episodes.load_state_dict(state["episodes"])
        self._has_begun = state["started"]
        if not self._has_begun:
            return
        fresh = self.environments.load_state_dict(state["environments"])
        if self.environments.exact_resume:
            self._hold(state["observation"], state["action"])
            self._began.copy_(state["began"])
            if "arrived" in state:
                self._arrived = Step(**state["arrived"])
                if torch.equal(self._arrived.observation, self._arrived.successor):
                    self._arrived = replace(self._arrived, successor=self._arrived.observation)
            return
        # The environments could not go back to where they were: their episodes are cut here and new ones begin.
        self.replay.cut()
        self.episodes.abandon()
        self._began.fill_(True)
        self._begin(fresh)

    def close(self) -> None:
        self.environments.close()
