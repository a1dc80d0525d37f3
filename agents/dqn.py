"""Deep Q-learning (Mnih et al., 2015) and its family: each part of it is a choice of the options.

Which return a target is (``rlsuite.networks.returns.targets``), what the network says of a return (the models beside
it), dueling heads, noisy layers, n-step returns, and how a replay is sampled. C51, QR-DQN, IQN, Rainbow and Munchausen
DQN are files with their papers' choices.

Shapes: S seeds, E environments or B transitions of each, A actions, N outputs of each action.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from agents.options import EpsilonGreedyConfig, RatePerSeed, ReplayConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.configuration import Count, Fraction, NotNegative, Positive, Within
from rlsuite.experience import Batch
from rlsuite.networks.averaging import Average
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.noisy import noisy, perturbed
from rlsuite.networks.population import Adam, Parameters, Population
from rlsuite.networks.returns import targets
from rlsuite.networks.returns.c51 import C51
from rlsuite.networks.returns.iqn import ImplicitQuantiles
from rlsuite.networks.returns.model import ReturnModel, Returns
from rlsuite.networks.returns.quantiles import QuantileRegression
from rlsuite.networks.returns.scalar import Scalar
from rlsuite.state import restore
from rlsuite.training.exploration import epsilon_greedy, epsilon_now
from rlsuite.training.schedules import learning_rate_scale, per_seed, target_share

_EXPLORATION_STREAM, _EVALUATION_STREAM = 2, 3
_ACTING_NOISE_STREAM, _NOISE_STREAM, _LEVELS_STREAM = 36, 37, 38
_ONLINE, _TARGET, _CHOICE = range(3)  # networks that draw noise and levels apart in an update


@dataclass(frozen=True, kw_only=True)
class DQNConfig(EpsilonGreedyConfig, ReplayConfig):
    """Deep Q-network (Mnih et al., 2015), and the options that make the rest of its family of it."""

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
    target_rule: Literal["one-step", "double", "munchausen"] = "double"
    """The next action of a target: the target network's best; the online network's best, valued by the target network
    (van Hasselt et al., 2016); or a draw of the softmax policy, with the policy's log-probabilities as rewards
    (Vieillard et al., 2020)."""
    munchausen_weight: Fraction = 0.9
    """Munchausen: share of the temperature times log pi(a|s) that is added to a reward."""
    munchausen_temperature: Positive = 0.03
    """Munchausen: temperature of the softmax policy."""
    munchausen_lowest: Annotated[float, Within(-1e9, 0)] = -1.0
    """Munchausen: the least that the temperature times log pi(a|s) counts."""
    distribution: Literal["none", "c51", "qr", "iqn"] = "none"
    """Description of a return that is learned: its mean, probabilities of fixed returns (Bellemare et al., 2017), its
    quantiles at fixed levels (Dabney et al., 2018), or at any level (the same, 2018b)."""
    atoms: Annotated[int, Within(2)] = 51
    """C51: number of fixed returns."""
    support_low: float = -10.0
    """C51: the least of them."""
    support_high: float = 10.0
    """C51: the largest of them."""
    quantiles: Count = 200
    """QR-DQN: number of quantiles."""
    quantile_limit: NotNegative = 1.0
    """QR-DQN and IQN: error beyond which the loss grows linearly (kappa)."""
    quantile_samples: Count = 64
    """IQN: levels that are drawn for a transition, and for its target."""
    acting_quantiles: Count = 32
    """IQN: levels whose mean quantile is the value of an action."""
    cosines: Count = 64
    """IQN: waves in the embedding of a level."""
    dueling: bool = False
    """State value and action advantages as two heads (Wang et al., 2016)."""
    noise_scale: NotNegative = 0.0
    """Noisy linear layers explore (Fortunato et al., 2018), with this scale at the start, 0.5 in the paper; 0 for plain
    layers. Epsilon may then be 0."""
    loss: Literal["huber", "mse"] = "huber"
    """Loss function of the temporal-difference error, where no distribution is learned."""

    @classmethod
    def renamed(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "double" not in values:
            return values
        values = dict(values)
        return {"target_rule": "double" if values.pop("double") else "one-step"} | values

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.support_low >= self.support_high:
            raise ValueError(f"--support-low {self.support_low:g} must be below --support-high {self.support_high:g}")
        if self.target_rule == "munchausen" and self.n_step > 1:
            raise ValueError(
                f"--target-rule munchausen gives every step a reward of its own: --n-step 1, not {self.n_step}"
            )


class DQN:
    """Q(s, a), or the distribution of its return, by regression on ``reward + discount * (a return in s')``.

    Args:
        config: see ``DQNConfig``; values per seed are single numbers or one for each of ``seeds``.
        observation_space: vectors or pictures.
        action_space: ``Discrete``.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the action space is not discrete.
    """

    name, acts_in = "dqn", "Discrete"
    compilable: tuple[str, ...] = ("update",)
    acts_with = ("online",)

    def __init__(
        self,
        config: DQNConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(action_space, Discrete):
            raise ValueError(f"{self.name} needs a Discrete action space, but this one is {action_space}")
        assert isinstance(observation_space, Box)
        self.config = config
        self.actions = int(action_space.n)
        self.model = _model(config, device)

        def head(features: int, outputs: int) -> nn.Module:
            dueling = Dueling(features, self.actions, outputs) if config.dueling else None
            layer = nn.Linear(features, self.actions * outputs) if dueling is None else dueling.value
            layer.bias.data.view(-1, outputs).add_(self.model.start())
            return dueling or layer

        def network() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, precision=config.encoder_precision
            )
            whole = self.model.network(body, features, head)
            return noisy(whole, config.noise_scale) if config.noise_scale else whole

        self.network = Population(network, seeds, device)
        self.online = self.network.parameters  # [S, P]
        self.target = Average(self.online)
        self.optimiser = Adam(self.online, per_seed("learning_rate", config.learning_rate, seeds), eps=config.adam_eps)
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    @torch.no_grad()
    def values(self, observation: Tensor, parameters: Parameters | None = None) -> Tensor:
        """Q-values ``[S, E, A]`` of observations ``[S, E, ...]``, by the online network unless others are given."""
        return self.model.mean(self._outputs(observation, self.model.inputs(observation), parameters))

    def _outputs(self, observation: Tensor, inputs: tuple[Tensor, ...], parameters: Parameters | None = None) -> Tensor:
        """Outputs of the network ``[S, B, A, N]`` for each action's return."""
        return self.network(observation, *inputs, parameters=parameters).unflatten(-1, (self.actions, -1))

    def _noisy(self, parameters: Tensor, stream: int, *counters: Tensor | int) -> Parameters:
        """The parameters with a draw of noise, where the network has noisy layers."""
        if not self.config.noise_scale:
            return parameters
        return perturbed(self.network, parameters, random.key(self.seeds, stream, *counters))

    def initial_state(self, num_envs: int) -> ActingState:
        """Nothing: the next action depends on the observation alone."""
        return {}

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Epsilon-greedy actions ``[S, E]``, chosen for each environment apart; noise is one for all of a seed's."""
        epsilon = epsilon_now(self.config, self.epsilon_end, env_step, explore=explore)
        key = random.key(self.seeds, _EXPLORATION_STREAM if explore else _EVALUATION_STREAM, env_step)
        parameters = self._noisy(self.online, _ACTING_NOISE_STREAM, env_step) if explore else self.online
        return Acted(epsilon_greedy(self.values(observation, parameters), epsilon, key), state)

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        outputs = self._outputs(observation, self.model.inputs(observation))
        values = self.model.mean(outputs)
        returns = None if self.config.distribution == "none" else self.model.returns(outputs)
        return Diagnostics("value: max Q(s, a)", values.max(dim=-1).values, "Q(s, a)", values, returns=returns)

    def update(self, batch: Batch) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """One step of gradient descent on a batch ``[S, B]``, and the target network's move.

        Returns metrics ``[S]``; from a prioritised batch also its new priorities ``[S, B]``: the absolute errors, or,
        where distributions are learned, the losses (of C51 the divergences).
        """
        weight = batch.extras.get("weight")
        updates = self.optimiser.updates
        with torch.no_grad():
            target = self._target(batch, updates)
        inputs = self._inputs(batch.observation, updates, _ONLINE)

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            noised = self._noisy(parameters, _NOISE_STREAM, updates, _ONLINE)
            outputs = targets.of_action(self._outputs(batch.observation, inputs, noised), batch.action)
            each, priority = self.model.loss(outputs, target, *inputs)
            value = self.model.mean(outputs)
            losses = (each if weight is None else weight * each).mean(dim=1)
            # A spread of 0 shows a network whose output does not depend on its input.
            metrics = {
                "loss/td": losses,
                "value/q": value.mean(dim=1),
                "value/q_std": value.std(dim=1, correction=0),
            }
            return losses, metrics if weight is None else metrics | {"priority": priority}

        limit = self.config.max_gradient_norm
        scale = learning_rate_scale(self.optimiser.updates, self.config)
        metrics = self.optimiser.minimise(loss, self.online, limit, scale)
        priority = metrics.pop("priority", None)
        share = target_share(self.optimiser.updates, self.config.target_period_updates, self.config.tau)
        self.target.follow(self.online, share)
        return metrics if priority is None else (metrics, priority)

    def _inputs(self, observation: Tensor, updates: Tensor, network: int) -> tuple[Tensor, ...]:
        return self.model.inputs(observation, self.seeds, _LEVELS_STREAM, updates, network)

    def _target(self, batch: Batch, updates: Tensor) -> Returns:
        """The returns ``[S, B, N]`` that the taken actions should have had."""
        following = batch.next_observation
        parameters = self._noisy(self.target.mean, _NOISE_STREAM, updates, _TARGET)
        outputs = self._outputs(following, self._inputs(following, updates, _TARGET), parameters)
        returns, values, reward = self.model.returns(outputs), self.model.mean(outputs), batch.reward
        match self.config.target_rule:
            case "munchausen":
                temperature = self.config.munchausen_temperature
                log_policy = targets.soft_log_policy(values, temperature)
                returns = targets.of_soft_policy(returns, log_policy, temperature)
                log_policy = targets.soft_log_policy(self.values(batch.observation, parameters), temperature)
                bonus = self.config.munchausen_weight, self.config.munchausen_lowest
                reward = reward + targets.munchausen_bonus(log_policy, batch.action, *bonus)
            case "double":
                online = self._noisy(self.online, _NOISE_STREAM, updates, _CHOICE)
                returns = targets.of_best(returns, self.values(following, online))
            case _:
                returns = targets.of_best(returns, values)
        value = reward.unsqueeze(-1) + batch.discount.unsqueeze(-1) * returns.value
        return Returns(value, returns.probability)

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online,
            "target": self.target.mean,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


def _model(config: DQNConfig, device: torch.device | str) -> ReturnModel:
    match config.distribution:
        case "c51":
            return C51(config.atoms, config.support_low, config.support_high, device)
        case "qr":
            return QuantileRegression(config.quantiles, config.quantile_limit, device)
        case "iqn":
            sizes = config.quantile_samples, config.acting_quantiles, config.cosines
            return ImplicitQuantiles(*sizes, config.quantile_limit, device)
    return Scalar(config.loss)


SPEC = AgentSpec("dqn", DQNConfig, DQN, learns_from="replay", headline={"loss/td": "loss"})
