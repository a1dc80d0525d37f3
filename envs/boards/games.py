"""Board games as environments: the agent against an opponent, or against itself."""

from typing import Literal, get_args

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.boards.in_a_row import InARow
from envs.boards.opponents import Opponent, any_move, choose, minimax, perfect
from envs.boards.othello import Othello
from envs.core import State
from envs.lookup import find_spec, is_board_game
from envs.registration import make_dynamics
from rlsuite import random
from rlsuite.board import Board, planes

OpponentName = Literal["random", "minimax", "self"]
_OPENING = 1 << 40  # beyond all numbers of steps, with which the keys of steps are folded
_CELL = 48  # pixels
_BOARD_COLOUR, _GRID, _DARK, _LIGHT = (30, 70, 60), (18, 40, 36), (86, 180, 233), (230, 159, 0)


class Game:
    """Reward 1 for a win, 0 for a draw and -1 for a loss, at the end of a game; a move that is not legal loses at once.

    An opponent answers each move, and begins half of the games. With ``self`` nobody answers: the next move is the
    other side's, and a reward is that of the side which has moved.

    State: ``position`` int64 ``[N, 2]`` (the side to move first) and ``dark`` (whether that is the side which began).
    Observation: the stones of the side to move, and those of the other, uint8 ``[2, H, W]`` of 0 and 1.

    Args:
        board: the rules.
        opponent: ``random`` plays any move, ``minimax`` looks ahead; see ``envs.boards.opponents``.
        depth: moves that minimax looks ahead, its own included; by default ``usual_depth``.
        usual_depth: None for a minimax that knows the whole game.

    Raises:
        ValueError: no such opponent or depth.
    """

    render_fps = 1
    is_random = True

    def __init__(
        self, board: Board, opponent: OpponentName = "random", depth: int | None = None, usual_depth: int | None = 2
    ) -> None:
        if opponent not in get_args(OpponentName):
            raise ValueError(f"the opponent is one of {', '.join(get_args(OpponentName))}, not {opponent!r}")
        depth = depth if depth is not None else usual_depth
        if depth is not None and (not isinstance(depth, int) or depth < 1):
            raise ValueError(f"depth must be a positive number of moves, not {depth!r}")
        self.board = board
        self.observation_space = Box(0, 1, (2, *board.shape), np.uint8)
        self.action_space = Discrete(board.actions)
        self.max_episode_steps = board.max_moves
        self.opponent = _opponent(board, opponent, depth)
        self._opening = None if self.opponent is None else self.opponent(board.initial(1))

    def initial(self, key: Tensor) -> State:
        beginning = self.board.initial(len(key)).to(key.device)
        if self.opponent is None or self._opening is None:
            return {"position": beginning, "dark": torch.ones_like(key, dtype=torch.bool)}
        dark = random.integers(key, 2) == 0
        opening = choose(self._opening.to(key.device).expand(len(key), -1), random.fold(key, _OPENING))
        opened = self.board.play(beginning, opening)
        return {"position": torch.where(dark.unsqueeze(-1), beginning, opened), "dark": dark}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        position, dark = state["position"], state["dark"]
        legal = self.board.legal(position).gather(-1, action.unsqueeze(-1)).squeeze(-1)
        after = torch.where(legal.unsqueeze(-1), self.board.play(position, action), position.flip(-1))
        over, value = self.board.outcome(after)
        reward, over, dark = torch.where(legal, -value, -1.0), over | ~legal, ~dark
        if self.opponent is not None:
            answered = self.board.play(after, choose(self.opponent(after), key))
            lost_or_over, worth = self.board.outcome(answered)
            after = torch.where(over.unsqueeze(-1), after, answered)
            reward, dark, over = torch.where(over, reward, worth), torch.where(over, dark, ~dark), over | lost_or_over
        return {"position": after, "dark": dark}, reward, over

    def observe(self, state: State) -> Tensor:
        return planes(state["position"], self.board.shape)

    def render(self, state: State) -> np.ndarray:
        """The board from above; the side that began has the blue stones."""
        mine, theirs = self.observe(state).numpy().astype(bool)
        dark, light = (mine, theirs) if state["dark"] else (theirs, mine)
        colours = np.full((*self.board.shape, 3), _GRID, np.uint8)
        colours[dark], colours[light] = _DARK, _LIGHT
        offset = np.arange(_CELL) - (_CELL - 1) / 2
        disc = np.hypot(offset[:, None], offset) < 0.42 * _CELL
        picture = np.full((*self.board.shape, _CELL, _CELL, 3), _BOARD_COLOUR, np.uint8)
        picture[:, :, disc] = colours[:, :, None]
        height, width = self.board.shape
        return picture.transpose(0, 2, 1, 3, 4).reshape(height * _CELL, width * _CELL, 3)


class TicTacToe(Game):
    """Three in a row on 3 x 3; minimax knows the whole game."""

    def __init__(self, opponent: OpponentName = "random", depth: int | None = None) -> None:
        super().__init__(InARow(3, 3, 3), opponent, depth, usual_depth=None)


class ConnectFour(Game):
    """Four in a row on 6 x 7, where stones fall; actions are columns. Minimax looks four moves ahead."""

    def __init__(self, opponent: OpponentName = "random", depth: int | None = None) -> None:
        super().__init__(InARow(6, 7, 4, falls=True), opponent, depth, usual_depth=4)


class Othello6(Game):
    """Othello on 6 x 6; the last action passes, and is legal where no other is. Minimax looks two moves ahead."""

    def __init__(self, opponent: OpponentName = "random", depth: int | None = None) -> None:
        super().__init__(Othello(6), opponent, depth, usual_depth=2)


def _opponent(board: Board, name: OpponentName, depth: int | None) -> Opponent | None:
    match name:
        case "random":
            return any_move(board)
        case "minimax":
            return perfect(board) if depth is None else minimax(board, depth)
    return None


def make_opponent(env_id: str, name: str) -> Opponent:
    """An opponent as the environment has it.

    Raises:
        ValueError: there is no such environment, or it has no such opponent.
    """
    made = make_dynamics(find_spec(env_id).kwargs["dynamics"], {"opponent": name})
    if made.opponent is None:
        raise ValueError(f"{name!r} is nobody to play against")
    return made.opponent


def find_board(env_id: str, user: str) -> Board:
    """The rules of an environment that is a board game.

    Raises:
        ValueError: it is none; ``user`` says for whom it should be.
    """
    if not is_board_game(env_id):
        games = sorted(name for name, spec in gymnasium.registry.items() if is_board_game(spec))
        raise ValueError(f"{user} is for board games, and {env_id} is none: there are {', '.join(games)}")
    made: Game = make_dynamics(find_spec(env_id).kwargs["dynamics"], {})
    return made.board
