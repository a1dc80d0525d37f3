"""Evaluate a trained run: whole episodes, no exploration, confidence intervals.

rlsuite evaluate runs/NAME --episodes 100
rlsuite evaluate runs/NAME --baselines
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.cli import command
from agents.options import Keywords


@dataclasses.dataclass(frozen=True)
class Options:
    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int | None = None
    """Episodes of each seed; by default 100, or 10,000 beside baselines."""
    baselines: bool = False
    """Play the same episodes by the reference policies of the environment too, where it has such."""
    checkpoint: Literal["last", "best", "previous"] = "last"
    """last: as training ended; best: each seed's best evaluation during training."""
    protocol: Literal["machado", "nature"] | None = None
    """Atari: rules of play; by default those of the training."""
    env_kwargs: Keywords = dataclasses.field(default_factory=dict)
    """Arguments of the environment's maker that differ from the run's, such as split=test."""
    evaluation_envs: int | None = None
    """Environments of each seed; by default the run's own choice."""
    evaluation_max_env_steps: int | None = None
    """Env steps, per seed, after which the evaluation is cut; by default the run's own choice."""
    device: str | None = None
    """Device to compute on; by default the run's own."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    from agents.runs.evaluating import evaluate_run, print_report, report_path
    from agents.runs.run import open_run
    from envs.lookup import is_atari

    episodes = options.episodes or (10_000 if options.baselines else 100)
    if options.episodes is not None and options.episodes < 1:
        raise ValueError(f"--episodes must be positive, not {options.episodes}")
    run = open_run(options.run)
    if options.protocol is not None and not is_atari(run.config.env):
        raise ValueError(f"--protocol is for Atari's games, and {run.config.env} is none")
    names = ("evaluation_envs", "evaluation_max_env_steps", "device", "protocol")
    chosen = {name: getattr(options, name) for name in names}
    changes: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    changes["env_kwargs"] = run.config.env_kwargs | options.env_kwargs
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))
    if options.baselines:
        from agents.runs.baselines import beside_baselines

        beside_baselines(run, episodes, options.checkpoint)
        return 0
    print_report(evaluate_run(run, episodes, options.checkpoint), report_path(run))
    return 0
