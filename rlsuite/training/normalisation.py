"""Observations and rewards on a scale of about one, for any agent, by running statistics of each seed.

Shapes: S seeds, E environments.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rlsuite.agent import Acted, ActingState, Diagnostics, extras_of
from rlsuite.experience import Step
from rlsuite.state import restore

_FARTHEST = 10.0  # standard deviations that a normalised observation may be from the mean, or a reward from 0
_SMALLEST_VARIANCE = 1e-8


class RunningStatistics:
    """Count, mean and variance of all numbers so far, for each seed and each entry of ``shape``.

    Batches are joined as by Chan, Golub and LeVeque (1979). Means and deviations are doubles, in which the small share
    of the millionth batch is not lost.
    """

    def __init__(self, seeds: int, shape: Sequence[int], device: torch.device | str) -> None:
        self.count = torch.zeros(seeds, dtype=torch.float64, device=device)
        self.mean = torch.zeros(seeds, *shape, dtype=torch.float64, device=device)
        self.deviation = torch.zeros_like(self.mean)  # sum of squared deviations from the mean

    def add(self, numbers: Tensor) -> None:
        """Take note of ``[S, E, *shape]``."""
        numbers, size = numbers.double(), numbers.shape[1]
        mean, before = numbers.mean(dim=1), self._per_entry(self.count)
        shift, after = mean - self.mean, before + size
        spread = (numbers - mean.unsqueeze(1)).square().sum(dim=1)
        self.deviation.add_(spread + shift.square() * before * size / after)
        self.mean.add_(shift * size / after)
        self.count.add_(size)

    @property
    def variance(self) -> Tensor:
        """``[S, *shape]``; 1 before there are any numbers."""
        count = self._per_entry(self.count)
        return torch.where(count > 0, self.deviation / count.clamp(min=1.0), 1.0)

    def _per_entry(self, count: Tensor) -> Tensor:
        return count.view(-1, *[1] * (self.mean.dim() - 1))

    def state_dict(self) -> dict[str, Tensor]:
        return {"count": self.count, "mean": self.mean, "deviation": self.deviation}


class Normaliser:
    """The scales of a run's observations and rewards.

    Observations get mean 0 and standard deviation 1; rewards are divided by the standard deviation of the discounted
    returns so far, and clipped, since the first rewards of a task that rarely gives any are far beyond it. ``add``
    takes note of a step, and ``refresh`` puts to use all that was noted: between two rounds, so that a policy learns on
    the scale on which it acted. Evaluations do neither.

    Args:
        seeds, num_envs: S and E.
        observation_shape: of one environment.
        discount: ``[S]``, of the returns.
        observations, rewards: which of the two to scale.
    """

    def __init__(
        self,
        seeds: int,
        num_envs: int,
        observation_shape: Sequence[int],
        discount: Tensor,
        *,
        observations: bool,
        rewards: bool,
    ) -> None:
        device, self._discount = discount.device, discount.unsqueeze(1)
        self._observations = RunningStatistics(seeds, observation_shape, device) if observations else None
        self._returns = RunningStatistics(seeds, (), device) if rewards else None
        self._return = torch.zeros(seeds, num_envs, device=device)  # discounted, of the episodes under way
        self._mean = torch.zeros(seeds, *observation_shape, device=device)
        self._scale = torch.ones_like(self._mean)  # divides
        self._reward_scale = torch.ones(seeds, device=device)

    def add(self, step: Step) -> None:
        if self._observations is not None:
            self._observations.add(step.observation)
        if self._returns is not None:
            self._return.mul_(self._discount).add_(step.reward)
            self._returns.add(self._return)
            self._return.masked_fill_(step.ended, 0.0)

    def refresh(self) -> None:
        if self._observations is not None:
            self._mean.copy_(self._observations.mean)
            self._scale.copy_((self._observations.variance + _SMALLEST_VARIANCE).sqrt())
        if self._returns is not None:
            self._reward_scale.copy_((self._returns.variance + _SMALLEST_VARIANCE).sqrt())

    def observation(self, observation: Tensor) -> Tensor:
        """Observations ``[S, ..., *shape]`` on their scale; as they are where only rewards are scaled."""
        if self._observations is None:
            return observation
        between = observation.dim() - self._mean.dim()  # axes between the seeds' and the observation's
        mean, scale = (x.view(len(x), *[1] * between, *x.shape[1:]) for x in (self._mean, self._scale))
        return ((observation - mean) / scale).clamp(-_FARTHEST, _FARTHEST)

    def batch(self, batch: Any) -> Any:
        """A batch of any kind with its observations and rewards on their scales."""
        names = [name for name in ("observation", "next_observation") if hasattr(batch, name)]
        scaled = {name: self.observation(getattr(batch, name)) for name in names}
        if self._returns is not None:
            reward = batch.reward / self._reward_scale.view(-1, *[1] * (batch.reward.dim() - 1))
            scaled["reward"] = reward.clamp(-_FARTHEST, _FARTHEST)
        return replace(batch, **scaled)

    def diagnostics(self, found: Diagnostics) -> Diagnostics:
        """Bring values and scores of an agent from the scale of its returns back to the environment's rewards."""
        scale = self._reward_scale.unsqueeze(1)  # [S, E]
        changes: dict[str, Any] = {} if found.value is None else {"value": found.value * scale}
        if found.scores is not None and not found.scores_are_probabilities:
            changes["scores"] = found.scores * scale.unsqueeze(2)
        if found.returns is not None:
            value, probability = found.returns
            changes["returns"] = value * scale.view(-1, 1, 1, 1), probability
        return replace(found, **changes)

    def abandon(self) -> None:
        """Forget the episodes under way."""
        self._return.zero_()

    def state_dict(self) -> dict[str, Any]:
        statistics = {"observations": self._observations, "returns": self._returns}
        state: dict[str, Any] = {name: each.state_dict() for name, each in statistics.items() if each is not None}
        scales = {"mean": self._mean, "scale": self._scale, "reward_scale": self._reward_scale}
        return state | scales | {"return": self._return}


class Normalised:
    """An agent that sees, and learns from, what a normaliser makes of observations and rewards.

    Args:
        agent: any, built for observations of floats.
        normaliser: its statistics are saved with the agent; who collects the agent's experience adds to them.
    """

    def __init__(self, agent: Any, normaliser: Normaliser) -> None:
        self.agent, self.normaliser = agent, normaliser
        self.extras = extras_of(agent)
        parts: tuple[str, ...] = getattr(agent, "compilable", ())
        self.compilable = tuple(part if part == "update" else f"agent.{part}" for part in parts)

    def initial_state(self, num_envs: int) -> ActingState:
        return self.agent.initial_state(num_envs)

    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        return self.agent.act(self.normaliser.observation(observation), state, began, env_step, explore=explore)

    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        if not hasattr(self.agent, "diagnose"):
            return Diagnostics()
        found = self.agent.diagnose(self.normaliser.observation(observation), state, acted)
        return self.normaliser.diagnostics(found)

    def update(self, batch: Any) -> Any:
        return self.agent.update(self.normaliser.batch(batch))

    def state_dict(self) -> dict[str, Any]:
        return {"agent": self.agent.state_dict(), "normaliser": self.normaliser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.normaliser.state_dict(), state["normaliser"], "the normaliser")
        self.agent.load_state_dict(state["agent"])
