"""A person plays a board game against the agent of a run, in the terminal."""

from collections.abc import Callable

import torch

from agents.runs.run import Run, load_agent, row_of
from agents.runs.viewer import diagnostics
from envs.action_names import moves_of
from envs.boards.games import find_board
from rlsuite.agent import ActingState
from rlsuite.board import Board, Position, planes
from rlsuite.tracking.text import number_text

_YOURS, _ITS = "X", "O"


def play(
    run: Run,
    *,
    games: int = 1,
    checkpoint: str = "best",
    seed: int | None = None,
    ask: Callable[[str], str] = input,
    show: Callable[[str], None] = print,
) -> None:
    """Play ``games`` games, the first of which the person begins, the next the agent, and so on.

    Args:
        ask: for a line of text; at the end of the file the game is given up.

    Raises:
        ValueError: it is no board game, or the run has no such seed.
    """
    board = find_board(run.config.env, "--play")
    seed = run.seeds[row_of(run, seed)]
    agent, names = load_agent(run, checkpoint, seed), moves_of(run.config.env)
    show(f"You are {_YOURS}, {run.agent_name} is {_ITS}. Moves: {', '.join(names)}; q gives up.")
    for game in range(games):
        position, is_yours, state = board.initial(), game % 2 == 0, agent.initial_state(1)
        began = torch.ones(1, 1, dtype=torch.bool, device=run.device)
        while not bool(board.outcome(position)[0]):
            if is_yours:
                show(drawn(board, position))
                try:
                    move = _asked(board, position, names, ask, show)
                except EOFError:
                    show("given up")
                    return
            else:
                seen = planes(position, board.shape).to(run.device)[None, None]
                move, state = _agent_move(agent, seen, state, began, names, show)
                began.fill_(False)
                if not board.legal(position)[move]:
                    show(f"{names[move]} is not legal: you have won")
                    break
            position, is_yours = board.play(position, torch.tensor(move)), not is_yours
        else:
            show(drawn(board, position if is_yours else position.flip(-1)))
            value = float(board.outcome(position)[1]) * (1 if is_yours else -1)
            show("You have won." if value > 0 else f"{run.agent_name} has won." if value < 0 else "A draw.")


def drawn(board: Board, position: Position) -> str:
    """A position as text, as the person to move sees it."""
    yours, its = planes(position, board.shape).bool().tolist()
    height, width = board.shape
    lines = [
        f"{row + 1:>2} " + " ".join(_YOURS if yours[row][c] else _ITS if its[row][c] else "." for c in range(width))
        for row in range(height)
    ]
    return "\n".join([*lines, "   " + " ".join("abcdefgh"[:width])])


def _asked(
    board: Board, position: Position, names: tuple[str, ...], ask: Callable[[str], str], show: Callable[[str], None]
) -> int:
    """The person's move.

    Raises:
        EOFError: the person has given up.
    """
    legal = board.legal(position).tolist()
    able = [name for name, ok in zip(names, legal, strict=True) if ok]
    while True:
        typed = ask("your move: ").strip().lower()
        if typed == "q":
            raise EOFError
        if typed in able:
            return names.index(typed)
        show(f"{typed!r} is no move here: there are {', '.join(able)}")


def _agent_move(
    agent: object,
    seen: torch.Tensor,
    state: ActingState,
    began: torch.Tensor,
    names: tuple[str, ...],
    show: Callable[[str], None],
) -> tuple[int, ActingState]:
    """The agent's move, of which it says what it thinks."""
    clock = torch.zeros((), dtype=torch.int64, device=seen.device)
    acted = agent.act(seen, state, began, clock, explore=False)  # type: ignore[attr-defined]
    thoughts = diagnostics(agent, seen, state, acted)
    move = int(acted.action)
    told = f"{_ITS} plays {names[move]}"
    if thoughts.value is not None:
        told += f"; {thoughts.value_name} {number_text(float(thoughts.value))}"
    if thoughts.scores is not None:
        best = thoughts.scores.flatten().topk(min(4, len(names)))
        text = (lambda share: f"{100 * share:.0f} %") if thoughts.scores_are_probabilities else number_text
        named = (f"{names[int(number)]} {text(float(score))}" for score, number in zip(*best, strict=True))
        told += f"; {thoughts.score_name} {', '.join(named)}"
    show(told)
    return move, acted.state
