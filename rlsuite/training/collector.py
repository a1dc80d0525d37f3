"""The collector: steps environments with an agent, and stores the steps in a replay or rollout."""

import contextlib
import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor

from rlsuite.agent import Acted, ActingState, Actor, TensorSpec, check_acted, rehearse
from rlsuite.experience import Environments, ExperienceError, Step
from rlsuite.state import check, check_tensor
from rlsuite.training.episodes import EpisodeStatistics
from rlsuite.training.normalisation import Normaliser
from rlsuite.training.rounds import Experience, Rounds
from rlsuite.training.stopwatch import Stopwatch


class Collector(Rounds):
    """Collect experience in rounds of K vector steps, followed by G updates each.

    Off-policy agents act ahead: one vector step is always under way while the learner works, so that environments
    which step in threads or processes of their own cost no time. What is learned does not depend on it, since the order
    of everything is fixed. On-policy agents act with the parameters that the last update left.

    Args:
        agent: chooses the actions.
        environments, experience: where steps come from and go to.
        vector_steps: K.
        updates_a_round: G.
        acts_ahead: choose the next action as soon as a step has come.
        learning_starts_env_steps: no updates before; exploration is the agent's own matter.
        normaliser: takes note of every step, and is refreshed between rounds.
        save_experience: keep it in the state; without it a resumed run fills it anew before it learns on.
        clip_rewards: store the sign-preserving clip of rewards to [-1, 1]; episode statistics keep the raw ones.
    """

    def __init__(
        self,
        agent: Actor,
        environments: Environments,
        experience: Experience,
        *,
        vector_steps: int,
        updates_a_round: int = 1,
        acts_ahead: bool = True,
        learning_starts_env_steps: int = 0,
        clip_rewards: bool = False,
        normaliser: Normaliser | None = None,
        save_experience: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        """Raises ``ValueError`` where the agent lacks a part, or acts otherwise than it declares."""
        super().__init__(
            experience,
            environments.seeds,
            env_steps_a_round=vector_steps * environments.num_envs,
            updates_a_round=updates_a_round,
            learning_starts_env_steps=learning_starts_env_steps,
            save_experience=save_experience,
            device=device,
        )
        self.agent, self.environments = agent, environments
        self.vector_steps, self.acts_ahead = vector_steps, acts_ahead
        self.clip_rewards, self.normaliser = clip_rewards, normaliser
        shape = (len(environments.seeds), environments.num_envs)
        observation, self._action = spec_of(environments.observation_space), spec_of(environments.action_space)
        rehearse(agent, *shape, observation, self._action, device)
        self.episodes = EpisodeStatistics(*shape, device)
        self._env_step = torch.zeros((), dtype=torch.int64, device=device)
        # These keep their addresses from the first step on, because compiled code relies on them.
        self._has_begun = False  # True also if the environments failed to begin
        self._observation: Tensor | None = None
        self._began = torch.ones(shape, dtype=torch.bool, device=device)
        self._acted = Acted(torch.empty(0), {}, {})
        self._pending: Step | None = None  # a step received early, to be saved
        self._watch = Stopwatch()

    def collect(self) -> None:
        """Take the K vector steps of a round."""
        if self._observation is None:
            self._has_begun = True
            self._start(self.environments.reset())
        if self.normaliser is not None:
            self.normaliser.refresh()
        for _ in range(self.vector_steps):
            with self._watch("collect"):
                self.step()

    def count_from(self, env_steps: int) -> None:
        """Set the number of env steps so far, which keys what the agent does."""
        self.env_steps = env_steps
        self._env_step.fill_(env_steps)

    def step(self) -> None:
        """One vector step."""
        if not self.acts_ahead:
            self.act()
            self.environments.send(self._acted.action)
        self.take(self._receive())
        if self.acts_ahead:
            with self._watch("environment"):
                self.environments.send(self._acted.action)

    def take(self, step: Step) -> None:
        """Store a step and, for those who act ahead, choose the next action."""
        assert self._observation is not None
        with self._watch("store"):
            stored = step.with_clipped_reward() if self.clip_rewards else step
            self.experience.add(self._observation, self._acted.action, stored, self._acted.extras)
            self.episodes.add(step)
            if self.normaliser is not None:
                self.normaliser.add(stored)
        self._observation.copy_(step.observation)
        self._began.copy_(step.began)
        self._env_step.add_(self.environments.num_envs)
        if self.acts_ahead:
            self.act()

    def act(self) -> None:
        """Choose the next action."""
        with self._watch("act"):
            assert self._observation is not None
            self._keep(self.agent.act(self._observation, self._acted.state, self._began, self._env_step, explore=True))

    def _receive(self) -> Step:
        if not self.environments.on_device and self._pending is not None:
            step, self._pending = self._pending, None
            return step
        with self._watch("environment"):
            return self.environments.receive()

    def _start(self, observation: Tensor) -> None:
        """Reset all environments and begin with their first observations."""
        num_envs = self.environments.num_envs
        state = self.agent.initial_state(num_envs)
        acted = self.agent.act(observation, state, self._began, self._env_step, explore=True)
        self._check(state, acted)
        # On-policy agents act once more, with the same random numbers, when the step is taken.
        self._begin_with(observation, acted if self.acts_ahead else acted._replace(state=state))
        if self.acts_ahead:
            self.environments.send(self._acted.action)

    def _begin_with(self, observation: Tensor, acted: Acted) -> None:
        if self._observation is None:
            self._observation = observation.clone()
            self._acted = Acted(acted.action.clone(), _cloned(acted.state), _cloned(acted.extras))
            return
        self._observation.copy_(observation)
        self._keep(acted)

    def _check(self, state: ActingState, acted: Acted) -> None:
        check_acted(self.agent, state, acted, self._began.shape, self._action)

    def _keep(self, acted: Acted) -> None:
        if _layout(acted) != _layout(self._acted):  # copy_ would broadcast or convert without a word
            self._check(self._acted.state, acted)
        self._acted.action.copy_(acted.action)
        # Extras first: they may be the state that was acted on, which is overwritten next.
        for kept, new in ((self._acted.extras, acted.extras), (self._acted.state, acted.state)):
            for name, tensor in kept.items():
                tensor.copy_(new[name])

    def statistics(self) -> dict[str, np.ndarray | float]:
        return self.episodes.drain() | self._watch.fractions()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here; where environments failed, to go on with new episodes."""
        state = super().state_dict() | {"episodes": self.episodes.state_dict(), "started": self._has_begun}
        if self._observation is not None:
            if self.acts_ahead and not self.environments.on_device and self._pending is None:
                # An error here is raised again when the step is received; the state so far can be saved.
                with contextlib.suppress(ExperienceError):
                    self._pending = self._receive()
            state["observation"], state["began"] = self._observation, self._began
            state["action"], state["acting"] = self._acted.action, self._acted.state
            state["extras"] = self._acted.extras
            if self._pending is not None:
                state["pending"] = {each.name: getattr(self._pending, each.name) for each in fields(Step)}
        if self._has_begun:
            state["environments"] = self.environments.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check({"started": False}, {"started": state["started"]}, "source")
        super().load_state_dict(state)
        self.count_from(self.env_steps)
        self.episodes.load_state_dict(state["episodes"])
        self._has_begun = state["started"]
        if not self._has_begun:
            return
        fresh = self.environments.load_state_dict(state["environments"])
        if self.environments.exact_resume:
            self._check_held(state)
            self._begin_with(state["observation"], Acted(state["action"], state["acting"], state["extras"]))
            self._began.copy_(state["began"])
            if "pending" in state:
                self._pending = Step(**state["pending"])
            return
        # The environments could not restore their state: their episodes are cut here, and new ones begin.
        self.experience.cut()
        self.episodes.abandon()
        if self.normaliser is not None:
            self.normaliser.abandon()
        self._began.fill_(True)
        self._start(fresh)

    def _check_held(self, state: dict[str, Any]) -> None:
        """Raise ``StateError`` where what is held between two steps is not what these environments and agent hold."""
        space, lead = self.environments.observation_space, tuple(self._began.shape)
        dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
        check_tensor(state["observation"], (*lead, *(space.shape or ())), dtype, "observation")
        observation, flag = state["observation"], self._began
        first = self.agent.initial_state(self.environments.num_envs)
        acted = self.agent.act(observation, first, flag, self._env_step, explore=True)
        own: dict[str, Any] = {"began": flag, "action": acted.action, "acting": acted.state, "extras": acted.extras}
        if "pending" in state:
            kinds = {"observation": observation, "next_observation": observation, "reward": flag.float()}
            own["pending"] = {each.name: kinds.get(each.name, flag) for each in fields(Step)}
        check(own, {name: state[name] for name in own}, "source")

    def close(self) -> None:
        self.environments.close()


def spec_of(space: Space[Any]) -> TensorSpec:
    """Describes how observations or actions of a space of ``Environments`` are stored."""
    assert space.shape is not None
    if not isinstance(space, Box):
        return TensorSpec(space.shape, torch.int64)
    return TensorSpec(space.shape, torch.uint8 if space.dtype == np.uint8 else torch.float32)


def rounds_of(train_every_env_steps: int, updates_per_train: int, num_envs: int) -> tuple[int, int]:
    """Vector steps and updates of a round that keeps the ratio of updates to env steps.

    Where ``num_envs`` does not divide ``train_every_env_steps``, a round takes their least common multiple.
    """
    env_steps = math.lcm(train_every_env_steps, num_envs)
    return env_steps // num_envs, updates_per_train * (env_steps // train_every_env_steps)


def _cloned(tensors: ActingState) -> ActingState:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _layout(acted: Acted) -> dict[tuple[str, str], tuple[torch.Size, torch.dtype]]:
    parts = {"action": {"": acted.action}, "state": acted.state, "extras": acted.extras}
    return {(part, name): (found.shape, found.dtype) for part, named in parts.items() for name, found in named.items()}
