"""Learning curves and final scores of several runs side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.runs.evaluating import protocol_name
from agents.runs.run import Run, open_run
from rlsuite.tracking.jsonl import Series, read_metrics
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.statistics import bootstrap_interval, iqm


def compare(folders: Sequence[Path], out: Path, metric: str = "evaluation/score", split_seeds: bool = False) -> None:
    """Draw ``metric`` of every run over env steps into ``out`` and print a table of where the runs ended.

    Raises:
        ValueError: a folder is no run, has no such metric, or the runs were not evaluated by the same rules.
    """
    runs = [open_run(folder) for folder in folders]
    _require_same_protocol(runs)
    found = [_series(run, metric) for run in runs]
    curves: list[Curve] = []
    for run, series in zip(runs, found, strict=True):
        if split_seeds:
            labels = _seed_labels(run)
            curves += [Curve(labels[k], series.env_steps, series.values[k : k + 1]) for k in range(len(labels))]
        else:
            curves.append(Curve(run.folder.name, series.env_steps, series.values))
    title = ", ".join(sorted({run.config.env for run in runs}))
    learning_curve(out, curves, y_label=metric.replace("/", " "), title=title)
    _print_table(runs, found, curves if split_seeds else None, metric)
    print(f"written to {out}")


def _series(run: Run, metric: str) -> Series:
    path = run.folder / "metrics.jsonl"
    if not path.exists():
        raise ValueError(f"{run.folder} has no metrics.jsonl yet")
    metrics = read_metrics(path)
    if metric not in metrics:
        raise ValueError(f"{run.folder} has no metric {metric!r}; there are {', '.join(sorted(metrics))}")
    series = metrics[metric]
    # Between two lines of metrics a seed may have finished no episode, so that there is no return to draw.
    known = np.isfinite(series.values).all(axis=0)
    if not known.any():
        raise ValueError(f"{run.folder} has no line in which all its seeds have a {metric!r}")
    return Series(series.env_steps[known], series.updates[known], series.wall_seconds[known], series.values[:, known])


def _require_same_protocol(runs: Sequence[Run]) -> None:
    protocols = {run.folder.name: protocol_name(run) for run in runs}
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{name}: {protocol}" for name, protocol in protocols.items())
        raise ValueError(f"scores of different protocols do not compare ({listed})")


def _seed_labels(run: Run) -> list[str]:
    """Return a label for each seed of a run: its value of every swept option, and the seed."""
    swept = {
        name: value
        for name, value in vars(run.config).items()
        if isinstance(value, tuple) and len(value) == run.config.seeds > 1 and name != "hidden"
    }
    return [
        ", ".join([f"{name} {value[k]:g}" for name, value in swept.items()] + [f"seed {seed}"])
        for k, seed in enumerate(run.seeds)
    ]


def _print_table(runs: Sequence[Run], found: Sequence[Series], curves: Sequence[Curve] | None, metric: str) -> None:
    table = Table(title=f"last {metric}", title_justify="left", box=None)
    for column in ("run", "env steps", "seeds", "mean", "IQM", "95 % interval", "final evaluation"):
        table.add_column(column, justify="left" if column == "run" else "right")
    if curves is not None:
        for curve in curves:
            table.add_row(curve.label, f"{int(curve.steps[-1]):,}", "1", f"{curve.values[0, -1]:.1f}", "", "", "")
    for run, series in zip(runs, found, strict=True):
        last = series.values[:, -1]
        low, high = bootstrap_interval(last, iqm)
        final = _final(run.folder)
        table.add_row(
            run.folder.name,
            f"{series.env_steps[-1]:,}",
            str(len(last)),
            f"{last.mean():.1f}",
            f"{iqm(last):.1f}",
            f"{low:.1f} .. {high:.1f}",
            "" if final is None else f"IQM {final['iqm']:.1f} ({final['episodes']} episodes)",
        )
    Console(highlight=False).print(table)


def _final(folder: Path) -> dict[str, Any] | None:
    """The report of the final evaluation, where there is a whole one."""
    try:
        report = json.loads((folder / "evaluation.json").read_text())
        return {"iqm": float(report["iqm"]), "episodes": int(report["episodes"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None
