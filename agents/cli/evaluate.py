"""Evaluate a trained run: whole episodes, no exploration, confidence intervals.

rlsuite evaluate runs/NAME --episodes 100
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 100
    """Episodes of each seed."""
    checkpoint: Literal["last", "best", "previous"] = "last"
    """last: as training ended; best: each seed's best evaluation during training."""
    protocol: Literal["machado", "nature"] | None = None
    """Atari: rules of play; by default those of the training."""
    evaluation_envs: int | None = None
    """Environments of each seed; by default the run's own choice."""
    evaluation_max_env_steps: int | None = None
    """Env steps, per seed, after which the evaluation is cut; by default the run's own choice."""
    device: str | None = None
    """Device to compute on; by default the run's own."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    from agents.runs.evaluating import evaluate_run, print_report
    from agents.runs.run import open_run

    if options.episodes < 1:
        raise ValueError(f"--episodes must be positive, not {options.episodes}")
    run = open_run(options.run)
    chosen = {name: getattr(options, name) for name in ("evaluation_envs", "evaluation_max_env_steps", "device")}
    changes: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))
    print_report(
        evaluate_run(run, options.episodes, options.checkpoint, options.protocol), run.folder / "evaluation.json"
    )
    return 0
