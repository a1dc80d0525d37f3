"""Deep Q-learning (Mnih et al., 2015), with double, dueling and n-step targets as choices.

Shapes: S seeds, E environments or B transitions of each, A actions.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.configs import DQNConfig
from rlsuite import random
from rlsuite.compiling import in_memory
from rlsuite.experience import Batch
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.state import restore
from rlsuite.training.population import Adam, Population, clip_rows, gradient
from rlsuite.training.schedules import linear, per_seed

_EXPLORATION_STREAM, _EVALUATION_STREAM = 2, 3


class DQN:
    """Q(s, a) by regression on ``reward + discount * Q_target(s', argmax_a Q(s', a))``.

    Args:
        config: see ``DQNConfig``; values per seed are single numbers or one for each of ``seeds``.
        observation_space: vectors or pictures.
        action_space: ``Discrete``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is not discrete.
    """

    acts_in = "Discrete"
    is_one_region = True

    def __init__(
        self,
        config: DQNConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Discrete):
            raise ValueError(f"dqn needs a Discrete action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        self.config = config
        self.actions = int(action_space.n)

        def network() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, precision=config.encoder_precision
            )
            head = Dueling(features, self.actions) if config.dueling else nn.Linear(features, self.actions)
            return nn.Sequential(body, head)

        self.network = Population(network, seeds, device)
        self.online = self.network.parameters  # [S, P]
        self.target = self.online.clone()
        self.optimiser = Adam(self.online, per_seed("learning_rate", config.learning_rate, seeds), eps=config.adam_eps)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    @torch.no_grad()
    def values(self, observation: Tensor) -> Tensor:
        """Q-values ``[S, E, A]`` of observations ``[S, E, ...]``."""
        return self.network(observation, parameters=self.online)

    def act(self, observation: Tensor, env_step: Tensor, began: Tensor, *, explore: bool) -> Tensor:
        """Epsilon-greedy actions ``[S, E]``, each environment with a draw of its own."""
        greedy = self.values(observation).argmax(dim=-1)
        epsilon = (
            self.epsilon(env_step)
            if explore
            else torch.full_like(self.epsilon_end, self.config.evaluation_epsilon or 0.0)
        )
        key = random.key(self.seeds, _EXPLORATION_STREAM if explore else _EVALUATION_STREAM, env_step)
        draw = random.uniform(key, 2, observation.shape[1])
        anything = (draw[:, 1] * self.actions).long()
        return torch.where(draw[:, 0] < epsilon.unsqueeze(1), anything, greedy)

    def epsilon(self, env_step: Tensor) -> Tensor:
        """Probability of a random action ``[S]``."""
        return linear(env_step, self.config.epsilon_decay_env_steps, self.config.epsilon_start, self.epsilon_end)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of gradient descent on a batch ``[S, B]``, and the target network's move; metrics are ``[S]``."""
        with torch.no_grad():
            next_values = self.network(batch.next_observation, parameters=self.target)
            choice = self.network(batch.next_observation, parameters=self.online) if self.config.double else next_values
            next_value = next_values.gather(-1, choice.argmax(dim=-1, keepdim=True)).squeeze(-1)
            target = batch.reward + batch.discount * next_value

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.network(batch.observation, parameters=parameters)
            value = values.gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
            distance = F.huber_loss if self.config.loss == "huber" else F.mse_loss
            losses = distance(value, target, reduction="none").mean(dim=1)
            # A spread of nothing is a network that sees nothing.
            return losses, {
                "loss/td": losses,
                "value/q": value.mean(dim=1),
                "value/q_std": value.std(dim=1, correction=0),
            }

        slope, metrics = gradient(loss, self.online)
        if self.config.max_gradient_norm is not None:
            slope, metrics["gradient/norm"] = clip_rows(slope, self.config.max_gradient_norm)
        self.optimiser.step(self.online, slope, self._learning_rate_scale())
        self._move_target()
        return metrics

    def _learning_rate_scale(self) -> Tensor:
        return linear(self.optimiser.updates, self.config.total_updates, 1.0, self.config.final_learning_rate_fraction)

    def _move_target(self) -> None:
        if self.config.target_averaging is not None:
            self.target.lerp_(self.online, self.config.target_averaging)
        else:
            # The host does not ask which update this is, so that a region can hold it.
            due = in_memory(self.optimiser.updates % self.config.target_period_updates == 0)
            self.target.copy_(torch.where(due, self.online, self.target))

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online,
            "target": self.target,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
