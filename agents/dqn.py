"""Deep Q-learning (Mnih et al., 2015), with double, dueling, n-step targets and prioritised replay as choices.

Shapes: S seeds, E environments or B transitions of each, A actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.options import EpsilonGreedyConfig, RatePerSeed, ReplayConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.configuration import Count, Fraction, Positive
from rlsuite.experience import Batch
from rlsuite.networks.averaging import Average
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.population import Adam, Population
from rlsuite.state import restore
from rlsuite.training.exploration import epsilon_greedy
from rlsuite.training.schedules import linear, per_seed, target_share

_EXPLORATION_STREAM, _EVALUATION_STREAM = 2, 3


@dataclass(frozen=True, kw_only=True)
class DQNConfig(EpsilonGreedyConfig, ReplayConfig):
    """Deep Q-network (Mnih et al., 2015) with double, dueling and n-step targets as choices."""

    learning_rate: RatePerSeed = (1e-4,)
    """Learning rate of Adam at the start."""
    final_learning_rate_fraction: Fraction = 1.0
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    adam_eps: Positive = 1e-8
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = 10.0
    """Gradients are scaled to at most this norm, seed by seed."""
    target_period_updates: Count = 250
    """Updates between two copies into the target network; ignored if tau is set."""
    tau: Fraction | None = None
    """Move the target network by this fraction towards the online one at each update, instead of copying."""
    double: bool = True
    """Choose the next action by the online network, value it by the target network (van Hasselt et al., 2016)."""
    dueling: bool = False
    """State value and action advantages as two heads (Wang et al., 2016)."""
    loss: Literal["huber", "mse"] = "huber"
    """Loss function of the temporal-difference error."""


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
    compilable = ("update",)

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
        self.target = Average(self.online)
        self.optimiser = Adam(self.online, per_seed("learning_rate", config.learning_rate, seeds), eps=config.adam_eps)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    @torch.no_grad()
    def values(self, observation: Tensor) -> Tensor:
        """Q-values ``[S, E, A]`` of observations ``[S, E, ...]``."""
        return self.network(observation, parameters=self.online)

    def initial_state(self, num_envs: int) -> ActingState:
        """Nothing: the next action depends on the observation alone."""
        return {}

    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Epsilon-greedy actions ``[S, E]``, chosen for each environment apart."""
        epsilon = (
            self.epsilon(env_step)
            if explore
            else torch.full_like(self.epsilon_end, self.config.evaluation_epsilon or 0.0)
        )
        key = random.key(self.seeds, _EXPLORATION_STREAM if explore else _EVALUATION_STREAM, env_step)
        return Acted(epsilon_greedy(self.values(observation), epsilon, key), state)

    def epsilon(self, env_step: Tensor) -> Tensor:
        """Probability of a random action ``[S]``."""
        return linear(env_step, self.config.epsilon_decay_env_steps, self.config.epsilon_start, self.epsilon_end)

    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        values = self.values(observation)
        return Diagnostics("value: max Q(s, a)", values.max(dim=-1).values, "Q(s, a)", values)

    def update(self, batch: Batch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of gradient descent on a batch ``[S, B]``, and the target network's move.

        Returns metrics ``[S]``; from a prioritised batch also the absolute errors ``[S, B]``, its new priorities.
        """
        weight = batch.extras.get("weight")
        with torch.no_grad():
            next_values = self.network(batch.next_observation, parameters=self.target.mean)
            choice = self.network(batch.next_observation, parameters=self.online) if self.config.double else next_values
            next_value = next_values.gather(-1, choice.argmax(dim=-1, keepdim=True)).squeeze(-1)
            target = batch.reward + batch.discount * next_value

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.network(batch.observation, parameters=parameters)
            value = values.gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
            loss_function = F.huber_loss if self.config.loss == "huber" else F.mse_loss
            each = loss_function(value, target, reduction="none")
            losses = (each if weight is None else weight * each).mean(dim=1)
            # A spread of 0 shows a network whose output does not depend on its input.
            metrics = {
                "loss/td": losses,
                "value/q": value.mean(dim=1),
                "value/q_std": value.std(dim=1, correction=0),
            }
            return losses, metrics if weight is None else metrics | {"error": (value - target).abs()}

        limit = self.config.max_gradient_norm
        metrics = self.optimiser.minimise(loss, self.online, limit, self._learning_rate_scale())
        priority = metrics.pop("error", None)
        share = target_share(self.optimiser.updates, self.config.target_period_updates, self.config.tau)
        self.target.follow(self.online, share)
        return metrics if priority is None else (metrics, priority)

    def _learning_rate_scale(self) -> Tensor:
        return linear(self.optimiser.updates, self.config.total_updates, 1.0, self.config.final_learning_rate_fraction)

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online,
            "target": self.target.mean,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec("dqn", DQNConfig, DQN, learns_from="replay", headline={"loss/td": "loss"})
