"""Proximal policy optimisation (Schulman et al., 2017) with the clipped objective and generalised advantages.

Shapes: S seeds; T vector steps of E environments in a rollout, which is N windows of L steps of an environment (a step
each without memory); M windows of a minibatch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import ActivationOptions, MinibatchConfig, RatePerSeed
from rlsuite import random, ranks
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics, TensorSpec
from rlsuite.configuration import Count, Fraction, NotNegative, Positive, Widths
from rlsuite.networks.encoder import encoder
from rlsuite.networks.policy import Categorical, policy_for
from rlsuite.networks.population import Adam, Population, clip_rows, gradient
from rlsuite.networks.recurrent import WithMemory, empty_memory, with_memory
from rlsuite.replay.rollout import RolloutBatch, advantages, minibatches, next_outputs, weighted_mean, windows
from rlsuite.state import restore
from rlsuite.training.schedules import learning_rate_scale, per_seed

_POLICY_STREAM, _SHUFFLE_STREAM = 21, 22


@dataclass(frozen=True, kw_only=True)
class PPOConfig(ActivationOptions, MinibatchConfig):
    """Proximal policy optimisation (Schulman et al., 2017)."""

    learning_rate: RatePerSeed = (3e-4,)
    """Learning rate of Adam at the start."""
    final_learning_rate_fraction: Fraction = 0.0
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    adam_eps: Positive = 1e-5
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = 0.5
    """Gradients are scaled to at most this norm, seed by seed."""
    rollout_env_steps: Count = 1_024
    """Env steps, over all environments of a seed, between two updates."""
    trace: Fraction = 0.95
    """Lambda of generalised advantage estimation (GAE): 0 for one-step errors, 1 for whole returns."""
    clip: Positive = 0.2
    """Clipping range of the ratio of new to old probabilities, around 1."""
    value_clip: Positive | None = None
    """Clipping range of new values, around those at the time of the rollout; by default they are not clipped."""
    max_kl: Positive | None = None
    """A seed's update stops once its policy is more than this KL divergence, in nats, away from the one that collected
    the rollout; by default it never does."""
    standardise: bool = True
    """Normalise advantages: mean 0 and standard deviation 1 over each minibatch."""
    value_weight: NotNegative = 0.5
    """Weight of the value loss beside the policy loss."""
    entropy_weight: NotNegative = 0.0
    """Weight of the policy's entropy, as a bonus in the loss."""
    hidden: Widths = (64, 64)
    """Widths of the mlp."""
    initial_log_std: float = 0.0
    """Logarithm of the Gaussian policy's standard deviation at the start, before it is squashed into the bounds."""


class ActorCritic(nn.Module):
    """A policy's outputs and a value side by side, each with a memory of its own or none.

    Observations ``[B, L, ...]``, state ``[B, M]`` and reset ``[B, L]`` to ``[B, L, O + 1]`` and the next state.
    """

    def __init__(self, policy: WithMemory, value: WithMemory) -> None:
        super().__init__()
        self.policy, self.value = policy, value
        self.state_size = policy.state_size + value.state_size

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor | None]:
        return self._both(lambda name, *own: self.get_submodule(name)(*own), *inputs)

    def stacked(
        self, child: Callable[..., Any], named: dict[str, Tensor], *inputs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """The same for S of them."""
        return self._both(child, *inputs)

    def _both(
        self, run: Callable[..., Any], observation: Tensor, state: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        of_policy, of_value = (None, None) if state is None else state.chunk(2, dim=-1)
        outputs, of_policy = run("policy", observation, of_policy, reset)
        value, of_value = run("value", observation, of_value, reset)
        state = None if of_policy is None or of_value is None else torch.cat([of_policy, of_value], dim=-1)
        return torch.cat([outputs, value], dim=-1), state


class PPO:
    """Several epochs of gradient ascent on each rollout, as long as the policy stays near the one that collected it.

    Args:
        config: see ``PPOConfig``.
        observation_space: vectors or images.
        action_space: ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or ``Box``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is of another kind, or minibatches do not divide a rollout.
    """

    name, acts_in = "ppo", "Discrete, MultiDiscrete, MultiBinary or Box"

    def __init__(
        self,
        config: PPOConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        assert isinstance(observation_space, Box)
        config.require_whole_minibatches()
        self.config, self.window = config, config.window_env_steps
        # Compilers unroll a memory's steps one by one, which takes minutes.
        self.compilable = ("_improve",) if config.memory == "none" else ()
        self.distribution = policy_for(self.name, action_space, config.initial_log_std, device)

        def network() -> nn.Module:
            (policy, features), (value, _) = (
                encoder(observation_space, config.encoder, config.hidden, config.activation, config.encoder_precision)
                for _ in range(2)
            )
            memory = config.memory, config.memory_units, config.memory_env_steps
            return ActorCritic(
                with_memory(policy, features, lambda inputs: _near_zero(self.distribution.head(inputs)), *memory),
                with_memory(value, features, lambda inputs: nn.Linear(inputs, 1), *memory),
            )

        self.network = Population(network, seeds, device)
        extras = {"log_prob": TensorSpec(()), "value": TensorSpec(())}
        extras |= {name: TensorSpec(tuple(memory.shape[2:])) for name, memory in self.initial_state(1).items()}
        self.extras = self.distribution.extras | extras
        rates = per_seed("learning_rate", config.learning_rate, seeds)
        self.optimiser = Adam(self.network.parameters, rates, eps=config.adam_eps)
        self.discount = per_seed("discount", config.discount, seeds).to(device)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self._is_near = torch.ones(len(seeds), dtype=torch.bool, device=device)  # to the policy of the rollout
        self._skipped = torch.zeros_like(self.optimiser.updates)  # minibatches, of seeds that were not

    def initial_state(self, num_envs: int) -> ActingState:
        """The memory ``[S, E, ...]`` of policy and critic, empty; nothing without one."""
        return empty_memory(self.network, num_envs)

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions sampled from the policy; without ``explore`` the likeliest."""
        outputs, value, memory = self._outputs(observation.unsqueeze(2), began.unsqueeze(2), state.get("memory"))
        if explore:
            sample = self.distribution.sample(outputs, random.key(self.seeds, _POLICY_STREAM, env_step))
        else:
            sample = self.distribution.mode(outputs)
        # The memory before the action is stored beside it.
        extras = {"log_prob": self.distribution.log_prob(outputs, sample), "value": value} | state
        following = {} if memory is None else {"memory": memory}
        return Acted(self.distribution.action(sample), following, extras | self.distribution.stored(sample))

    def _outputs(
        self, observation: Tensor, began: Tensor, memory: Tensor | None, parameters: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Of windows ``[S, N, L, ...]``: outputs ``[S, N L, O]`` and values ``[S, N L]``, and the memory after them."""
        outputs, memory = self.network(observation, memory, began, parameters=parameters)
        outputs = outputs.flatten(1, 2)
        return outputs[..., :-1], outputs[..., -1], memory

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        began = torch.zeros(*observation.shape[:2], 1, dtype=torch.bool, device=observation.device)
        outputs, value, _ = self._outputs(observation.unsqueeze(2), began, state.get("memory"))
        found = Diagnostics(
            "critic's V(s)",
            value,
            entropy=self.distribution.entropy(outputs),
            memory=acted.state.get("memory"),
        )
        if not isinstance(self.distribution, Categorical):
            return found
        return replace(found, score_name="probability", scores=outputs.softmax(-1), scores_are_probabilities=True)

    def update(self, batch: RolloutBatch) -> dict[str, Tensor]:
        """``epochs`` times through the rollout in shuffled minibatches; metrics are ``[S]``, of the last of them."""
        value = batch.extras["value"]
        next_value = next_outputs(self.network, batch)[..., -1]
        advantage = advantages(batch, value, next_value, self.discount, self.config.trace)
        steps = {
            "observation": batch.observation,
            "began": batch.began,
            "sample": self.distribution.restored(batch.action, batch.extras),
            "log_prob": batch.extras["log_prob"],
            "advantage": advantage,
            "value": value,
            "weight": batch.valid.float(),
        }
        steps = {name: windows(tensor, self.window) for name, tensor in steps.items()}
        if "memory" in batch.extras:
            steps["memory"] = windows(batch.extras["memory"], self.window)[:, :, 0]
        self._is_near.fill_(True)
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
        sample: Tensor,
        old_log_prob: Tensor,
        advantage: Tensor,
        old_value: Tensor,
        weight: Tensor,
        memory: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One step of gradient descent on windows ``[S, M, L, ...]`` that begin with ``memory``."""
        sample, old_log_prob, advantage, old_value, weight = (
            steps.flatten(1, 2) for steps in (sample, old_log_prob, advantage, old_value, weight)
        )
        returns = advantage + old_value
        if self.config.standardise:
            centred = advantage - weighted_mean(advantage, weight).unsqueeze(1)
            advantage = centred / (weighted_mean(centred.square(), weight).sqrt().unsqueeze(1) + 1e-8)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            outputs, value, _ = self._outputs(observation, began, memory, parameters)
            ratio = (self.distribution.log_prob(outputs, sample) - old_log_prob).exp()
            near = ratio.clamp(1.0 - self.config.clip, 1.0 + self.config.clip)
            gain = weighted_mean(torch.minimum(ratio * advantage, near * advantage), weight)
            error = weighted_mean(self._value_errors(value, old_value, returns), weight)
            entropy = weighted_mean(self.distribution.entropy(outputs), weight)
            losses = -gain + self.config.value_weight * error - self.config.entropy_weight * entropy
            return losses, {
                "loss/policy": -gain,
                "loss/value": error,
                "value/entropy": entropy,
                "policy/kl": weighted_mean(ratio - 1.0 - ratio.log(), weight),
                "policy/clipped_fraction": weighted_mean((ratio != near).float(), weight),
            }

        gradients, metrics = gradient(loss, self.network.parameters)
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        scale = learning_rate_scale(self.optimiser.updates + self._skipped, self.config)
        if self.config.max_kl is None:
            self.optimiser.step(self.network.parameters, gradients, scale)
        else:
            self._is_near.logical_and_(ranks.averaged(metrics["policy/kl"]) <= self.config.max_kl)
            self.optimiser.step_some(self._is_near, self.network.parameters, gradients, scale)
            self._skipped.add_(~self._is_near)
        return metrics

    def _value_errors(self, value: Tensor, old_value: Tensor, returns: Tensor) -> Tensor:
        errors = F.mse_loss(value, returns, reduction="none")
        if self.config.value_clip is None:
            return errors
        near = old_value + (value - old_value).clamp(-self.config.value_clip, self.config.value_clip)
        return torch.maximum(errors, F.mse_loss(near, returns, reduction="none"))

    def state_dict(self) -> dict[str, Any]:
        skipped = {} if self.config.max_kl is None else {"skipped": self._skipped}
        return {"network": self.network.parameters, "optimiser": self.optimiser.state_dict()} | skipped

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


def _near_zero(head: nn.Module) -> nn.Module:
    """The head with weights a hundredth of the usual, so that all actions are about equally likely at first."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            module.weight.data.mul_(0.01)
    return head


SPEC = AgentSpec("ppo", PPOConfig, PPO, learns_from="rollout", headline={"loss/policy": "loss"})
