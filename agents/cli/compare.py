"""Compare runs: their learning curves as IQM over seeds with 95 % bootstrap bands, and a table.

rlsuite compare runs/A runs/B --out figure.png
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the runs."""
    out: Path = Path("comparison.png")
    """Picture to write, .png or .pdf."""
    metric: str = "evaluation/score"
    """Metric to draw, by its name in metrics.jsonl."""
    profile: Path | None = None
    """Picture of performance profiles too: the share of seeds above each score, at the last env step that all runs
    were evaluated at."""
    split: Literal["runs", "settings", "seeds"] = "runs"
    """A curve for each run, for each setting of its seeds (such as their learning rate), or for each seed."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    from agents.runs.comparing import compare

    if not options.runs:
        raise ValueError("name at least one run folder")
    compare(options.runs, options.out, options.metric, options.split, options.profile)
    return 0
