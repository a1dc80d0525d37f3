"""Opponents that need no learning: each gives the moves of positions a score, and plays one of the best by chance."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.board import Board, Position

Opponent = Callable[[Position], Tensor]
"""Positions ``[N, 2]`` to scores float32 ``[N, A]``, minus infinity where a move is not legal. Can be pickled."""

_NOT_LEGAL = float("-inf")
_LATER = 0.99  # weight of what is won or lost a move later, so that wins are sought soon and losses put off
_MOST_CELLS = 10  # of a board that is solved by counting back from all its ends
_MOST_POSITIONS = 2_000_000  # that minimax looks at for a move: they are in memory at once


def choose(scores: Tensor, key: Tensor) -> Tensor:
    """One of the best moves ``[N]``, each as likely as the others, by keys ``[N]``."""
    best = scores == scores.amax(dim=-1, keepdim=True)
    return torch.where(best, random.uniform(key, scores.shape[-1]), -1.0).argmax(dim=-1)


def any_move(board: Board) -> Opponent:
    """Plays all moves alike."""
    return partial(_any_move, board)


def _any_move(board: Board, position: Position) -> Tensor:
    return torch.where(board.legal(position), 0.0, _NOT_LEGAL)


def minimax(board: Board, depth: int) -> Opponent:
    """Looks ``depth`` moves ahead, its own included, and judges what stands then by ``board.estimate``.

    All moves are looked at as one batch, ``A ** depth`` positions for each that is asked for; no branch is cut, which
    changes nothing of what is found.

    Raises:
        ValueError: these are too many.
    """
    most = int(math.log(_MOST_POSITIONS, board.actions))
    if depth > most:
        raise ValueError(f"minimax of depth {depth} would not end: on this board the depth is at most {most}")
    return partial(_minimax, board, depth)


def _minimax(board: Board, depth: int, position: Position) -> Tensor:
    following = _all_moves(board, position)
    over, value = board.outcome(following)
    if depth > 1:
        best = _minimax(board, depth - 1, following.flatten(0, 1)).amax(dim=-1).view_as(value)
    else:
        best = board.estimate(following)
    worth = -torch.where(over, value, _LATER * best)
    return torch.where(board.legal(position), worth, _NOT_LEGAL)


def perfect(board: Board) -> Opponent:
    """Knows what every position is worth, by counting back from the ends of all games.

    Raises:
        ValueError: the board has too many positions.
    """
    return partial(_perfect, board, _solution(board))


def _perfect(board: Board, table: Tensor, position: Position) -> Tensor:
    worth = -table.to(position.device)[_number(board, _all_moves(board, position))]
    return torch.where(board.legal(position), worth, _NOT_LEGAL)


def _all_moves(board: Board, position: Position) -> Position:
    """The positions after each move ``[N, A, 2]``."""
    action = torch.arange(board.actions, device=position.device).expand(len(position), -1)
    return board.play(position.unsqueeze(1).expand(-1, board.actions, -1), action)


def _number(board: Board, position: Position) -> Tensor:
    """A number for each position."""
    mine, theirs = position.unbind(dim=-1)
    return mine | theirs << board.shape[0] * board.shape[1]


def _solution(board: Board) -> Tensor:
    """The worth of every position to the side to move, float32, by its number; 0 for what no game comes to."""
    cells = board.shape[0] * board.shape[1]
    if cells > _MOST_CELLS:
        raise ValueError(f"a board of {cells} cells has too many positions to be solved: give a depth")
    table = torch.zeros(4**cells)
    ply, plies = board.initial(1), []
    while len(ply):
        plies.append(ply)
        going_on = ply[~board.outcome(ply)[0]]
        ply = _all_moves(board, going_on)[board.legal(going_on)].unique(dim=0)
    for ply in reversed(plies):
        over, value = board.outcome(ply)
        following = -_LATER * table[_number(board, _all_moves(board, ply))]
        best = torch.where(board.legal(ply), following, _NOT_LEGAL).amax(dim=-1)
        table[_number(board, ply)] = torch.where(over, value, best)
    return table
