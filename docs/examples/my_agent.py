"""An agent of one's own: Q-learning with a network and a replay, and nothing else."""

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from agents.options import EpsilonGreedyConfig, RatePerSeed, ReplayConfig
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics
from rlsuite.experience import Batch
from rlsuite.networks.population import Adam, Population
from rlsuite.state import restore
from rlsuite.training.exploration import epsilon_greedy, epsilon_now
from rlsuite.training.schedules import per_seed

_EXPLORATION_STREAM = 1000  # any number of its own keeps these random numbers apart from others


@dataclass(frozen=True, kw_only=True)
class MyConfig(ReplayConfig, EpsilonGreedyConfig, group="method"):
    """Q-learning without a target network."""

    learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of Adam."""


class MyAgent:
    """Q(s, a) by regression on ``reward + discount * max Q(s', a')``."""

    acts_in = "Discrete"

    def __init__(self, config: MyConfig, observation_space: Any, action_space: Any, seeds: Any, device: Any) -> None:
        if not isinstance(action_space, Discrete):
            raise ValueError(f"my agent needs a Discrete action space, not {action_space}")
        (size,), width = observation_space.shape, config.hidden[0]

        def network() -> nn.Module:  # of one seed; the population has one of each
            return nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, int(action_space.n)))

        self.config = config
        self.network = Population(network, seeds, device)
        self.optimiser = Adam(self.network.parameters, per_seed("learning_rate", config.learning_rate, seeds))
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.epsilon_end = per_seed("epsilon_end", config.epsilon_end, seeds).to(device)

    def initial_state(self, num_envs: int) -> ActingState:
        return {}  # it remembers nothing

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        epsilon = epsilon_now(self.config, self.epsilon_end, env_step, explore=explore)
        key = random.key(self.seeds, _EXPLORATION_STREAM, env_step)
        return Acted(epsilon_greedy(self.network(observation), epsilon, key), state)

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        values = self.network(observation)
        return Diagnostics("max Q(s, a)", values.max(dim=-1).values, "Q(s, a)", values)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of gradient descent on a batch ``[S, B]`` of transitions; returns metrics ``[S]``."""
        with torch.no_grad():
            following = self.network(batch.next_observation).max(dim=-1).values
            target = batch.reward + batch.discount * following

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            values = self.network(batch.observation, parameters=parameters)
            value = values.gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
            losses = (value - target).square().mean(dim=1)  # of each seed
            return losses, {"loss": losses}

        return self.optimiser.minimise(loss, self.network.parameters, 10.0)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.parameters, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec("my-agent", MyConfig, MyAgent, learns_from="replay", headline={"loss": "loss"})
