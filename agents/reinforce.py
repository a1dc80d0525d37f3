"""REINFORCE (Williams, 1992): reward-to-go, with a learned baseline unless it is told otherwise.

Shapes: S seeds, N = T x E steps of a rollout (T vector steps of E environments), A actions or action components.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import ActivationOptions, RatePerSeed, RolloutConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.configuration import Count, Fraction, NotNegative, Widths
from rlsuite.networks.encoder import encoder
from rlsuite.networks.policy import Categorical, policy_for
from rlsuite.networks.population import Adam, Population, clip_rows, gradient
from rlsuite.replay.rollout import RolloutBatch, reward_to_go, weighted_mean
from rlsuite.state import restore
from rlsuite.training.schedules import linear, per_seed

_POLICY_STREAM = 6


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(ActivationOptions, RolloutConfig):
    """REINFORCE (Williams, 1992) with reward-to-go, and a learned baseline if wanted."""

    learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the policy's Adam."""
    final_learning_rate_fraction: Fraction = 1.0
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    baseline: Literal["none", "learned"] = "learned"
    """Subtract a learned state value from the returns; it also values episodes that were cut. With none, the steps of
    episodes that are truncated or unfinished when the rollout ends are kept out of the update."""
    baseline_learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the baseline's Adam."""
    baseline_updates_per_rollout: Count = 10
    """Steps of gradient descent on the baseline for each one on the policy."""
    standardise: bool = True
    """Scale the weights of the score function to mean 0 and standard deviation 1 over each rollout."""
    entropy_weight: NotNegative = 0.0
    """Bonus on the entropy of the policy."""
    hidden: Widths = (64, 64)
    """Widths of the mlp."""
    initial_log_std: float = -0.5
    """Logarithm of the Gaussian policy's standard deviation at the start, for actions scaled to [-1, 1]."""


class Reinforce:
    """A stochastic policy that makes actions likelier in proportion to the return that followed them.

    Discrete actions come from a softmax; continuous ones from a Gaussian, each component squashed by tanh where it is
    bounded on both sides, and by softplus where it is on one.

    Args:
        config: see ``ReinforceConfig``.
        observation_space: vectors or pictures.
        action_space: ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or ``Box``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is of another kind.
    """

    acts_in = "Discrete, MultiDiscrete, MultiBinary or Box"
    # Not the whole update: the many steps of the baseline would take minutes to compile.
    compilable = ("_improve_policy", "_improve_baseline")

    def __init__(
        self,
        config: ReinforceConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        assert isinstance(observation_space, Box)
        self.config = config
        self.distribution = policy_for("reinforce", action_space, config.initial_log_std, device)
        self.extras = self.distribution.extras

        def network(head: Callable[[int], nn.Module]) -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, config.activation, config.encoder_precision
            )
            return nn.Sequential(body, head(features))

        def policy() -> nn.Module:
            return network(self.distribution.head)

        def baseline() -> nn.Module:
            return network(lambda features: nn.Linear(features, 1))

        self.policy, self.baseline = Population(policy, seeds, device), Population(baseline, seeds, device)
        self.policy_optimiser = Adam(self.policy.parameters, per_seed("learning_rate", config.learning_rate, seeds))
        rates = per_seed("baseline_learning_rate", config.baseline_learning_rate, seeds)
        self.baseline_optimiser = Adam(self.baseline.parameters, rates)
        self.discount = per_seed("discount", config.discount, seeds).to(device)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)

    def initial_state(self, num_envs: int) -> ActingState:
        """Nothing: the next action depends on the observation alone."""
        return {}

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions ``[S, E]`` or ``[S, E, A]``; without ``explore`` the likeliest index, or the mean."""
        outputs = self.policy(observation)
        if explore:
            sample = self.distribution.sample(outputs, random.key(self.seeds, _POLICY_STREAM, env_step))
        else:
            sample = self.distribution.mode(outputs)
        return Acted(self.distribution.action(sample), state, self.distribution.stored(sample))

    @torch.no_grad()
    def values(self, observation: Tensor) -> Tensor:
        """The baseline's values ``[S, N]`` of observations ``[S, N, ...]``."""
        return self.baseline(observation).squeeze(-1)

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        value = self.values(observation) if self.config.baseline == "learned" else None
        if not isinstance(self.distribution, Categorical):
            return Diagnostics("baseline's V(s)", value)
        probabilities = self.policy(observation).softmax(dim=-1)
        return Diagnostics("baseline's V(s)", value, "probability", probabilities, scores_are_probabilities=True)

    def update(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """One step of the policy on a whole rollout, then a few of the baseline; metrics are ``[S]``.

        With a baseline, episodes that were cut (truncated, or unfinished at the rollout's end) go on with its value
        there. Without one, their steps are kept out: ``weight`` is 0.
        """
        steps = batch.reward.shape  # [S, T, E]
        flat = (steps[0], steps[1] * steps[2])
        observation = batch.observation.flatten(1, 2)
        sample = self.distribution.restored(batch.action, batch.extras).flatten(1, 2)
        learned = self.config.baseline == "learned"
        next_value = self.values(batch.next_observation.flatten(1, 2)).view(steps) if learned else None
        returns, weight = (x.view(flat) for x in reward_to_go(batch, self.discount, next_value))
        advantage = returns - self.values(observation) if learned else returns
        if self.config.standardise:
            advantage = _standardise(advantage, weight)
        metrics = self._improve_policy(observation, sample, advantage, weight)
        if learned:
            for _ in range(self.config.baseline_updates_per_rollout):
                fit = self._improve_baseline(observation, returns, weight)
            metrics = metrics | fit
        return metrics

    def _improve_policy(
        self, observation: Tensor, sample: Tensor, advantage: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outputs = self.policy(observation, parameters=parameters)
            log_prob = self.distribution.log_prob(outputs, sample)
            gain = weighted_mean(log_prob * advantage, weight)
            entropy = weighted_mean(self.distribution.entropy(outputs), weight)
            losses = -gain - self.config.entropy_weight * entropy
            return losses, {"loss/policy": losses, "value/entropy": entropy}

        gradients, metrics = gradient(loss, self.policy.parameters)
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/policy_norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        updates = self.config.total_env_steps // self.config.rollout_env_steps
        scale = linear(self.policy_optimiser.updates, updates, 1.0, self.config.final_learning_rate_fraction)
        self.policy_optimiser.step(self.policy.parameters, gradients, scale)
        return metrics

    def _improve_baseline(self, observation: Tensor, returns: Tensor, weight: Tensor) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.baseline(observation, parameters=parameters).squeeze(-1)
            losses = weighted_mean(F.mse_loss(values, returns, reduction="none"), weight)
            return losses, {"loss/baseline": losses}

        gradients, metrics = gradient(loss, self.baseline.parameters)
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/baseline_norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        self.baseline_optimiser.step(self.baseline.parameters, gradients)
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


def _standardise(values: Tensor, weight: Tensor) -> Tensor:
    centred = values - weighted_mean(values, weight).unsqueeze(1)
    spread = weighted_mean(centred.square(), weight).sqrt().unsqueeze(1)
    return centred / (spread + 1e-8)


SPEC = AgentSpec("reinforce", ReinforceConfig, Reinforce, learns_from="rollout", headline={"loss/policy": "loss"})
