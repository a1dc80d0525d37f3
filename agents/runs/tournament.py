"""Games between agents, their earlier selves and opponents that need no learning, and the Elo ratings they lead to."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from agents.runs.run import Run, load_agent
from envs.boards.games import find_board, make_opponent
from envs.boards.opponents import choose
from rlsuite import random
from rlsuite.board import Board, Position, planes
from rlsuite.tracking.elo import ratings
from rlsuite.tracking.notices import say

_OPENING_STREAM, _OPPONENT_STREAM = 58, 59

Move = Callable[[Position, int], Tensor]
"""Moves ``[G]`` of G games in the positions ``[G, 2]``, of which some may be over, and in which so many were played."""


@dataclass(frozen=True)
class Player:
    """Somebody who plays: ``begin`` gives what moves in games that begin, whose memory it keeps."""

    name: str
    begin: Callable[[int], Move]


def tournament(
    runs: Sequence[Run], games: int, opponents: Sequence[str] = ("random", "minimax"), opening: int = 2
) -> dict[str, Any]:
    """Let everybody play ``games`` games against everybody else; returns the report.

    Runs play by their best checkpoint and by those that they kept (``--keep-evaluated``), each by its first seed. Games
    begin with ``opening`` moves by chance, and each beginning is played from both sides.

    Raises:
        ValueError: runs are of different environments, or of one that is no board game; or there is only one player.
    """
    names = {run.config.env for run in runs}
    if len(names) > 1:
        raise ValueError(f"these runs are of different environments, {', '.join(sorted(names))}: they cannot play")
    env_id = names.pop()
    board = find_board(env_id, "tournament")
    players = [_opponent(env_id, board, name) for name in opponents]
    for run in runs:
        players += [_agent(run, board, checkpoint) for checkpoint in [*run.checkpoints.kept, "best"]]
    if len(players) < 2:
        raise ValueError(f"{players[0].name} has nobody to play against: name --opponents, or more runs")
    won = np.zeros((len(players), len(players)), np.int64)
    drawn = np.zeros_like(won)
    for first, second in itertools.combinations(range(len(players)), 2):
        result = play(board, (players[first], players[second]), -(-games // 2), opening)
        won[first, second], won[second, first] = (result > 0).sum(), (result < 0).sum()
        drawn[first, second] = drawn[second, first] = (result == 0).sum()
        text = f"{won[first, second]} won, {drawn[first, second]} drawn, {won[second, first]} lost"
        say(f"{players[first].name} against {players[second].name}: {text}")
    elo = ratings(won, drawn)
    listed = [
        {"player": player.name, "elo": float(elo.rating[k]), "ci95": [float(elo.low[k]), float(elo.high[k])]}
        for k, player in enumerate(players)
    ]
    return {
        "env": env_id,
        "games_a_pair": 2 * -(-games // 2),
        "players": listed,
        "won": won.tolist(),
        "drawn": drawn.tolist(),
    }


@torch.no_grad()
def play(board: Board, players: tuple[Player, Player], pairs: int, opening: int, seed: int = 0) -> np.ndarray:
    """Play two games from each of ``pairs`` beginnings; what each was worth to the first player, ``[2 pairs]``."""
    beginning = _beginnings(board, pairs, opening, seed)
    # In the games of the first half the first player begins, in the others the second.
    position = torch.stack([beginning, beginning])
    over = board.outcome(position)[0]
    worth = torch.zeros(2, pairs)
    moves = [[player.begin(pairs) for _ in range(2)] for player in players]
    for ply in range(board.max_moves):
        if bool(over.all()):
            break
        for number, own in enumerate(moves):
            half = (ply + number) % 2
            following = board.play(position[half], own[half](position[half], ply))
            ended, value = board.outcome(following)
            # The value is that of the side that moves next.
            sign = -1.0 if number == 0 else 1.0
            worth[half] = torch.where(over[half], worth[half], sign * value)
            position[half] = torch.where(over[half].unsqueeze(-1), position[half], following)
            over[half] |= ended
    return worth.flatten().numpy()


def _beginnings(board: Board, pairs: int, opening: int, seed: int) -> Position:
    """Positions ``[pairs, 2]`` after moves by chance; those whose games are over begin anew."""
    position = board.initial(pairs)
    key = random.key(torch.tensor(seed), _OPENING_STREAM, torch.arange(pairs))
    for move in range(opening):
        legal = torch.where(board.legal(position), 0.0, float("-inf"))
        position = board.play(position, choose(legal, random.fold(key, move)))
    return torch.where(board.outcome(position)[0].unsqueeze(-1), board.initial(pairs), position)


def _opponent(env_id: str, board: Board, name: str) -> Player:
    scores = make_opponent(env_id, name)

    def begin(games: int) -> Move:
        key = random.key(torch.tensor(0), _OPPONENT_STREAM, torch.arange(games))
        return lambda position, ply: choose(scores(position), random.fold(key, ply))

    return Player(name, begin)


def _agent(run: Run, board: Board, checkpoint: str) -> Player:
    agent = load_agent(run, checkpoint, run.seeds[0])

    def begin(games: int) -> Move:
        state = agent.initial_state(games)
        began = torch.ones(1, games, dtype=torch.bool, device=run.device)

        def move(position: Position, ply: int) -> Tensor:
            nonlocal state
            seen = planes(position, board.shape).unsqueeze(0).to(run.device)
            acted = agent.act(seen, state, began, torch.tensor(ply, device=run.device), explore=False)
            state = acted.state
            began.fill_(False)
            action = acted.action.squeeze(0).cpu()
            legal = board.legal(position)
            # Who makes a move that is not legal here plays the first that is.
            right = legal.gather(-1, action.unsqueeze(-1)).squeeze(-1)
            return torch.where(right, action, legal.to(torch.uint8).argmax(dim=-1))

        return move

    return Player(f"{run.folder.name} {checkpoint}", begin)


def print_report(report: dict[str, Any], path: Path) -> None:
    """The ratings as a table for people; also written to ``path`` as JSON."""
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['env']}: {report['games_a_pair']} games a pair")
    table = Table("player", "Elo", "95 % interval", box=None)
    for player in sorted(report["players"], key=lambda player: -player["elo"]):
        low, high = player["ci95"]
        table.add_row(player["player"], f"{player['elo']:.0f}", f"{low:.0f} .. {high:.0f}")
    Console(highlight=False).print(table)
    print(f"written to {path}")
