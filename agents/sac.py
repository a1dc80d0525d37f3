"""Soft actor-critic (Haarnoja et al., 2018), with the learned temperature of its second version.

Actions are components of a bounded ``Box``, or one of a few (Christodoulou, 2019). The two differ in their policies
alone, at the end of this file: an expectation over actions is one sample of them, or the sum over all.

Shapes: S seeds, E environments or B transitions of each, A action components or actions; K outcomes of a policy in one
state, which are 1 sample or A actions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.options import NotNegativePerSeed, RatePerSeed, ReplayActorCriticConfig
from rlsuite import random, ranks
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.experience import Batch
from rlsuite.networks import distributions
from rlsuite.networks.averaging import Average
from rlsuite.networks.bounded_actions import BoundedActions
from rlsuite.networks.critics import critic_loss
from rlsuite.networks.encoder import stem
from rlsuite.networks.heads import ActionValue, Ensemble
from rlsuite.networks.mlp import mlp
from rlsuite.networks.population import Adam, Population
from rlsuite.state import restore
from rlsuite.training.schedules import learning_rate_scale, per_seed

_ACTOR_SEED = 1 << 31  # within the 32 bits that torch seeds CPU generators by
_POLICY_STREAM, _WARMUP_STREAM, _TARGET_STREAM, _ACTOR_STREAM = 42, 43, 44, 45
_LOG_STD = (-20.0, 2.0)  # bounds of the paper's own code
_NEARLY_UNIFORM = 0.98  # of the largest entropy, for which Christodoulou aims


@dataclass(frozen=True, kw_only=True)
class SACConfig(ReplayActorCriticConfig):
    """Soft actor-critic (Haarnoja et al., 2018)."""

    actor_learning_rate: RatePerSeed = (3e-4,)
    """Learning rate of the actor's Adam."""
    temperature: RatePerSeed = (1.0,)
    """Entropy coefficient (alpha) at the start."""
    temperature_learning_rate: NotNegativePerSeed = (1e-3,)
    """Learning rate of the entropy coefficient's Adam; 0 keeps the coefficient as it is."""
    target_entropy: float | None = None
    """Entropy in nats that the temperature aims for, of actions scaled to [-1, 1]; by default minus the number of
    components or, where actions are discrete, 0.98 of the most there can be."""


class SAC:
    """A stochastic policy that is paid for its entropy, by as much as keeps the entropy at its target.

    Args:
        config: see ``SACConfig``.
        observation_space: vectors or pictures.
        action_space: a bounded ``Box``, or ``Discrete``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is of another kind, or no policy there has as much entropy as is aimed for.
    """

    acts_in = "bounded Box or Discrete"
    compilable = ("update",)
    acts_with = ("actor",)

    def __init__(
        self,
        config: SACConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        assert isinstance(observation_space, Box)
        self.config = config
        self.policy = _Softmax(action_space) if isinstance(action_space, Discrete) else _Squashed(action_space, device)
        self.target_entropy = self.policy.target_entropy if config.target_entropy is None else config.target_entropy
        largest = self.policy.largest_entropy
        if config.target_entropy is not None and config.target_entropy >= largest:
            raise ValueError(
                f"--target-entropy must be less than that of uniform actions, {largest:.3g} nats here, "
                f"not {config.target_entropy:g}"
            )

        def actor() -> nn.Module:
            body, features = stem(observation_space, config.encoder, config.encoder_precision)
            return nn.Sequential(body, mlp([features, *config.hidden, self.policy.outputs]))

        def critic() -> nn.Module:
            body, features = stem(observation_space, config.encoder, config.encoder_precision)
            return self.policy.critic(body, features, config.hidden)

        # Of one seed, an actor of discrete actions would begin as the first critic, which has its shapes.
        self.actor = Population(actor, [seed ^ _ACTOR_SEED for seed in seeds], device)
        self.critic = Population(lambda: Ensemble([critic(), critic()]), seeds, device)
        self.critic_target = Average(self.critic.parameters)
        self.log_temperature = (
            per_seed("temperature", config.temperature, seeds).log().unsqueeze(1).to(device)
        )  # [S, 1]
        actor_rates = per_seed("actor_learning_rate", config.actor_learning_rate, seeds)
        critic_rates = per_seed("critic_learning_rate", config.critic_learning_rate, seeds)
        temperature_rates = per_seed("temperature_learning_rate", config.temperature_learning_rate, seeds)
        self.actor_optimiser = Adam(self.actor.parameters, actor_rates)
        self.critic_optimiser = Adam(self.critic.parameters, critic_rates)
        self.temperature_optimiser = Adam(self.log_temperature, temperature_rates)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)

    def initial_state(self, num_envs: int) -> ActingState:
        """Nothing: the next action depends on the observation alone."""
        return {}

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions ``[S, E]`` or ``[S, E, *shape]``: random at first, then sampled; the likeliest to evaluate."""
        outputs = self.actor(observation)
        if not explore:
            return Acted(self.policy.mode(outputs), state)
        sample = self.policy.sample(outputs, random.key(self.seeds, _POLICY_STREAM, env_step))
        random_action = self.policy.uniform(random.key(self.seeds, _WARMUP_STREAM, env_step), observation.shape[1])
        return Acted(torch.where(env_step < self.config.random_env_steps, random_action, sample), state)

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        values = self.critic(observation, *self.policy.inputs(acted.action))
        value = self.policy.taken(values, acted.action).min(dim=-1).values
        outcomes = self._outcomes(observation, _ACTOR_STREAM)
        entropy = -(outcomes.weight * outcomes.log_prob).sum(dim=-1)  # of continuous actions an estimate
        if isinstance(self.policy, _Squashed):
            return Diagnostics("critics' Q(s, a)", value, entropy=entropy)
        return Diagnostics("critics' Q(s, a)", value, "probability", outcomes.weight, True, entropy=entropy)

    def update(self, batch: Batch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of the critics, the actor and the temperature, and the targets move; metrics are ``[S]``.

        With n-step returns the entropy of the steps in between is not counted. A prioritised batch also gets its new
        priorities ``[S, B]``: the larger absolute error of the two critics.
        """
        metrics = self._improve_critic(batch)
        priority = metrics.pop("priority", None)
        metrics |= self._improve_actor(batch)
        self.critic_target.follow(self.critic.parameters, self.config.tau)
        entropy = ranks.averaged(metrics["value/entropy"])
        excess = (entropy - self.target_entropy).unsqueeze(1)
        self.temperature_optimiser.step(
            self.log_temperature, excess, learning_rate_scale(self.critic_optimiser.updates, self.config)
        )
        metrics["value/temperature"] = self.log_temperature.exp().squeeze(1)
        return metrics if priority is None else (metrics, priority)

    def _improve_critic(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            next_outcomes = self._outcomes(batch.next_observation, _TARGET_STREAM)
            next_value = self._soft_value(batch.next_observation, next_outcomes, self.critic_target.mean)
            target = batch.reward + batch.discount * next_value
            inputs = self.policy.inputs(batch.action)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.critic(batch.observation, *inputs, parameters=parameters)
            value = self.policy.taken(values, batch.action)  # [S, B, 2]
            return critic_loss(value, target, batch.extras.get("weight"))

        limit, scale = self.config.max_gradient_norm, learning_rate_scale(self.critic_optimiser.updates, self.config)
        return self.critic_optimiser.minimise(loss, self.critic.parameters, limit, scale, "gradient/critic_norm")

    def _improve_actor(self, batch: Batch) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outcomes = self._outcomes(batch.observation, _ACTOR_STREAM, parameters)
            losses = -self._soft_value(batch.observation, outcomes).mean(dim=1)
            entropy = -(outcomes.weight * outcomes.log_prob).sum(dim=-1).mean(dim=1)
            return losses, {"loss/actor": losses, "value/entropy": entropy}

        limit, scale = self.config.max_gradient_norm, learning_rate_scale(self.critic_optimiser.updates, self.config)
        return self.actor_optimiser.minimise(loss, self.actor.parameters, limit, scale, "gradient/actor_norm")

    def _outcomes(self, observation: Tensor, stream: int, parameters: Tensor | None = None) -> "_Outcomes":
        key = random.key(self.seeds, stream, self.actor_optimiser.updates)
        return self.policy.outcomes(self.actor(observation, parameters=parameters), key)

    def _soft_value(self, observation: Tensor, outcomes: "_Outcomes", parameters: Tensor | None = None) -> Tensor:
        """The policy's expected value with the worth of its entropy, ``[S, B]``, by the critic that is least."""
        value = self.critic(observation, *outcomes.inputs, parameters=parameters).min(dim=2).values
        worth = self.log_temperature.exp().unsqueeze(2) * outcomes.log_prob
        return (outcomes.weight * (value - worth)).sum(dim=-1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "critic_target": self.critic_target.mean,
            "log_temperature": self.log_temperature,
            "actor_optimiser": self.actor_optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
            "temperature_optimiser": self.temperature_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


class _Outcomes(NamedTuple):
    """Actions that a policy may take, over which a weighted sum is the expectation."""

    inputs: tuple[Tensor, ...]  # of the critics, beside the observation
    log_prob: Tensor  # [S, B, K]
    weight: Tensor  # [S, B, K]


class _Squashed:
    """A Gaussian, brought into the bounds by tanh; one sample of it is the outcome, and the critics read actions."""

    def __init__(self, space: Space, device: torch.device | str) -> None:
        self._actions = BoundedActions("sac", space, SAC.acts_in, device)
        self.outputs, self.target_entropy = 2 * self._actions.components, -float(self._actions.components)
        self.largest_entropy = self._actions.components * math.log(2.0)  # of actions in [-1, 1]

    def critic(self, body: nn.Module, features: int, hidden: Sequence[int]) -> nn.Module:
        return ActionValue(body, mlp([features + self._actions.components, *hidden, 1]))

    def _sample(self, outputs: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Samples before the squashing, and the Gaussian's parameters."""
        mean, log_std = outputs.chunk(2, dim=-1)
        parameters = torch.cat([mean, log_std.clamp(*_LOG_STD)], dim=-1)
        return distributions.gaussian_sample(parameters, random.normal(key, *mean.shape[1:])), parameters

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        return self._actions.from_unit(torch.tanh(self._sample(outputs, key)[0]))

    def mode(self, outputs: Tensor) -> Tensor:
        return self._actions.from_unit(torch.tanh(outputs.chunk(2, dim=-1)[0]))

    def uniform(self, key: Tensor, num_envs: int) -> Tensor:
        return self._actions.from_unit(self._actions.uniform(key, num_envs))

    def outcomes(self, outputs: Tensor, key: Tensor) -> _Outcomes:
        sample, parameters = self._sample(outputs, key)
        density = distributions.gaussian_log_prob(parameters, sample)
        # The density of what tanh makes of the sample (Haarnoja et al., 2018, appendix C).
        log_prob = (density - distributions.tanh_log_derivative(sample).sum(dim=-1)).unsqueeze(-1)
        return _Outcomes((torch.tanh(sample),), log_prob, torch.ones_like(log_prob))

    def inputs(self, action: Tensor) -> tuple[Tensor, ...]:
        return (self._actions.to_unit(action),)

    def taken(self, values: Tensor, action: Tensor) -> Tensor:
        return values.squeeze(-1)


class _Softmax:
    """A distribution over a few actions, all of which are outcomes; the critics have a value for each."""

    def __init__(self, space: Discrete) -> None:
        self.outputs = int(space.n)
        self.largest_entropy = math.log(self.outputs)
        self.target_entropy = _NEARLY_UNIFORM * self.largest_entropy

    def critic(self, body: nn.Module, features: int, hidden: Sequence[int]) -> nn.Module:
        return nn.Sequential(body, mlp([features, *hidden, self.outputs]))

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        return distributions.categorical_sample(outputs, random.uniform(key, *outputs.shape[1:]))

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(dim=-1)

    def uniform(self, key: Tensor, num_envs: int) -> Tensor:
        return random.integers(key, self.outputs, num_envs)

    def outcomes(self, outputs: Tensor, key: Tensor) -> _Outcomes:
        log_prob = F.log_softmax(outputs, dim=-1)
        return _Outcomes((), log_prob, log_prob.exp())

    def inputs(self, action: Tensor) -> tuple[Tensor, ...]:
        return ()

    def taken(self, values: Tensor, action: Tensor) -> Tensor:
        chosen = action.view(*action.shape, 1, 1).expand(*values.shape[:-1], 1)
        return values.gather(-1, chosen).squeeze(-1)


SPEC = AgentSpec("sac", SACConfig, SAC, learns_from="replay", headline={"loss/critic": "loss"})
