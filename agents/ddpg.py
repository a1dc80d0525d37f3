"""Deep deterministic policy gradient (Lillicrap et al., 2016); plain, with TD3's delayed actor as an option.

Shapes: S seeds, E environments or B transitions of each, A action components.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import RatePerSeed, ReplayConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.configuration import Count, Fraction, Natural, NotNegative
from rlsuite.experience import Batch
from rlsuite.networks.encoder import encoder, has_pixels, numbers
from rlsuite.networks.heads import ActionValue
from rlsuite.networks.mlp import mlp
from rlsuite.networks.population import Adam, Population, clip_rows, gradient
from rlsuite.state import restore
from rlsuite.training.schedules import per_seed

_NOISE_STREAM, _WARMUP_STREAM = 4, 5


@dataclass(frozen=True, kw_only=True)
class DDPGConfig(ReplayConfig):
    """Deep deterministic policy gradient (Lillicrap et al., 2016)."""

    actor_learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the actor's Adam."""
    critic_learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the critic's Adam."""
    batch_size: Count = 256
    """Transitions an update."""
    replay_capacity: Count = 1_000_000
    """Transitions kept, per seed."""
    train_every_env_steps: Count = 1
    """Env steps between two rounds of updates."""
    tau: Fraction = 0.005
    """The targets move by this fraction towards the networks at each update."""
    policy_delay_updates: Count = 1
    """Updates of the critic for each update of the actor; 2 is the delay of TD3 (Fujimoto et al., 2018)."""
    random_env_steps: Natural = 10_000
    """Env steps of uniformly random actions at the start."""
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

    acts_in = "bounded Box"

    def __init__(
        self,
        config: DDPGConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Box) or not action_space.is_bounded():
            raise ValueError(f"ddpg needs a bounded Box action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        self.config = config
        self.action_shape, self.actions = action_space.shape, math.prod(action_space.shape)
        bounds = (action_space.low, action_space.high)
        low, high = (torch.tensor(bound.reshape(-1), device=device) for bound in bounds)
        self.middle, self.half_range = (low + high) / 2, (high - low) / 2

        def body() -> tuple[nn.Module, int]:
            if has_pixels(observation_space) or config.encoder not in ("auto", "mlp"):
                return encoder(observation_space, config.encoder, precision=config.encoder_precision)
            return numbers(observation_space)

        def actor() -> nn.Module:
            network, features = body()
            return nn.Sequential(network, mlp([features, *config.hidden, self.actions]), nn.Tanh())

        def critic() -> nn.Module:
            network, features = body()
            return ActionValue(network, mlp([features + self.actions, *config.hidden, 1]))

        self.actor, self.critic = Population(actor, seeds, device), Population(critic, seeds, device)
        self.actor_target, self.critic_target = self.actor.parameters.clone(), self.critic.parameters.clone()
        self.actor_optimiser = Adam(
            self.actor.parameters, per_seed("actor_learning_rate", config.actor_learning_rate, seeds)
        )
        self.critic_optimiser = Adam(
            self.critic.parameters, per_seed("critic_learning_rate", config.critic_learning_rate, seeds)
        )
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        # The host decides when the delayed actor is updated, so that each part of the update is free of branches.
        self.is_delayed = config.policy_delay_updates > 1
        self.compilable = ("_improve_critic", "_improve_actor") if self.is_delayed else ("update",)
        self._waited = 0  # updates of the critic since the delayed actor's last
        self._actor_metrics: dict[str, Tensor] = {}  # metrics of the actor's last update, reported until the next

    def _from_unit(self, action: Tensor) -> Tensor:
        return (self.middle + self.half_range * action).reshape(*action.shape[:-1], *self.action_shape)

    def _to_unit(self, action: Tensor) -> Tensor:
        action = action.reshape(*action.shape[:2], self.actions)
        return (action - self.middle) / torch.where(self.half_range > 0.0, self.half_range, 1.0)  # 0 if it is fixed

    def initial_state(self, num_envs: int) -> ActingState:
        """The Ornstein-Uhlenbeck process ``[S, E, A]``, where it is the noise."""
        if self.config.noise == "gaussian":
            return {}
        return {"noise": torch.zeros(len(self.seeds), num_envs, self.actions, device=self.seeds.device)}

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions ``[S, E, *shape]``: random at first, then the policy's plus noise; the bare policy's to evaluate."""
        action = self.actor(observation)
        if not explore:
            return Acted(self._from_unit(action), state)
        key = random.key(self.seeds, _NOISE_STREAM, env_step)
        noise = self.config.noise_scale * random.normal(key, *action.shape[1:])
        if self.config.noise == "ornstein-uhlenbeck":  # correlated in time, begun anew with each episode
            before = state["noise"].masked_fill(began.unsqueeze(-1), 0.0)
            noise = before - self.config.noise_reversion * before + noise
            state = {"noise": noise}
        noisy = (action + noise).clamp(-1.0, 1.0)
        key = random.key(self.seeds, _WARMUP_STREAM, env_step)
        random_action = 2.0 * random.uniform(key, *action.shape[1:]) - 1.0
        chosen = torch.where(env_step < self.config.random_env_steps, random_action, noisy)
        return Acted(self._from_unit(chosen), state)

    @torch.no_grad()
    def values(self, observation: Tensor, action: Tensor) -> Tensor:
        """Q(s, a) ``[S, E]`` of actions ``[S, E, *shape]`` in the environment's units."""
        return self.critic(observation, self._to_unit(action)).squeeze(-1)

    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        return Diagnostics("critic's Q(s, a)", self.values(observation, acted.action))

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the critic, one of the actor unless it is delayed, the targets' moves; metrics are ``[S]``."""
        metrics = self._improve_critic(batch)
        if not self.is_delayed:
            return metrics | self._improve_actor(batch)
        self._waited = (self._waited + 1) % self.config.policy_delay_updates
        if self._waited == 0:
            self._actor_metrics = self._improve_actor(batch)
        return metrics | self._actor_metrics

    def _improve_critic(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            next_action = self.actor(batch.next_observation, parameters=self.actor_target)
            next_value = self.critic(batch.next_observation, next_action, parameters=self.critic_target).squeeze(-1)
            target = batch.reward + batch.discount * next_value
            action = self._to_unit(batch.action)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            value = self.critic(batch.observation, action, parameters=parameters).squeeze(-1)
            losses = F.mse_loss(value, target, reduction="none").mean(dim=1)
            return losses, {"loss/critic": losses, "value/q": value.mean(dim=1)}

        gradients, metrics = gradient(loss, self.critic.parameters)
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/critic_norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        self.critic_optimiser.step(self.critic.parameters, gradients)
        self.critic_target.lerp_(self.critic.parameters, self.config.tau)
        return metrics

    def _improve_actor(self, batch: Batch) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            action = self.actor(batch.observation, parameters=parameters)
            losses = -self.critic(batch.observation, action).squeeze(-1).mean(dim=1)
            return losses, {"loss/actor": losses}

        gradients, metrics = gradient(loss, self.actor.parameters)
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/actor_norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        self.actor_optimiser.step(self.actor.parameters, gradients)
        self.actor_target.lerp_(self.actor.parameters, self.config.tau)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "actor": self.actor.parameters,
            "critic": self.critic.parameters,
            "actor_target": self.actor_target,
            "critic_target": self.critic_target,
            "actor_optimiser": self.actor_optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
            "waited": self._waited,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
        self._waited = state["waited"]


SPEC = AgentSpec("ddpg", DDPGConfig, DDPG, learns_from="replay", headline={"loss/critic": "loss"})
