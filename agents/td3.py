"""Twin delayed DDPG (Fujimoto et al., 2018): DDPG that does not overestimate what its actions are worth.

Shapes: S seeds, B transitions of each, A action components.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor

from agents.ddpg import DDPG, DDPGConfig
from rlsuite import random
from rlsuite.agent import AgentSpec
from rlsuite.configuration import Count, NotNegative
from rlsuite.experience import Batch
from rlsuite.state import dotted

_SMOOTHING_STREAM = 41


@dataclass(frozen=True, kw_only=True)
class TD3Config(DDPGConfig):
    """Twin delayed DDPG (Fujimoto et al., 2018)."""

    policy_delay_updates: Count = 2
    """Updates of the critics for each update of the actor, with which all targets move."""
    target_noise_scale: NotNegative = 0.2
    """Standard deviation of the noise on the next action of a target, for actions scaled to [-1, 1]."""
    target_noise_clip: NotNegative = 0.5
    """The largest noise on the next action of a target."""


class TD3(DDPG):
    """DDPG with three changes: the lesser of two critics, targets of noisy actions, and a delayed actor.

    Args:
        config: see ``TD3Config``; the others as for ``DDPG``.
    """

    name, critics = "td3", 2
    # The host decides when the actor is updated, so that each part of the update is free of branches.
    compilable = ("_improve_critic", "_improve_actor")
    config: TD3Config

    def __init__(
        self,
        config: TD3Config,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, observation_space, action_space, seeds, device)
        self._waited = 0  # updates of the critics since the actor's last
        names = ["loss/actor"] + ["gradient/actor_norm"] * (config.max_gradient_norm is not None)
        self._actor_metrics = {name: torch.zeros(len(seeds), device=device) for name in names}  # of its last update

    def update(self, batch: Batch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of the critics; each time the delay is over also one of the actor, and then the targets move."""
        metrics = self._improve_critic(batch)
        priority = metrics.pop("priority", None)
        self._waited = (self._waited + 1) % self.config.policy_delay_updates
        if self._waited == 0:
            for name, value in self._improve_actor(batch).items():
                self._actor_metrics[name].copy_(value)
        metrics |= self._actor_metrics
        return metrics if priority is None else (metrics, priority)

    def _next_action(self, next_observation: Tensor) -> Tensor:
        """The target's action with noise: alike actions shall have alike values."""
        action = super()._next_action(next_observation)
        key = random.key(self.seeds, _SMOOTHING_STREAM, self.critic_optimiser.updates)
        noise = self.config.target_noise_scale * random.normal(key, *action.shape[1:])
        clip = self.config.target_noise_clip
        return (action + noise.clamp(-clip, clip)).clamp(-1.0, 1.0)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"actor_metrics": dotted(self._actor_metrics), "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._waited = state["waited"]


SPEC = AgentSpec("td3", TD3Config, TD3, learns_from="replay", headline={"loss/critic": "loss"})
