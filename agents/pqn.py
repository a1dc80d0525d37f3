"""Q-learning without a replay or a target network: parallelised Q-networks, PQN (Gallici et al., 2024).

Layer norm keeps it stable. Adam takes the place of the paper's RAdam.

Shapes: S seeds; T vector steps of E environments in a rollout, which is N windows of L steps of an environment (a step
each without memory); M windows of a minibatch; A actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.options import EpsilonGreedyConfig, MinibatchConfig, RatePerSeed
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics, TensorSpec
from rlsuite.configuration import Count, Fraction, Positive, Widths
from rlsuite.networks.encoder import encoder
from rlsuite.networks.layer_norm import layer_normed
from rlsuite.networks.population import Adam, Population
from rlsuite.networks.recurrent import empty_memory, with_memory
from rlsuite.replay.rollout import RolloutBatch, lambda_returns, minibatches, next_outputs, weighted_mean, windows
from rlsuite.state import restore
from rlsuite.training.exploration import epsilon_greedy, epsilon_now
from rlsuite.training.schedules import learning_rate_scale, per_seed

_EXPLORATION_STREAM, _EVALUATION_STREAM, _SHUFFLE_STREAM = 33, 34, 35


@dataclass(frozen=True, kw_only=True)
class PQNConfig(EpsilonGreedyConfig, MinibatchConfig):
    """Parallelised Q-network (Gallici et al., 2024)."""

    learning_rate: RatePerSeed = (5e-4,)
    """Learning rate of Adam at the start."""
    final_learning_rate_fraction: Fraction = 0.0
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    adam_eps: Positive = 1e-8
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = 10.0
    """Gradients are scaled to at most this norm, seed by seed."""
    num_envs: Count = 32
    """Environments of each seed."""
    rollout_env_steps: Count = 1_024
    """Env steps, over all environments of a seed, between two updates."""
    epochs: Count = 2
    minibatches: Count = 16
    trace: Fraction = 0.65
    """Lambda of the returns that are learned: 0 for one-step targets, 1 for whole returns."""
    hidden: Widths = (128, 128)
    """Widths of the mlp."""
    layer_norm: bool = True
    """Normalise what layers of the encoder give to an activation that follows at once, as all do of mlp, nature and
    small; without it, values may diverge."""


class PQN:
    """Q(s, a) by regression on the lambda returns of the newest steps, whoever's actions came after.

    Args:
        config: see ``PQNConfig``.
        observation_space: vectors or pictures.
        action_space: ``Discrete``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is not discrete, or minibatches do not divide a rollout.
    """

    acts_in = "Discrete"

    def __init__(
        self,
        config: PQNConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Discrete):
            raise ValueError(f"pqn needs a Discrete action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        config.require_whole_minibatches()
        self.config, self.window, self.actions = config, config.window_env_steps, int(action_space.n)
        # Compilers unroll a memory's steps one by one, which takes minutes.
        self.compilable = ("_improve",) if config.memory == "none" else ()

        def network() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, precision=config.encoder_precision
            )
            memory = config.memory, config.memory_units, config.memory_env_steps
            body = layer_normed(body) if config.layer_norm else body
            return with_memory(body, features, lambda inputs: nn.Linear(inputs, self.actions), *memory)

        self.network = Population(network, seeds, device)
        self.extras = {name: TensorSpec(tuple(memory.shape[2:])) for name, memory in self.initial_state(1).items()}
        rates = per_seed("learning_rate", config.learning_rate, seeds)
        self.optimiser = Adam(self.network.parameters, rates, eps=config.adam_eps)
        self.discount = per_seed("discount", config.discount, seeds).to(device)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    def initial_state(self, num_envs: int) -> ActingState:
        """The memory ``[S, E, ...]``, empty; nothing without one."""
        return empty_memory(self.network, num_envs)

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Epsilon-greedy actions ``[S, E]``."""
        values, memory = self.network(observation.unsqueeze(2), state.get("memory"), began.unsqueeze(2))
        epsilon = epsilon_now(self.config, self.epsilon_end, env_step, explore=explore)
        key = random.key(self.seeds, _EXPLORATION_STREAM if explore else _EVALUATION_STREAM, env_step)
        # The memory before the action is stored beside it.
        following = {} if memory is None else {"memory": memory}
        return Acted(epsilon_greedy(values.squeeze(2), epsilon, key), following, dict(state))

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        began = torch.zeros(*observation.shape[:2], 1, dtype=torch.bool, device=observation.device)
        values = self.network(observation.unsqueeze(2), state.get("memory"), began)[0].squeeze(2)
        best, memory = values.max(dim=-1).values, acted.state.get("memory")
        return Diagnostics("value: max Q(s, a)", best, "Q(s, a)", values, memory=memory)

    def update(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """``epochs`` times through the rollout in shuffled minibatches; metrics are ``[S]``, of the last of them."""
        next_value = next_outputs(self.network, batch).max(dim=-1).values
        steps = {
            "observation": batch.observation,
            "began": batch.began,
            "action": batch.action,
            "returns": lambda_returns(batch, next_value, self.discount, self.config.trace),
            "weight": batch.valid.float(),
        }
        steps = {name: windows(tensor, self.window) for name, tensor in steps.items()}
        if "memory" in batch.extras:
            steps["memory"] = windows(batch.extras["memory"], self.window)[:, :, 0]
        metrics: dict[str, Tensor] = {}
        for epoch in range(self.config.epochs):
            key = random.key(self.seeds, _SHUFFLE_STREAM, self.optimiser.updates, epoch)
            for part in minibatches(steps, key, self.config.minibatches):
                metrics = self._improve(*part)
        return metrics

    def _improve(
        self,
        observation: Tensor,
        began: Tensor,
        action: Tensor,
        returns: Tensor,
        weight: Tensor,
        memory: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One step of gradient descent on windows ``[S, M, L, ...]`` that begin with ``memory``."""
        action, returns, weight = (steps.flatten(1, 2) for steps in (action, returns, weight))

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values, _ = self.network(observation, memory, began, parameters=parameters)
            value = values.flatten(1, 2).gather(-1, action.unsqueeze(-1)).squeeze(-1)
            losses = 0.5 * weighted_mean((value - returns).square(), weight)
            return losses, {"loss/td": losses, "value/q": weighted_mean(value, weight)}

        scale = learning_rate_scale(self.optimiser.updates, self.config)
        return self.optimiser.minimise(loss, self.network.parameters, self.config.max_gradient_norm, scale)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.parameters, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec("pqn", PQNConfig, PQN, learns_from="rollout", headline={"loss/td": "loss"})
