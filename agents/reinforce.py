"""REINFORCE (Williams, 1992): reward-to-go, with a learned baseline unless it is told otherwise.

Shapes: S seeds; T vector steps of E environments in a rollout, which is N windows of L steps of an environment (a step
each without memory); A actions or action components.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import ActivationOptions, MemoryRolloutConfig, RatePerSeed
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics, TensorSpec
from rlsuite.configuration import Count, Fraction, NotNegative, Widths
from rlsuite.networks.encoder import encoder
from rlsuite.networks.policy import Categorical, policy_for
from rlsuite.networks.population import Adam, Population
from rlsuite.networks.recurrent import empty_memory, with_memory
from rlsuite.replay.rollout import RolloutBatch, next_outputs, reward_to_go, weighted_mean, windows
from rlsuite.state import restore
from rlsuite.training.schedules import learning_rate_scale, per_seed

_POLICY_STREAM = 6


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(ActivationOptions, MemoryRolloutConfig):
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
        self.window = config.window_env_steps
        # Not the whole update: the many steps of the baseline would take minutes to compile, and so would a memory,
        # whose steps compilers unroll one by one.
        self.compilable = ("_improve_policy", "_improve_baseline") if config.memory == "none" else ()
        self.distribution = policy_for("reinforce", action_space, config.initial_log_std, device)

        def network(head: Callable[[int], nn.Module]) -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, config.activation, config.encoder_precision
            )
            return with_memory(body, features, head, config.memory, config.memory_units, config.memory_env_steps)

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
        memories = {name: TensorSpec(tuple(memory.shape[2:])) for name, memory in self.initial_state(1).items()}
        self.extras = self.distribution.extras | memories

    def initial_state(self, num_envs: int) -> ActingState:
        """The memories ``[S, E, M]`` of policy and baseline, empty; nothing without any."""
        state = empty_memory(self.policy, num_envs)
        if state and self.config.baseline == "learned":
            state |= {"baseline_memory": empty_memory(self.baseline, num_envs)["memory"]}
        return state

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions ``[S, E]`` or ``[S, E, A]``; without ``explore`` the likeliest index, or the mean."""
        seen, begins = observation.unsqueeze(2), began.unsqueeze(2)
        outputs, memory = _run(self.policy, seen, begins, state.get("memory"))
        following = {} if memory is None else {"memory": memory}
        if "baseline_memory" in state:  # the baseline sees what the policy sees
            _, following["baseline_memory"] = self.baseline(seen, state["baseline_memory"], begins)
        if explore:
            sample = self.distribution.sample(outputs, random.key(self.seeds, _POLICY_STREAM, env_step))
        else:
            sample = self.distribution.mode(outputs)
        # The memories before the action are stored beside it.
        return Acted(self.distribution.action(sample), following, state | self.distribution.stored(sample))

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        seen = observation.unsqueeze(2)
        began = torch.zeros(seen.shape[:3], dtype=torch.bool, device=seen.device)
        value = None
        if self.config.baseline == "learned":
            value = _run(self.baseline, seen, began, state.get("baseline_memory"))[0].squeeze(-1)
        if not isinstance(self.distribution, Categorical):
            return Diagnostics("baseline's V(s)", value, memory=acted.state.get("memory"))
        probabilities = _run(self.policy, seen, began, state.get("memory"))[0].softmax(dim=-1)
        return Diagnostics(
            "baseline's V(s)",
            value,
            "probability",
            probabilities,
            scores_are_probabilities=True,
            memory=acted.state.get("memory"),
        )

    def update(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """One step of the policy on a whole rollout, then a few of the baseline; metrics are ``[S]``.

        With a baseline, episodes that were cut (truncated, or unfinished at the rollout's end) go on with its value
        there. Without one, their steps are kept out: ``weight`` is 0.
        """
        sample = self.distribution.restored(batch.action, batch.extras)
        learned = self.config.baseline == "learned"
        returns, weight = reward_to_go(batch, self.discount, self._next_value(batch) if learned else None)
        seen, began, sample, returns, weight = (
            windows(steps, self.window) for steps in (batch.observation, batch.began, sample, returns, weight)
        )
        sample, returns, weight = sample.flatten(1, 2), returns.flatten(1, 2), weight.flatten(1, 2)
        memory, baseline_memory = (self._at_starts(batch, name) for name in ("memory", "baseline_memory"))
        advantage = returns
        if learned:
            with torch.no_grad():
                advantage = returns - _run(self.baseline, seen, began, baseline_memory)[0].squeeze(-1)
        if self.config.standardise:
            advantage = _standardise(advantage, weight)
        metrics = self._improve_policy(seen, began, sample, advantage, weight, memory)
        if learned:
            for _ in range(self.config.baseline_updates_per_rollout):
                fit = self._improve_baseline(seen, began, returns, weight, baseline_memory)
            metrics = metrics | fit
        return metrics

    def _at_starts(self, batch: RolloutBatch, name: str) -> Tensor | None:
        """The memory ``[S, N, M]`` with which each window begins, if there is any."""
        return windows(batch.extras[name], self.window)[:, :, 0] if name in batch.extras else None

    def _next_value(self, batch: RolloutBatch) -> Tensor:
        """The baseline's values ``[S, T, E]`` of the next observations, which follow those that were acted on."""
        return next_outputs(self.baseline, batch, "baseline_memory").squeeze(-1)

    def _improve_policy(
        self,
        observation: Tensor,
        began: Tensor,
        sample: Tensor,
        advantage: Tensor,
        weight: Tensor,
        memory: Tensor | None = None,
    ) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outputs, _ = _run(self.policy, observation, began, memory, parameters)
            log_prob = self.distribution.log_prob(outputs, sample)
            gain = weighted_mean(log_prob * advantage, weight)
            entropy = weighted_mean(self.distribution.entropy(outputs), weight)
            losses = -gain - self.config.entropy_weight * entropy
            return losses, {"loss/policy": losses, "value/entropy": entropy}

        scale = learning_rate_scale(self.policy_optimiser.updates, self.config)
        limit = self.config.max_gradient_norm
        return self.policy_optimiser.minimise(loss, self.policy.parameters, limit, scale, norm="gradient/policy_norm")

    def _improve_baseline(
        self, observation: Tensor, began: Tensor, returns: Tensor, weight: Tensor, memory: Tensor | None = None
    ) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = _run(self.baseline, observation, began, memory, parameters)[0].squeeze(-1)
            losses = weighted_mean(F.mse_loss(values, returns, reduction="none"), weight)
            return losses, {"loss/baseline": losses}

        limit = self.config.max_gradient_norm
        return self.baseline_optimiser.minimise(loss, self.baseline.parameters, limit, norm="gradient/baseline_norm")

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.parameters,
            "baseline": self.baseline.parameters,
            "policy_optimiser": self.policy_optimiser.state_dict(),
            "baseline_optimiser": self.baseline_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


def _run(
    network: Population, observation: Tensor, began: Tensor, memory: Tensor | None, parameters: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """A network's outputs ``[S, N L, O]`` along windows ``[S, N, L, ...]``, and its memory after them."""
    outputs, memory = network(observation, memory, began, parameters=parameters)
    return outputs.flatten(1, 2), memory


def _standardise(values: Tensor, weight: Tensor) -> Tensor:
    centred = values - weighted_mean(values, weight).unsqueeze(1)
    spread = weighted_mean(centred.square(), weight).sqrt().unsqueeze(1)
    return centred / (spread + 1e-8)


SPEC = AgentSpec("reinforce", ReinforceConfig, Reinforce, learns_from="rollout", headline={"loss/policy": "loss"})
