"""Recurrent double deep Q-learning from replayed sequences with stored state: R2D2 (Kapturowski et al., 2019).

Shapes: S seeds, E environments, B sequences of L = burn-in + T + n rows, A actions, M numbers of memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.options import EpsilonGreedyConfig, MemoryOptions, RatePerSeed, SequenceConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics, TensorSpec
from rlsuite.configuration import Count, Fraction, NotNegative, Positive
from rlsuite.networks.averaging import Average
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.population import Adam, Population
from rlsuite.networks.recurrent import empty_memory, memory_size, with_memory
from rlsuite.replay.sequence_store import SequenceBatch, n_step_targets
from rlsuite.state import restore
from rlsuite.training.exploration import epsilon_greedy, epsilon_now
from rlsuite.training.schedules import learning_rate_scale, per_seed, target_share

_EXPLORATION_STREAM, _EVALUATION_STREAM = 31, 32
_SLOPE = 1e-3  # of the square root's rescaling, for large values
_LARGEST_SHARE = 0.9  # weight of the largest error in a sequence's priority; the mean error has the rest


@dataclass(frozen=True, kw_only=True)
class R2D2Config(EpsilonGreedyConfig, MemoryOptions, SequenceConfig):
    """Recurrent replay distributed DQN (Kapturowski et al., 2019), on one machine."""

    memory: Literal["gru", "lstm"] = "gru"
    """Kind of the memory: a recurrent network after the encoder."""
    learning_rate: RatePerSeed = (5e-4,)
    """Learning rate of Adam at the start."""
    final_learning_rate_fraction: Fraction = 1.0
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    adam_eps: Positive = 1e-3
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = 40.0
    """Gradients are scaled to at most this norm, seed by seed."""
    n_step: Count = 3
    """Env steps of reward before the bootstrap."""
    target_period_updates: Count = 200
    """Updates between two copies into the target network; ignored if tau is set."""
    tau: Fraction | None = None
    """Move the target network by this fraction towards the online one at each update, instead of copying."""
    value_rescaling: Literal["none", "square-root", "logarithm"] = "square-root"
    """Transform of returns x, in place of clipped rewards: sign(x)(sqrt(|x| + 1) - 1) + 0.001 x (Pohlen et al.,
    2018), or sign(x) log(|x| + 1)."""
    epsilon_spread: NotNegative = 0.0
    """Environment i of E takes random actions with probability epsilon to the power 1 + this * i / (E - 1), so that
    some explore much and some little; Horgan et al. (2018) have 7."""
    dueling: bool = True
    """State value and action advantages as two heads (Wang et al., 2016)."""
    replay_priority_exponent: Fraction = 0.9
    """Alpha of prioritised replay: sequences are drawn by their last errors to this power; 0 draws all alike."""
    replay_importance_exponent: Fraction = 0.6
    """Beta of prioritised replay at the start: exponent of the weights that correct for it; rises to 1 over the run."""


class R2D2:
    """Q(s, a) of a network with memory, by regression on n-step double Q-targets along sequences.

    Args:
        config: see ``R2D2Config``.
        observation_space: vectors or images.
        action_space: ``Discrete``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is not discrete.
    """

    acts_in = "Discrete"
    acts_with = ("online",)

    def __init__(
        self,
        config: R2D2Config,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Discrete):
            raise ValueError(f"r2d2 needs a Discrete action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        self.config = config
        self.actions = int(action_space.n)

        def head(inputs: int) -> nn.Module:
            return Dueling(inputs, self.actions) if config.dueling else nn.Linear(inputs, self.actions)

        def network() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, precision=config.encoder_precision
            )
            memory = config.memory, config.memory_units, config.memory_env_steps
            return with_memory(body, features, head, *memory)

        self.network = Population(network, seeds, device)
        self.online = self.network.parameters  # [S, P]
        self.target = Average(self.online)
        rates = per_seed("learning_rate", config.learning_rate, seeds)
        self.optimiser = Adam(self.online, rates, eps=config.adam_eps)
        self.extras = {"memory": TensorSpec((memory_size(self.network),))}  # before the action
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.discount = per_seed("discount", config.discount, seeds).to(device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    def initial_state(self, num_envs: int) -> ActingState:
        """The memory ``[S, E, M]``, empty."""
        return empty_memory(self.network, num_envs)

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Epsilon-greedy actions ``[S, E]`` by what is seen and remembered."""
        values, memory = self.network(observation.unsqueeze(2), state["memory"], began.unsqueeze(2))
        epsilon = epsilon_now(self.config, self.epsilon_end, env_step, explore=explore)
        if explore:
            spread = torch.linspace(0.0, self.config.epsilon_spread, began.shape[1], device=epsilon.device)
            epsilon = epsilon.unsqueeze(1) ** (1.0 + spread)
        key = random.key(self.seeds, _EXPLORATION_STREAM if explore else _EVALUATION_STREAM, env_step)
        action = epsilon_greedy(values.squeeze(2), epsilon, key)
        # The recurrent state before the action is stored beside it.
        return Acted(action, {"memory": memory}, {"memory": state["memory"]})

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        began = torch.zeros(observation.shape[:2], dtype=torch.bool, device=observation.device)
        values, _ = self.network(observation.unsqueeze(2), state["memory"], began.unsqueeze(2))
        values = self.to_returns(values.squeeze(2))
        best = values.max(dim=-1).values
        return Diagnostics("value: max Q(s, a)", best, "Q(s, a)", values, memory=acted.state["memory"])

    def update(self, batch: SequenceBatch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of gradient descent on sequences ``[S, B, L]``; metrics are ``[S]``.

        From a prioritised batch also returns each sequence's new priority ``[S, B]``, a mixture of its largest and its
        mean absolute error.
        """
        steps = self.config.sequence_env_steps
        weight = batch.extras.get("weight")
        memory, target_memory = (self._after_burn_in(batch, own) for own in (self.online, self.target.mean))
        rows = slice(self.config.burn_in_env_steps, None)  # those that are learned from, and n more
        observation, action, began = (part[:, :, rows] for part in (batch.observation, batch.action, batch.began))
        counts = batch.valid[:, :, rows][:, :, :steps].float()
        with torch.no_grad():
            next_values, _ = self.network(observation, target_memory, began, parameters=self.target.mean)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values, _ = self.network(observation, memory, began, parameters=parameters)
            best = next_values.gather(-1, values.detach().argmax(dim=-1, keepdim=True)).squeeze(-1)
            wanted = self._targets(batch, best)[:, :, :steps]
            value = values.gather(-1, action.unsqueeze(-1)).squeeze(-1)[:, :, :steps]
            error = (value - wanted) * counts
            # The mean over the steps of a sequence instead of the paper's sum, so that the learning rate, Adam's eps
            # and the limit of gradients mean the same for sequences of any length. The paper's eps then weighs more:
            # beside gradients that are small to it, updates are as many times smaller as a sequence has steps.
            each = 0.5 * error.square().sum(dim=2) / counts.sum(dim=2).clamp(min=1.0)
            losses = (each if weight is None else weight * each).mean(dim=1)
            mean = (self.to_returns(value) * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1.0)
            return losses, {"loss/td": losses, "value/q": mean, "error": error.abs()}

        scale = learning_rate_scale(self.optimiser.updates, self.config)
        metrics = self.optimiser.minimise(loss, self.online, self.config.max_gradient_norm, scale)
        error = metrics.pop("error")
        share = target_share(self.optimiser.updates, self.config.target_period_updates, self.config.tau)
        self.target.follow(self.online, share)
        if weight is None:
            return metrics
        mean = error.sum(dim=2) / counts.sum(dim=2).clamp(min=1.0)
        return metrics, _LARGEST_SHARE * error.amax(dim=2) + (1.0 - _LARGEST_SHARE) * mean

    @torch.no_grad()
    def _after_burn_in(self, batch: SequenceBatch, parameters: Tensor) -> Tensor:
        """The memory ``[S, B, M]`` after the rows that only bring it up to date."""
        memory, rows = batch.extras["memory"], self.config.burn_in_env_steps
        if rows == 0:
            return memory
        inputs = batch.observation[:, :, :rows], memory, batch.began[:, :, :rows]
        return self.network(*inputs, parameters=parameters)[1]

    def _targets(self, batch: SequenceBatch, next_value: Tensor) -> Tensor:
        """Target values of the rows after the burn-in, given the values of these rows themselves."""
        later = slice(self.config.burn_in_env_steps, None)
        reward, bootstrap, valid = (part[:, :, later] for part in (batch.reward, batch.bootstrap, batch.valid))
        value = self.to_returns(next_value)
        returns = n_step_targets(reward, bootstrap, valid, value, self.discount, self.config.n_step)
        return self.from_returns(returns)

    def from_returns(self, x: Tensor) -> Tensor:
        """Rescaled values of returns: large ones become small."""
        match self.config.value_rescaling:
            case "square-root":
                return x.sign() * ((x.abs() + 1.0).sqrt() - 1.0) + _SLOPE * x
            case "logarithm":
                return x.sign() * x.abs().log1p()
        return x

    def to_returns(self, x: Tensor) -> Tensor:
        """The inverse of ``from_returns`` (Pohlen et al., 2018, proposition A.2)."""
        match self.config.value_rescaling:
            case "square-root":
                # The paper's (root - 1) / (2 slope) loses digits in the difference; this is the same.
                root = (1.0 + 4.0 * _SLOPE * (x.abs() + 1.0 + _SLOPE)).sqrt()
                return x.sign() * ((2.0 * (x.abs() + 1.0 + _SLOPE) / (root + 1.0)).square() - 1.0)
            case "logarithm":
                return x.sign() * x.abs().expm1()
        return x

    def state_dict(self) -> dict[str, Any]:
        return {"online": self.online, "target": self.target.mean, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec("r2d2", R2D2Config, R2D2, learns_from="sequences", headline={"loss/td": "loss"})
