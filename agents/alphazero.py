"""AlphaZero (Silver et al., 2018): a network learns from games against itself, in which a search improves its moves.

A position's target is the end of its game as the side to move sees it: a return whose discount is -1, since the next
value is the other side's. The replay, which knows n-step returns, therefore needs no rule for games.

Shapes: S seeds, E games of each, B positions of a batch, A actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from agents.options import OtherSidesFractionPerSeed, RatePerSeed, ReplayConfig
from envs.boards.games import find_board
from rlsuite import random
from rlsuite.agent import Acted, ActingState, AgentSpec, Diagnostics, TensorSpec
from rlsuite.board import Position, packed, planes, stones
from rlsuite.configuration import Count, Fraction, Natural, NotNegative, Positive
from rlsuite.experience import Batch
from rlsuite.networks.distributions import categorical_entropy, categorical_sample
from rlsuite.networks.encoder import encoder
from rlsuite.networks.names import Encoder
from rlsuite.networks.population import Adam, Population
from rlsuite.state import restore
from rlsuite.training.schedules import learning_rate_scale, per_seed
from rlsuite.tree_search import search

_NOISE_STREAM, _MOVE_STREAM, _SYMMETRY_STREAM = 55, 56, 57


@dataclass(frozen=True, kw_only=True)
class AlphaZeroConfig(ReplayConfig):
    """AlphaZero (Silver et al., 2018), for rlsuite/TicTacToe-v0, rlsuite/ConnectFour-v0 and rlsuite/Othello6-v0.

    It trains by playing against itself; evaluations are games against the environment's opponent, --env-kwargs
    opponent=random or opponent=minimax.
    """

    keep_evaluated: bool = True
    """Keep the agent of each evaluation as a checkpoint, checkpoint/at-ENVSTEPS, to play against in a tournament."""
    learning_rate: RatePerSeed = (2e-3,)
    """Learning rate of Adam at the start."""
    final_learning_rate_fraction: Fraction = 0.1
    """The learning rate falls linearly to this fraction of itself at the last env step."""
    max_gradient_norm: Positive | None = 5.0
    """Gradients are scaled to at most this norm, seed by seed."""
    weight_decay: NotNegative = 1e-4
    """Weight of the sum of the squares of all parameters in the loss."""
    value_weight: NotNegative = 1.0
    """Weight of the value loss beside the policy loss."""
    encoder: Encoder = "residual"
    """Network from position to features."""
    simulations: Count = 50
    """Positions that the search of a move looks at."""
    evaluation_simulations: Count | None = None
    """The same in evaluations and games with people; by default as many."""
    exploration: Positive = 1.5
    """Weight of the policy beside the values that the search has found."""
    noise_fraction: Fraction = 0.25
    """Part of noise in the policy at the root of a search, in games against itself."""
    noise_concentration: Positive = 0.5
    """Concentration of the Dirichlet noise: below 1, few moves get most of it."""
    temperature: Positive = 1.0
    """Moves of games against itself are drawn by their visits to the power of 1 / temperature."""
    temperature_moves: Natural = 12
    """Moves of both sides after which the most visited move is taken instead."""
    discount: OtherSidesFractionPerSeed = (-1.0,)
    """Weight of the next position's value, which is the other side's: above -1, wins are better the sooner they are."""
    n_step: Count = 64
    """Moves until a position's target is the value of the network, if the game lasts as long."""
    num_envs: Count = 64
    """Games of each seed that are played at a time."""
    batch_size: Count = 256
    """Positions an update."""
    train_every_env_steps: Count = 64
    """Moves, over all games of a seed, between two rounds of updates."""
    updates_per_train: Count = 2
    """Updates of a round."""
    symmetries: bool = True
    """Learn from positions in all orientations that the rules do not tell apart."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay_priority_exponent > 0:
            raise ValueError("alphazero draws positions alike: it has no --replay-priority-exponent")


class AlphaZero:
    """A policy and a value from one network; moves are those that a search by both visited most.

    Args:
        config: see ``AlphaZeroConfig``; its environment says what the rules are.
        observation_space: positions.
        action_space: moves.
        seeds: one integer a seed.
        device: where the parameters live.

    Raises:
        ValueError: the environment is no board game.
    """

    acts_with = ("network",)
    compilable: tuple[str, ...] = ()  # the walk down a tree looks at where it ends

    def __init__(
        self,
        config: AlphaZeroConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.board = config, find_board(config.env, "alphazero")
        assert isinstance(observation_space, Box)

        def network() -> nn.Module:
            body, features = encoder(
                observation_space, config.encoder, config.hidden, precision=config.encoder_precision
            )
            return nn.Sequential(body, nn.Linear(features, self.board.actions + 1))

        self.network = Population(network, seeds, device)
        self.extras = {"visits": TensorSpec((self.board.actions,)), "value": TensorSpec(())}
        self.optimiser = Adam(self.network.parameters, per_seed("learning_rate", config.learning_rate, seeds))
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.drawn_until_stones = int(stones(self.board.initial()).sum()) + config.temperature_moves
        views = self.board.symmetries if config.symmetries else self.board.symmetries[:1]
        self.cells, self.moves = (
            torch.tensor([list(table) for table in tables], device=device) for tables in zip(*views, strict=True)
        )

    def initial_state(self, num_envs: int) -> ActingState:
        """Nothing: a search begins anew at each move."""
        return {}

    def _judge(self, observation: Tensor, parameters: Any = None) -> tuple[Tensor, Tensor]:
        """Logits ``[S, B, A]`` and values ``[S, B]`` of observations ``[S, B, 2, H, W]``."""
        outputs = self.network(observation, parameters=parameters)
        return outputs[..., :-1], torch.tanh(outputs[..., -1])

    @torch.no_grad()
    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Moves ``[S, E]``, and beside them the share of visits that each got, and the value that the search found."""
        config, parameters = self.config, self.network.named(self.network.parameters)
        position = packed(observation)

        def evaluate(position: Position) -> tuple[Tensor, Tensor]:
            return self._judge(planes(position, self.board.shape), parameters)

        simulations, noise = config.evaluation_simulations or config.simulations, None
        if explore:
            simulations, legal = config.simulations, self.board.legal(position)
            games = torch.arange(position.shape[1], device=position.device)
            key = random.fold(random.key(self.seeds, _NOISE_STREAM, env_step).unsqueeze(1), games)
            noise = random.dirichlet(key, config.noise_concentration, legal)
        found = search(self.board, evaluate, position, simulations, config.exploration, noise, config.noise_fraction)
        action = found.visits.argmax(dim=-1)
        if explore:
            key = random.key(self.seeds, _MOVE_STREAM, env_step)
            chance = random.uniform(key, *found.visits.shape[1:])
            drawn = categorical_sample(found.visits.log() / config.temperature, chance)
            action = torch.where(stones(position).sum(dim=-1) < self.drawn_until_stones, drawn, action)
        share = found.visits / found.visits.sum(dim=-1, keepdim=True)
        return Acted(action, state, {"visits": share, "value": found.value})

    @torch.no_grad()
    def diagnose(self, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
        visits = acted.extras["visits"]
        value = acted.extras["value"]
        return Diagnostics("value: mean of the search", value, "share of visits", visits, scores_are_probabilities=True)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of gradient descent towards the visits of searches and the ends of games; metrics are ``[S]``."""
        with torch.no_grad():  # where a game was cut, it goes on as the network says
            target = batch.reward + batch.discount * self._judge(batch.next_observation)[1]
        observation, visits = self._turned(batch.observation, batch.extras["visits"])

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            logits, value = self._judge(observation, parameters)
            of_value = (value - target).square().mean(dim=1)
            of_policy = -(visits * F.log_softmax(logits, dim=-1)).sum(dim=-1).mean(dim=1)
            metrics = {
                "loss/policy": of_policy,
                "loss/value": of_value,
                "policy/entropy": categorical_entropy(logits).mean(dim=1),
                "policy/search_entropy": torch.special.entr(visits).sum(dim=-1).mean(dim=1),
            }
            decay = self.config.weight_decay * parameters.square().sum(dim=1)
            return of_policy + self.config.value_weight * of_value + decay, metrics

        scale = learning_rate_scale(self.optimiser.updates, self.config)
        return self.optimiser.minimise(loss, self.network.parameters, self.config.max_gradient_norm, scale)

    def _turned(self, observation: Tensor, visits: Tensor) -> tuple[Tensor, Tensor]:
        """Positions ``[S, B, 2, H, W]`` and the visits of moves, each in an orientation that is drawn."""
        key = random.key(self.seeds, _SYMMETRY_STREAM, self.optimiser.updates)
        view = random.integers(key, len(self.cells), observation.shape[1])
        cells = self.cells[view].unsqueeze(2).expand(-1, -1, 2, -1)
        turned = observation.flatten(-2).gather(-1, cells).view_as(observation)
        return turned, visits.gather(-1, self.moves[view])

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.parameters, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)


SPEC = AgentSpec(
    "alphazero",
    AlphaZeroConfig,
    AlphaZero,
    learns_from="replay",
    headline={"loss/policy": "policy loss", "loss/value": "value loss"},
    training_env_kwargs={"opponent": "self"},
)
