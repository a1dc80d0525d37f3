"""The rules of board games against plain Python, and opponents against what they should know."""

import random as python_random

import numpy as np
import pytest
import torch

from envs.boards.games import ConnectFour, Game, Othello6, TicTacToe, find_board
from envs.boards.in_a_row import InARow
from envs.boards.opponents import minimax, perfect
from envs.boards.othello import Othello
from envs.core import TorchVectorEnv
from rlsuite import random
from rlsuite.board import Board, Position, packed, planes

BOARDS: dict[str, Board] = {
    "tic-tac-toe": InARow(3, 3, 3),
    "connect four": InARow(6, 7, 4, falls=True),
    "othello 6": Othello(6),
    "othello 4": Othello(4),
}
GAMES = {"tic-tac-toe": TicTacToe, "connect four": ConnectFour, "othello": Othello6}
AROUND = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


class Naive:
    """The same games cell by cell: ``own`` and ``other`` are sets of (row, column)."""

    def __init__(self, board: Board) -> None:
        self.board, (self.height, self.width) = board, board.shape
        self.is_othello = isinstance(board, Othello)
        self.falls = isinstance(board, InARow) and board.falls

    def cell(self, action: int, taken: set) -> tuple[int, int]:
        if self.falls:
            return max((row for row in range(self.height) if (row, action) not in taken), default=-1), action
        return divmod(action, self.width)

    def captured(self, cell: tuple[int, int], own: set, other: set) -> set:
        found = set()
        for down, right in AROUND:
            line, (row, column) = set(), (cell[0] + down, cell[1] + right)
            while (row, column) in other:
                line.add((row, column))
                row, column = row + down, column + right
            if (row, column) in own:
                found |= line
        return found

    def legal(self, own: set, other: set) -> list[bool]:
        free = [self.cell(a, own | other) not in own | other for a in range(self.height * self.width)]
        if self.falls:
            return [self.cell(a, own | other)[0] >= 0 for a in range(self.width)]
        if not self.is_othello:
            return free
        places = [ok and bool(self.captured(self.cell(a, set()), own, other)) for a, ok in enumerate(free)]
        return [*places, not any(places)]

    def play(self, own: set, other: set, action: int) -> tuple[set, set]:
        if self.is_othello and action == self.height * self.width:
            return other, own
        cell = self.cell(action, own | other)
        lost = self.captured(cell, own, other) if self.is_othello else set()
        return other - lost, own | lost | {cell}

    def outcome(self, own: set, other: set) -> tuple[bool, float]:
        if self.is_othello:
            over = all(self.legal(*sides)[-1] for sides in ((own, other), (other, own)))
            return over, float(np.sign(len(own) - len(other))) if over else 0.0
        length = self.board.length
        for row, column in other:
            for down, right in AROUND:
                if all((row + k * down, column + k * right) in other for k in range(length)):
                    return True, -1.0
        return len(own | other) == self.height * self.width, 0.0


def cells(position: Position, board: Board) -> tuple[set, set]:
    pictures = planes(position, board.shape).numpy()
    return tuple({(int(row), int(column)) for row, column in np.argwhere(side)} for side in pictures)


@pytest.mark.parametrize("name", BOARDS)
def test_games_by_chance_are_those_of_plain_rules(name: str) -> None:
    board, draw = BOARDS[name], python_random.Random(0)
    naive, games = Naive(board), 6
    position = board.initial(games)
    going_on, most = list(range(games)), 0
    while going_on:
        legal, (over, value) = board.legal(position), board.outcome(position)
        action = torch.zeros(games, dtype=torch.int64)
        for game in list(going_on):
            own, other = cells(position[game], board)
            assert (bool(over[game]), float(value[game])) == naive.outcome(own, other)
            if over[game]:
                going_on.remove(game)
                continue
            assert legal[game].tolist() == naive.legal(own, other)
            action[game] = draw.choice(legal[game].nonzero().flatten().tolist())
        following = board.play(position, action)
        for game in going_on:
            assert cells(following[game], board) == naive.play(*cells(position[game], board), int(action[game]))
        position, most = following, most + 1
    assert most - 1 <= board.max_moves


@pytest.mark.parametrize("name", BOARDS)
def test_turned_boards_have_turned_moves_and_the_same_ends(name: str) -> None:
    board = BOARDS[name]
    position = board.initial(64)
    for step in range(6):
        chance = random.uniform(random.key(torch.arange(64), step), board.actions)
        position = board.play(position, torch.where(board.legal(position), chance, -1.0).argmax(dim=1))

    def turned(position: Position, cells: list[int]) -> Position:
        return packed(planes(position, board.shape).flatten(-2)[..., cells].unflatten(-1, board.shape))

    assert board.symmetries[0].cells == list(range(board.shape[0] * board.shape[1]))
    for view in board.symmetries:
        seen = turned(position, list(view.cells))
        assert torch.equal(board.legal(seen), board.legal(position)[:, list(view.actions)])
        assert torch.equal(board.outcome(seen)[1], board.outcome(position)[1])
        torch.testing.assert_close(board.estimate(seen), board.estimate(position))
    assert len({tuple(view.cells) for view in board.symmetries}) == (2 if name == "connect four" else 8)


def test_perfect_play_of_tic_tac_toe_is_a_draw_and_punishes_mistakes() -> None:
    board = InARow(3, 3, 3)
    scores = perfect(board)
    assert scores(board.initial(1)).tolist() == [[0.0] * 9]
    # After a stone in a corner only the middle holds the draw.
    answer = scores(board.play(board.initial(1), torch.tensor([0])))[0]
    assert answer[4] == 0.0 and (answer[[1, 2, 3, 5, 6, 7, 8]] < 0).all() and answer[0] == -torch.inf
    with pytest.raises(ValueError, match="too many positions to be solved"):
        perfect(InARow(6, 7, 4, falls=True))


def test_minimax_is_exact_as_far_as_it_looks() -> None:
    board = InARow(3, 3, 3)
    position = board.initial(100)
    for step in range(6):
        chance = random.uniform(random.key(torch.arange(100), step), 9)
        position = board.play(position, torch.where(board.legal(position), chance, -1.0).argmax(dim=1))
    position = position[~board.outcome(position)[0]]
    torch.testing.assert_close(minimax(board, 3)(position), perfect(board)(position))


def test_minimax_of_connect_four_wins_blocks_and_sees_a_double_threat() -> None:
    board = InARow(6, 7, 4, falls=True)

    def after(*moves: int) -> Position:
        position = board.initial(1)
        for move in moves:
            position = board.play(position, torch.tensor([move]))
        return position

    look = minimax(board, 4)
    assert look(after(3, 0, 3, 0, 3, 0)).argmax() == 3  # wins, although the other side threatens too
    assert look(after(0, 3, 0, 3, 6, 3)).argmax() == 3  # keeps the other side from winning
    assert look(after(2, 2, 3, 3)).argmax() in (1, 4)  # two stones in the lowest row, free on both sides
    assert minimax(board, 1)(after(6, 2, 6, 2, 6, 2))[0].argmax() == 6


@pytest.mark.parametrize("opponent", ["random", "minimax", "self"])
@pytest.mark.parametrize("name", GAMES)
def test_games_as_environments_say_who_wins(name: str, opponent: str) -> None:
    game: Game = GAMES[name](opponent=opponent, depth=1)
    key = random.key(torch.arange(32))
    state = game.initial(key)
    begun = state["dark"].float().mean()
    assert begun == 1.0 if opponent == "self" else 0.2 < begun < 0.8
    ended, total = torch.zeros(32, dtype=torch.bool), torch.zeros(32)
    for step in range(game.max_episode_steps):
        seen = packed(game.observe(state))
        assert torch.equal(seen, state["position"])
        chance = random.uniform(random.fold(key, 7, step), game.board.actions)
        action = torch.where(game.board.legal(seen), chance, -1.0).argmax(dim=1)
        previous, (state, reward, terminated) = state, game.transition(state, action, random.fold(key, step))
        assert not (reward[~terminated & ~ended] != 0).any()
        if opponent == "self":
            over, value = game.board.outcome(game.board.play(previous["position"], action))
            assert torch.equal(terminated, over) and torch.equal(reward, -value)
            assert (state["dark"] != previous["dark"]).all()
        total += torch.where(ended, 0.0, reward)
        ended |= terminated
        if ended.all():
            break
    assert ended.all() and total.abs().max() == 1.0
    if opponent == "minimax":
        assert total.mean() < -0.2


def test_the_opponents_second_move_does_not_follow_from_its_opening() -> None:
    vector = TorchVectorEnv(ConnectFour("random"), 1000)
    before = vector.reset(seed=0)[0][:, 1].sum(dim=1)
    column = before.argmax(dim=1)
    after = vector.step((column + 1) % 7)[0][:, 1].sum(dim=1)
    same = (after - before).argmax(dim=1) == column
    assert 0.05 < same[before.any(dim=1)].float().mean() < 0.25  # a seventh


@pytest.mark.parametrize("opponent", ["random", "self"])
def test_a_move_that_is_not_legal_loses_at_once(opponent: str) -> None:
    game = ConnectFour(opponent=opponent)
    position = game.board.initial(1)
    for _ in range(6):
        position = game.board.play(position, torch.tensor([2]))
    state = {"position": position, "dark": torch.tensor([True])}
    following, reward, terminated = game.transition(state, torch.tensor([2]), torch.tensor([5]))
    assert (float(reward), bool(terminated)) == (-1.0, True)
    assert torch.equal(following["position"], position.flip(-1))  # no stone came


def test_what_is_no_opponent_or_no_board_is_named() -> None:
    with pytest.raises(ValueError, match="the opponent is one of random, minimax, self, not 'perfect'"):
        ConnectFour(opponent="perfect")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depth must be a positive number of moves, not 0"):
        ConnectFour(opponent="minimax", depth=0)
    with pytest.raises(ValueError, match="minimax of depth 40 would not end: on this board the depth is at most 7"):
        ConnectFour(opponent="minimax", depth=40)
    with pytest.raises(ValueError, match="the size must be 4 or 6, not 8"):
        Othello(8)
    assert find_board("rlsuite/TicTacToe-v0", "x").shape == (3, 3)
    named = "x is for board games, and CartPole-v1 is none: there are rlsuite/ConnectFour-v0, rlsuite/Othello6-v0, rlsu"
    with pytest.raises(ValueError, match=named):
        find_board("CartPole-v1", "x")


@pytest.mark.parametrize("name", ["tictactoe_v3", "connect_four_v3"])
def test_games_are_those_of_pettingzoo(name: str) -> None:
    classic = pytest.importorskip(f"pettingzoo.classic.{name}")
    board: Board = BOARDS["tic-tac-toe" if name == "tictactoe_v3" else "connect four"]
    turn = np.transpose if name == "tictactoe_v3" else np.asarray  # there cells are counted column by column
    draw = python_random.Random(1)
    for _ in range(8):
        other = classic.raw_env()
        other.reset()
        position = board.initial()
        while not any(other.terminations.values()):
            seen = other.observe(other.agent_selection)
            pictures = planes(position, board.shape).numpy()
            np.testing.assert_array_equal(np.moveaxis(seen["observation"], -1, 0), [turn(side) for side in pictures])
            assert not board.outcome(position)[0]
            legal = board.legal(position)
            order = legal.view(3, 3).T.flatten() if name == "tictactoe_v3" else legal
            np.testing.assert_array_equal(seen["action_mask"], order)
            action = draw.choice(legal.nonzero().flatten().tolist())
            mover = other.agent_selection
            other.step(action // 3 + action % 3 * 3 if name == "tictactoe_v3" else action)
            position = board.play(position, torch.tensor(action))
        over, value = board.outcome(position)
        assert over and other.rewards[mover] == -value
