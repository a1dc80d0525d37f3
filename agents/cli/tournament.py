"""Let agents play board games against each other, their earlier selves and minimax, and rate them (Elo).

rlsuite tournament runs/A runs/B --games 40
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the runs; each plays by its best checkpoint and by those that --keep-evaluated kept."""
    games: int = 40
    """Games of each pair, half of them from either side."""
    opponents: tuple[Literal["random", "minimax"], ...] = ("random", "minimax")
    """Further players, as the environment's opponents do."""
    opening: int = 2
    """Moves by chance at the start of each game, so that games differ."""
    out: Path = Path("tournament.json")
    """File to write the report to."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    if not options.runs:
        raise ValueError("name at least one run folder")
    if options.games < 1 or options.opening < 0:
        raise ValueError("--games must be positive, and --opening not negative")
    if len({folder.resolve() for folder in options.runs}) < len(options.runs):
        raise ValueError("name each run once")
    if len(set(options.opponents)) < len(options.opponents):
        raise ValueError("name each of --opponents once")
    options.out.parent.mkdir(parents=True, exist_ok=True)  # before the games, not after them
    from agents.runs.run import open_run
    from agents.runs.tournament import print_report, tournament

    runs = [open_run(folder) for folder in options.runs]
    print_report(tournament(runs, options.games, options.opponents, options.opening), options.out)
    return 0
