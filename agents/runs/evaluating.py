"""The final judgement of a run: many episodes, a named protocol, confidence intervals, a JSON report."""

import dataclasses
import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.runs.run import (
    FINAL_EVALUATION_ENVS,
    Run,
    environments,
    evaluation_envs,
    evaluation_limit,
    load_agent,
    open_run,
    shown,
)
from envs.atari_scores import human_normalised
from envs.lookup import is_atari, is_board_game
from envs.protocols import PROTOCOLS
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import complete_lines
from rlsuite.tracking.lease import require_lease
from rlsuite.tracking.notices import say
from rlsuite.tracking.statistics import ENOUGH_SEEDS, bootstrap_interval, iqm
from rlsuite.tracking.text import number_text
from rlsuite.training.evaluation import Watch, evaluate


def evaluate_run(run: Run, episodes: int = 100, checkpoint: str = "last") -> dict[str, Any]:
    """Play ``episodes`` episodes with every seed's agent in environments it has never seen; returns the report.

    The report is also written to ``report_path``, where that is allowed. The interval of the IQM is over seeds if there
    are several, else over episodes.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    checkpoint = shown(run, checkpoint)
    agent = load_agent(run, checkpoint)
    num_envs = evaluation_envs(run, episodes, FINAL_EVALUATION_ENVS)
    limit = evaluation_limit(run, episodes, num_envs)
    test = environments(run, "test", num_envs)
    try:
        result = evaluate(agent, test, episodes, run.device, limit, Watch("final evaluation", episodes))
    finally:
        test.close()
    per_seed = np.nanmean(result.returns, axis=1)
    sample = per_seed if len(per_seed) > 1 else result.returns[0][~np.isnan(result.returns[0])]
    low, high = bootstrap_interval(sample, iqm)
    report: dict[str, Any] = {
        "env": run.config.env,
        "agent": run.agent_name,
        "checkpoint": checkpoint,
        "env_steps": logged_env_steps(run.folder),
        "total_env_steps": run.config.total_env_steps,
        "episodes": episodes,
        "protocol": protocol_name(run),
        "env_kwargs": run.config.env_kwargs,
        "mean": float(per_seed.mean()),
        "iqm": float(iqm(sample)),
        "ci95": [float(low), float(high)],
        "ci95_over": "seeds" if len(per_seed) > 1 else "episodes",
        "per_seed_mean": per_seed.tolist(),
        "per_seed_std": np.nanstd(result.returns, axis=1).tolist(),
        "seeds": list(run.seeds),
        "mean_length_env_steps": float(np.nanmean(result.lengths_env_steps)),
    }
    if is_atari(run.config.env):
        report["human_normalised"] = human_normalised(run.config.env, report["mean"])
        report["protocol_options"] = dataclasses.asdict(PROTOCOLS[run.config.protocol])
    if is_board_game(run.config.env):
        played = result.returns[~np.isnan(result.returns)]
        shares = {"won": played > 0, "drawn": played == 0, "lost": played < 0}
        report["games"] = {name: float(share.mean()) for name, share in shares.items()}
        report["opponent"] = run.config.env_kwargs.get("opponent", "random")
    if result.unfinished:
        report["cut_at_env_steps"] = limit
        report["unfinished_episodes"] = result.unfinished
        say(
            f"the evaluation was cut at {limit:,} env steps (--evaluation-max-env-steps): "
            f"{result.unfinished} of {episodes * len(per_seed)} episodes were open or had not begun"
        )
    require_lease(run.folder)
    try:
        run_folder.write(run.folder, report, report_path(run).name)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # A colleague's run; playing took long, and its score is not to be lost.
        say(f"{run.folder} cannot be written in: the report is only shown")
    return report


def report_path(run: Run) -> Path:
    """``evaluation.json``, which is the run's score; another file where it was judged by other rules than its own."""
    own = open_run(run.folder).config
    same = (own.protocol, own.env_kwargs) == (run.config.protocol, run.config.env_kwargs)
    return run.folder / ("evaluation.json" if same else "evaluation-by-other-rules.json")


def logged_env_steps(folder: Path) -> int:
    """The last env step of which a run has logged metrics; 0 before any, or where their file is damaged."""
    last = 0
    with suppress(FileNotFoundError, ValueError):
        for row, _ in complete_lines(folder / "metrics.jsonl"):
            last = row["env_steps"]
    return last


def protocol_name(run: Run) -> str:
    """Return the name of the evaluation protocol: that of an Atari run, or ``greedy``."""
    return run.config.protocol if is_atari(run.config.env) else "greedy"


def print_report(report: dict[str, Any], path: Path) -> None:
    """The report as a small table for people."""
    low, high = report["ci95"]
    interval = f"95 % interval over {report['ci95_over']}"
    if 1 < len(report["seeds"]) < ENOUGH_SEEDS:
        interval = f"of {len(report['seeds'])} seeds, too few for a 95 % interval"
    table = Table(title=f"{report['agent']} on {report['env']}", title_justify="left", show_header=False, box=None)
    rows = [
        ("mean return", number_text(report["mean"])),
        ("IQM", f"{number_text(report['iqm'])}   {interval}: {number_text(low)} .. {number_text(high)}"),
        ("seeds", "  ".join(number_text(score) for score in report["per_seed_mean"])),
        ("episodes a seed", str(report["episodes"])),
        ("mean length", f"{report['mean_length_env_steps']:.0f} env steps"),
        ("protocol", f"{report['protocol']}, checkpoint {report['checkpoint']}"),
        ("trained for", f"{report['env_steps']:,} of {report['total_env_steps']:,} env steps a seed"),
    ]
    if "human_normalised" in report:
        rows.insert(2, ("human-normalised", f"{100 * report['human_normalised']:.1f} %"))
    if "games" in report:
        shares = ", ".join(f"{100 * share:.1f} % {name}" for name, share in report["games"].items())
        rows.insert(2, ("games", f"{shares} against {report['opponent']}"))
    if os.access(path, os.W_OK):
        rows.append(("written to", str(path)))
    for name, value in rows:
        table.add_row(f"  {name}", value)
    Console(highlight=False).print(table)
