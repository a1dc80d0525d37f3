"""Deep deterministic policy gradient (Lillicrap et al., 2016).

Shapes: S seeds, E environments or B transitions of each, A action components, C critics (one; TD3 has two).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import ReplayActorCriticConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.configuration import Fraction, NotNegative
from rlsuite.experience import Batch
from rlsuite.networks.averaging import Average
from rlsuite.networks.bounded_actions import BoundedActions
from rlsuite.networks.critics import critic_loss
from rlsuite.networks.encoder import stem
from rlsuite.networks.heads import ActionValue, Ensemble
from rlsuite.networks.mlp import mlp
from rlsuite.networks.population import Adam, Population
from rlsuite.state import restore
from rlsuite.training.schedules import learning_rate_scale, per_seed

_NOISE_STREAM, _WARMUP_STREAM = 4, 5


@dataclass(frozen=True, kw_only=True)
class DDPGConfig(ReplayActorCriticConfig):
    """Deep deterministic policy gradient (Lillicrap et al., 2016)."""

    noise: Literal["gaussian", "ornstein-uhlenbeck"] = "gaussian"
    """Exploration noise; the second is the paper's, correlated in time."""
    noise_scale: NotNegative = 0.1
    """Standard deviation of the noise an env step, for actions scaled to [-1, 1]."""
    noise_reversion: Fraction = 0.15
    """Pull of the Ornstein-Uhlenbeck process towards 0 an env step."""


class DDPG:
    """A deterministic policy that climbs the gradient of its own learned Q(s, a).

    Inside, actions are in [-1, 1]; they are scaled to the bounds of the action space on their way out and back on
    their way in.

    Args:
        config: see ``DDPGConfig``.
        observation_space: vectors or pictures.
        action_space: a bounded ``Box``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is not a bounded Box.
    """

    name, acts_in, critics = "ddpg", "bounded Box", 1
    compilable: tuple[str, ...] = ("update",)
    acts_with = ("actor",)

    def __init__(
        self,
        config: DDPGConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        assert isinstance(observation_space, Box)
        self.config = config
        self.actions = BoundedActions(self.name, action_space, self.acts_in, device)

        def actor() -> nn.Module:
            body, features = stem(observation_space, config.encoder, config.encoder_precision)
            return nn.Sequential(body, mlp([features, *config.hidden, self.actions.components]), nn.Tanh())

        def critic() -> nn.Module:
            body, features = stem(observation_space, config.encoder, config.encoder_precision)
            return ActionValue(body, mlp([features + self.actions.components, *config.hidden, 1]))

        self.actor = Population(actor, seeds, device)
        self.critic = Population(lambda: Ensemble([critic() for _ in range(self.critics)]), seeds, device)
        self.actor_target, self.critic_target = Average(self.actor.parameters), Average(self.critic.parameters)
        actor_rates = per_seed("actor_learning_rate", config.actor_learning_rate, seeds)
        critic_rates = per_seed("critic_learning_rate", config.critic_learning_rate, seeds)
        self.actor_optimiser = Adam(self.actor.parameters, actor_rates)
        self.critic_optimiser = Adam(self.critic.parameters, critic_rates)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)

    def initial_state(self, num_envs: int) -> ActingState:
        """The Ornstein-Uhlenbeck process ``[S, E, A]``, where it is the noise."""
        if self.config.noise == "gaussian":
            return {}
        return {"noise": torch.zeros(len(self.seeds), num_envs, self.actions.components, device=self.seeds.device)}

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions ``[S, E, *shape]``: random at first, then the policy's plus noise; the bare policy's to evaluate."""
        action = self.actor(observation)
        if not explore:
            return Acted(self.actions.from_unit(action), state)
        noise = random.normal(random.key(self.seeds, _NOISE_STREAM, env_step), *action.shape[1:])
        noise = self.config.noise_scale * noise
        if self.config.noise == "ornstein-uhlenbeck":  # correlated in time, begun anew with each episode
            before = state["noise"].masked_fill(began.unsqueeze(-1), 0.0)
            noise = before - self.config.noise_reversion * before + noise
            state = {"noise": noise}
        noisy = (action + noise).clamp(-1.0, 1.0)
        random_action = self.actions.uniform(random.key(self.seeds, _WARMUP_STREAM, env_step), action.shape[1])
        chosen = torch.where(env_step < self.config.random_env_steps, random_action, noisy)
        return Acted(self.actions.from_unit(chosen), state)

    @torch.no_grad()
    def values(self, observation: Tensor, action: Tensor) -> Tensor:
        """Q(s, a) ``[S, E]`` of actions ``[S, E, *shape]`` in the environment's units, by the critic that is least."""
        return self._values(observation, self.actions.to_unit(action)).min(dim=-1).values

    def _values(self, observation: Tensor, unit: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Q(s, a) ``[S, B, C]`` of each critic."""
        return self.critic(observation, unit, parameters=parameters).squeeze(-1)

    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        return Diagnostics("critic's Q(s, a)", self.values(observation, acted.action))

    def update(self, batch: Batch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of the critic and one of the actor, and then the targets move; metrics are ``[S]``.

        A prioritised batch also gets its new priorities ``[S, B]``: the largest absolute error of the critics.
        """
        metrics = self._improve_critic(batch)
        priority = metrics.pop("priority", None)
        metrics |= self._improve_actor(batch)
        return metrics if priority is None else (metrics, priority)

    def _improve_critic(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            next_action = self._next_action(batch.next_observation)
            next_value = self._values(batch.next_observation, next_action, self.critic_target.mean).min(dim=-1).values
            target = batch.reward + batch.discount * next_value
            action = self.actions.to_unit(batch.action)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            value = self._values(batch.observation, action, parameters)
            return critic_loss(value, target, batch.extras.get("weight"))

        limit, scale = self.config.max_gradient_norm, learning_rate_scale(self.critic_optimiser.updates, self.config)
        return self.critic_optimiser.minimise(loss, self.critic.parameters, limit, scale, "gradient/critic_norm")

    def _next_action(self, next_observation: Tensor) -> Tensor:
        return self.actor(next_observation, parameters=self.actor_target.mean)

    def _improve_actor(self, batch: Batch) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            action = self.actor(batch.observation, parameters=parameters)
            losses = -self.critic(batch.observation, action, part="networks.0").squeeze(-1).mean(dim=1)
            return losses, {"loss/actor": losses}

        limit, scale = self.config.max_gradient_norm, learning_rate_scale(self.critic_optimiser.updates, self.config)
        metrics = self.actor_optimiser.minimise(loss, self.actor.parameters, limit, scale, "gradient/actor_norm")
        self.actor_target.follow(self.actor.parameters, self.config.tau)
        self.critic_target.follow(self.critic.parameters, self.config.tau)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "actor_target": self.actor_target.mean,
            "critic_target": self.critic_target.mean,
            "actor_optimiser": self.actor_optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec("ddpg", DDPGConfig, DDPG, learns_from="replay", headline={"loss/critic": "loss"})
