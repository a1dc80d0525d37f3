"""Learning curves and final scores of several runs side by side."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.runs.evaluating import protocol_name
from agents.runs.run import Run, open_run
from rlsuite.tracking.jsonl import Series, read_metrics
from rlsuite.tracking.notices import say
from rlsuite.tracking.plots import Curve, check_suffix, learning_curve
from rlsuite.tracking.profiles import draw_profiles
from rlsuite.tracking.statistics import bootstrap_interval, iqm
from rlsuite.tracking.text import number_text

Split = Literal["runs", "settings", "seeds"]


@dataclass(frozen=True)
class _Compared:
    """Seeds of a run that count as one: their curve, and the final evaluation of each where there is one."""

    label: str
    series: Series
    final: np.ndarray  # [S], or empty


def compare(
    folders: Sequence[Path],
    out: Path,
    metric: str = "evaluation/score",
    split: Split = "runs",
    profile: Path | None = None,
) -> None:
    """Draw ``metric`` of every run over env steps into ``out`` and print a table of where the runs ended.

    Args:
        split: what has a curve and a line in the table: each run, each setting of a run's seeds, or each seed.
        profile: file for performance profiles, at the last env step at which all have the metric.

    Raises:
        ValueError: a folder is no run, has no such metric, or the runs were not evaluated by the same rules.
    """
    for path in (out, profile):
        if path is not None:
            check_suffix(path)
    if profile is not None and profile.resolve() == out.resolve():
        raise ValueError(f"--profile and --out are both {out}: name two files")
    runs = [open_run(folder) for folder in folders]
    _require_same_protocol(runs)
    names = sorted({run.config.env for run in runs})
    if len({name.rpartition("/")[2] for name in names}) > 1:
        say(f"returns of different environments are not on one scale: {', '.join(names)}")
    if any(run.config.env_kwargs != runs[0].config.env_kwargs for run in runs):
        say("the environments differ in their --env-kwargs")
    called_alike = len({_name(run) for run in runs}) < len({run.folder.resolve() for run in runs})
    labels = [str(run.folder) if called_alike else _name(run) for run in runs]
    compared = [
        part
        for run, label in zip(runs, labels, strict=True)
        for part in _parts(run, label, _series(run, metric), split)
    ]
    title = ", ".join(names)
    curves = [Curve(part.label, part.series.env_steps, part.series.values) for part in compared]
    called = metric.replace("/", " ")
    learning_curve(out, curves, y_label=called, title=title)
    if profile is not None:
        env_steps = min(part.series.env_steps[-1] for part in compared)
        draw_profiles(profile, _scores_at(compared, env_steps), f"{called} after {env_steps:,} env steps", title)
        print(f"written to {profile}")
    _print_table(compared, metric)
    print(f"written to {out}")


def _scores_at(compared: Sequence[_Compared], env_steps: int) -> dict[str, np.ndarray]:
    """Scores [S] of each part when it was last measured within ``env_steps``."""
    found = {}
    for part in compared:
        within = part.series.env_steps <= env_steps
        if not within.any():
            raise ValueError(f"{part.label} was not evaluated within {env_steps:,} env steps, where another ended")
        found[part.label] = part.series.values[:, within][:, -1]
    return found


def _name(run: Run) -> str:
    return run.folder.resolve().name


def _parts(run: Run, label: str, series: Series, split: Split) -> list[_Compared]:
    """The run as a whole, or its seeds by what differs between them."""
    final, values = _final(run), series.values
    if split != "runs":  # what seeds have in common is one row
        values = np.broadcast_to(values, (len(run.seeds), values.shape[1]))
    groups: dict[str, list[int]] = {}
    for k, seed in enumerate(run.seeds):
        parts = [label]
        parts += [f"{name} {value[k]:g}" for name, value in _differing(run).items()] if split != "runs" else []
        parts += [f"seed {seed}"] if split == "seeds" else []
        groups.setdefault(", ".join(parts), []).append(k)
    return [
        _Compared(
            label,
            dataclasses.replace(series, values=values[chosen] if len(groups) > 1 else values),
            final[chosen] if len(final) else final,
        )
        for label, chosen in groups.items()
    ]


def _differing(run: Run) -> dict[str, tuple[float, ...]]:
    """The options in which seeds of a run differ, with the value of each seed."""
    values = {name: getattr(run.config, name) for name in sorted(run.config.per_seed)}
    return {name: own for name, own in values.items() if len(set(own)) > 1}


def _series(run: Run, metric: str) -> Series:
    path = run.folder / "metrics.jsonl"
    if not path.exists():
        raise ValueError(f"{run.folder} has no metrics.jsonl yet")
    metrics = read_metrics(path)
    if metric not in metrics:
        if metric == "evaluation/score":
            raise ValueError(
                f"{run.folder} was not evaluated while it trained: --evaluate-every-env-steps was not reached"
            )
        raise ValueError(f"{run.folder} has no metric {metric!r}; there are {', '.join(sorted(metrics))}")
    series = metrics[metric]
    # Between two lines of metrics a seed may have finished no episode, so that there is no return to draw.
    known = np.isfinite(series.values).all(axis=0)
    if not known.any():
        raise ValueError(f"{run.folder} has no line in which all its seeds have a {metric!r}")
    return Series(series.env_steps[known], series.updates[known], series.wall_seconds[known], series.values[:, known])


def _require_same_protocol(runs: Sequence[Run]) -> None:
    protocols = [protocol_name(run) for run in runs]
    if len(set(protocols)) > 1:
        listed = ", ".join(f"{run.folder}: {protocol}" for run, protocol in zip(runs, protocols, strict=True))
        raise ValueError(f"scores of different protocols do not compare ({listed})")


def _print_table(compared: Sequence[_Compared], metric: str) -> None:
    table = Table(title=f"last {metric}, and IQM of the final evaluation", title_justify="left", box=None)
    for column in ("run", "env steps", "seeds", "mean", "IQM", "95 % interval", "final"):
        table.add_column(
            column, justify="left" if column == "run" else "right", no_wrap=column != "run", overflow="fold"
        )
    for part in compared:
        last = part.series.values[:, -1]
        low, high = bootstrap_interval(last, iqm)
        table.add_row(
            part.label,
            f"{part.series.env_steps[-1]:,}",
            str(len(last)),
            number_text(last.mean()),
            number_text(float(iqm(last))),
            f"{number_text(low)} .. {number_text(high)}" if len(last) > 1 else "",
            number_text(float(iqm(part.final))) if len(part.final) else "",
        )
    Console(highlight=False).print(table)


def _final(run: Run) -> np.ndarray:
    """Each seed's mean return in the final evaluation; empty where there is no whole report."""
    try:
        report = json.loads((run.folder / "evaluation.json").read_text())
        scores = np.array(report["per_seed_mean"], dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError):
        return np.empty(0)
    return scores if scores.shape == (len(run.seeds),) else np.empty(0)
