"""The search of many trees against one tree in plain Python, and against what can be counted by hand."""

import math

import pytest
import torch

from envs.boards.in_a_row import InARow
from envs.boards.othello import Othello
from rlsuite import random
from rlsuite.board import Board, Position
from rlsuite.tree_search import search


def judged(board: Board, position: Position) -> tuple[torch.Tensor, torch.Tensor]:
    """A network without sense: logits and values that depend on the position alone."""
    key = random.key(position[..., 0], 1)
    key = random.fold(key, position[..., 1])
    return 2 * random.normal(key, board.actions), 2 * random.uniform(random.fold(key, 2), 1).squeeze(-1) - 1


class Node:
    """One tree, node by node (Silver et al., 2018)."""

    def __init__(self, board: Board, position: Position, noise: list[float] | None = None, fraction: float = 0) -> None:
        self.board, self.position = board, position
        over, outcome = board.outcome(position)
        logits, value = judged(board, position)
        self.is_over, self.value = bool(over), float(outcome if over else value)
        self.moves = [] if over else board.legal(position).nonzero().flatten().tolist()
        prior = logits[self.moves].softmax(0).tolist() if self.moves else []
        if noise is not None:
            prior = [(1 - fraction) * p + fraction * noise[move] for p, move in zip(prior, self.moves, strict=True)]
        self.prior = dict(zip(self.moves, prior, strict=True))
        self.visits, self.total = dict.fromkeys(self.moves, 0), dict.fromkeys(self.moves, 0.0)
        self.children: dict[int, Node] = {}

    def simulate(self, exploration: float) -> float:
        """One more walk down; the value that it brings to the side to move here."""

        def promise(move: int) -> float:
            wide = math.sqrt(1 + sum(self.visits.values())) / (1 + self.visits[move])
            return self.total[move] / max(1, self.visits[move]) + exploration * self.prior[move] * wide

        if self.is_over:
            return self.value
        move = max(self.moves, key=promise)
        if move in self.children:
            value = -self.children[move].simulate(exploration)
        else:
            self.children[move] = Node(self.board, self.board.play(self.position, torch.tensor(move)))
            value = -self.children[move].value
        self.visits[move] += 1
        self.total[move] += value
        return value


def begun(board: Board, seeds: int, games: int, moves: int) -> Position:
    position = board.initial(seeds, games)
    for step in range(moves):
        key = random.key(torch.arange(seeds * games).view(seeds, games), step)
        legal = board.legal(position)
        position = board.play(position, torch.where(legal, random.uniform(key, board.actions), -1.0).argmax(dim=-1))
    return position


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize(
    ("board", "moves", "simulations"),
    [(InARow(3, 3, 3), 4, 40), (InARow(6, 7, 4, falls=True), 8, 20), (Othello(4), 5, 20)],
    ids=["tic-tac-toe", "connect four", "othello"],
)
def test_many_trees_grow_as_each_would_alone(board: Board, moves: int, simulations: int, noisy: bool) -> None:
    seeds, games = 2, 2
    position = begun(board, seeds, games, moves)
    assert not board.outcome(position)[0].any()
    noise = None
    if noisy:
        noise = random.dirichlet(random.key(torch.arange(4).view(2, 2)), 0.5, board.legal(position))
    found = search(board, lambda leaf: judged(board, leaf), position, simulations, 1.3, noise, 0.4)
    for seed in range(seeds):
        for game in range(games):
            alone = None if noise is None else noise[seed, game].tolist()
            root = Node(board, position[seed, game], alone, 0.4)
            for _ in range(simulations):
                root.simulate(1.3)
            visits = [float(root.visits.get(move, 0)) for move in range(board.actions)]
            assert found.visits[seed, game].tolist() == visits
            value = sum(root.total.values()) / simulations
            assert float(found.value[seed, game]) == pytest.approx(value, abs=1e-5)


def flat(board: Board, position: Position) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(*position.shape[:-1], board.actions), torch.zeros(position.shape[:-1])


def test_three_simulations_by_hand() -> None:
    # X to move: X holds 0, 1; O holds 3, 4. Moves 2, 5, 6, 7, 8, each of prior 1/5; move 2 wins.
    board = InARow(3, 3, 3)
    position = torch.tensor([[[0b000000011, 0b000011000]]])
    one = search(board, lambda leaf: flat(board, leaf), position, 1, 1.0)
    assert one.visits.tolist() == [[[0, 0, 1, 0, 0, 0, 0, 0, 0]]] and one.value.item() == 1.0
    # Its value 1 outweighs sqrt(2) / 5, and the game is over there: it is never looked behind, and won each time.
    three = search(board, lambda leaf: flat(board, leaf), position, 3, 1.0)
    assert three.visits.tolist() == [[[0, 0, 3, 0, 0, 0, 0, 0, 0]]] and three.value.item() == 1.0


def test_a_search_finds_the_only_move_that_does_not_lose() -> None:
    board = InARow(3, 3, 3)
    position = torch.tensor([[[0b000010000, 0b000000011]]])  # the other side threatens to complete the first row
    found = search(board, lambda leaf: flat(board, leaf), position, 200, 1.5)
    assert found.visits.argmax() == 2 and found.visits.sum() == 200
    taken = torch.tensor([0, 1, 4])
    assert (found.visits[0, 0, taken] == 0).all()


def test_noise_makes_a_search_look_where_the_policy_does_not() -> None:
    board = InARow(6, 7, 4, falls=True)
    sure = torch.tensor([50.0, 0, 0, 0, 0, 0, 0])

    def judge(leaf: Position) -> tuple[torch.Tensor, torch.Tensor]:
        return sure.expand(*leaf.shape[:-1], -1), torch.zeros(leaf.shape[:-1])

    noise = torch.tensor([[[0, 0, 0, 0, 0, 0, 1.0]]])
    assert search(board, judge, board.initial(1, 1), 20, 1.0).visits[0, 0].tolist() == [20, 0, 0, 0, 0, 0, 0]
    visits = search(board, judge, board.initial(1, 1), 20, 1.0, noise, 0.25).visits[0, 0].tolist()
    assert visits[0] > visits[6] > 0 and sum(visits[1:6]) == 0
