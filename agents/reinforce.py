"""REINFORCE (Williams, 1992): reward-to-go, with a learned baseline unless it is told otherwise.

Shapes: S seeds, N = T x E steps of a rollout (T vector steps of E environments), A actions or action components.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.configs import ReinforceConfig
from rlsuite import random
from rlsuite.networks import distributions
from rlsuite.networks.encoder import encoder
from rlsuite.notice import warn_once
from rlsuite.replay.rollout import RolloutBatch, reward_to_go
from rlsuite.state import restore
from rlsuite.training.execution import compiled
from rlsuite.training.population import Adam, Population, clip_rows, gradient
from rlsuite.training.schedules import linear, per_seed

_POLICY_STREAM = 6


class Reinforce:
    """A stochastic policy that makes actions likelier in proportion to the return that followed them.

    Discrete actions come from a softmax; continuous ones from a Gaussian, each component squashed by tanh where it is
    bounded on both sides, and by softplus where it is on one.

    Args:
        config: see ``ReinforceConfig``.
        observation_space: vectors or pictures.
        action_space: ``Discrete``, or ``Box`` of one axis.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is of another kind.
    """

    acts_in = "Discrete or Box"
    is_one_region = False  # the baseline's many steps would make a region that compiles for minutes

    def __init__(
        self,
        config: ReinforceConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Discrete) and not (
            isinstance(action_space, Box) and len(action_space.shape) == 1
        ):
            raise ValueError(f"reinforce needs a Discrete or one-axis Box action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        self.config = config
        self.discrete = isinstance(action_space, Discrete)
        if isinstance(action_space, Box):
            self.actions = action_space.shape[0]
            self.low, self.high = (
                torch.tensor(bound, device=device) for bound in (action_space.low, action_space.high)
            )
            if not action_space.is_bounded():
                warn_once(f"some actions are unbounded, and so are what reinforce tries of them: {action_space}")
        else:
            assert isinstance(action_space, Discrete)
            self.actions = int(action_space.n)

        def policy() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, config.activation, config.encoder_precision
            )
            if self.discrete:
                return nn.Sequential(body, nn.Linear(features, self.actions))
            return nn.Sequential(body, distributions.GaussianHead(features, self.actions, config.initial_log_std))

        def baseline() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, config.activation, config.encoder_precision
            )
            return nn.Sequential(body, nn.Linear(features, 1))

        self.policy, self.baseline = Population(policy, seeds, device), Population(baseline, seeds, device)
        self.policy_optimiser = Adam(self.policy.parameters, per_seed("learning_rate", config.learning_rate, seeds))
        rates = per_seed("baseline_learning_rate", config.baseline_learning_rate, seeds)
        self.baseline_optimiser = Adam(self.baseline.parameters, rates)
        self.discount = per_seed("discount", config.discount, seeds).to(device)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self._policy_step = compiled(self._improve_policy, config.execution)
        self._baseline_step = compiled(self._improve_baseline, config.execution)

    @torch.no_grad()
    def draw(self, observation: Tensor, env_step: Tensor) -> Tensor:
        """What the policy draws: action indices ``[S, E]``, or Gaussian draws ``[S, E, A]`` before squashing."""
        parameters = self.policy(observation)
        key = random.key(self.seeds, _POLICY_STREAM, env_step)
        if self.discrete:
            return distributions.categorical_draw(parameters, random.uniform(key, *parameters.shape[1:]))
        return distributions.gaussian_draw(parameters, random.normal(key, observation.shape[1], self.actions))

    def to_action(self, draw: Tensor) -> Tensor:
        """The action in the environment's units that a draw stands for."""
        if self.discrete:
            return draw
        return distributions.squash(draw, self.low, self.high)

    def act(self, observation: Tensor, env_step: Tensor, began: Tensor, *, explore: bool) -> Tensor:
        """Actions ``[S, E]`` or ``[S, E, A]``; without ``explore`` the likeliest index, or the mean."""
        if explore:
            return self.to_action(self.draw(observation, env_step))
        with torch.no_grad():
            parameters = self.policy(observation)
        return self.to_action(parameters.argmax(dim=-1) if self.discrete else parameters.chunk(2, dim=-1)[0])

    @torch.no_grad()
    def values(self, observation: Tensor) -> Tensor:
        """The baseline's values ``[S, N]`` of observations ``[S, N, ...]``."""
        return self.baseline(observation).squeeze(-1)

    def update(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """One step of the policy on a whole rollout, then a few of the baseline; metrics are ``[S]``.

        With a baseline, episodes that were cut (truncated, or unfinished at the rollout's end) go on with its value
        there. Without one, their steps are kept out: ``weight`` is 0.
        """
        steps = batch.reward.shape  # [S, T, E]
        flat = (steps[0], steps[1] * steps[2])
        observation, draw = batch.observation.flatten(1, 2), batch.action.flatten(1, 2)
        learned = self.config.baseline == "learned"
        successor_value = self.values(batch.successor.flatten(1, 2)).view(steps) if learned else None
        returns, weight = (x.view(flat) for x in reward_to_go(batch, self.discount, successor_value))
        advantage = returns - self.values(observation) if learned else returns
        if self.config.standardise:
            advantage = _standardise(advantage, weight)
        metrics = self._policy_step(observation, draw, advantage, weight)
        if learned:
            for _ in range(self.config.baseline_updates_per_rollout):
                fit = self._baseline_step(observation, returns, weight)
            metrics = metrics | fit
        return metrics

    def _improve_policy(
        self, observation: Tensor, draw: Tensor, advantage: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outputs = self.policy(observation, parameters=parameters)
            if self.discrete:
                log_prob = distributions.categorical_log_prob(outputs, draw)
                entropy = distributions.categorical_entropy(outputs)
            else:
                log_prob, entropy = (
                    distributions.gaussian_log_prob(outputs, draw),
                    distributions.gaussian_entropy(outputs),
                )
            gain = _mean(log_prob * advantage, weight)
            entropy = _mean(entropy, weight)
            losses = -gain - self.config.entropy_weight * entropy
            return losses, {"loss/policy": losses, "value/entropy": entropy}

        slope, metrics = gradient(loss, self.policy.parameters)
        if self.config.max_gradient_norm is not None:
            slope, metrics["gradient/policy_norm"] = clip_rows(slope, self.config.max_gradient_norm)
        updates = self.config.total_env_steps // self.config.rollout_env_steps
        scale = linear(self.policy_optimiser.updates, updates, 1.0, self.config.final_learning_rate_fraction)
        self.policy_optimiser.step(self.policy.parameters, slope, scale)
        return metrics

    def _improve_baseline(self, observation: Tensor, returns: Tensor, weight: Tensor) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.baseline(observation, parameters=parameters).squeeze(-1)
            losses = _mean(F.mse_loss(values, returns, reduction="none"), weight)
            return losses, {"loss/baseline": losses}

        slope, metrics = gradient(loss, self.baseline.parameters)
        if self.config.max_gradient_norm is not None:
            slope, metrics["gradient/baseline_norm"] = clip_rows(slope, self.config.max_gradient_norm)
        self.baseline_optimiser.step(self.baseline.parameters, slope)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.parameters,
            "baseline": self.baseline.parameters,
            "policy_optimiser": self.policy_optimiser.state_dict(),
            "baseline_optimiser": self.baseline_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Per-seed mean ``[S]`` of ``values`` ``[S, N]`` over the steps that count; 0 where none does."""
    return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


def _standardise(values: Tensor, weight: Tensor) -> Tensor:
    centred = values - _mean(values, weight).unsqueeze(1)
    spread = _mean(centred.square(), weight).sqrt().unsqueeze(1)
    return centred / (spread + 1e-8)
