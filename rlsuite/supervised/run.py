"""Train, resume and load supervised experiments in run folders."""

import dataclasses
import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from rlsuite import ranks
from rlsuite.configuration import from_json
from rlsuite.option_groups import nested
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.experiment import Experiment, Split, Trained
from rlsuite.supervised.registry import all_experiments, find
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.notices import without
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.session import session
from rlsuite.training.checkpoint import Checkpoints, Name, clock, fitting, logged_until
from rlsuite.training.ranked import follow, has_begun, leading
from rlsuite.training.trainer import Schedule, Trainer
from rlsuite.training.worker import Worker

_INTERRUPTED = 130
_LOGS_AN_EPOCH = 20
_LIST_COLUMNS = 80
# What a resumed run may change: where and how long, not what.
_CHANGEABLE = ("device", "wandb", "epochs", "minutes", "patience_epochs")


def list_experiments() -> None:
    """Print name, minutes on 2 cores, target on the test set, task and data of each experiment."""
    for experiment in all_experiments().values():
        print(f"{experiment.name:22s} {experiment.minutes:>5g} min   {experiment.target}")
        about = f"{experiment.task} ({experiment.data})"
        print(textwrap.fill(about, _LIST_COLUMNS, initial_indent="    ", subsequent_indent="    "))


def train(experiment: str, config: RunConfig) -> int:
    """Train, and test once at the end, in a new run ``runs/NAME``; returns the exit status.

    Raises:
        ValueError: unknown experiment, missing data, a number out of its range, or a name that is taken.
    """
    chosen = find(experiment)

    def build() -> _Work:
        if ranks.rank() == 0:
            run_folder.require_free(Path(config.runs), config.name)
        return _Work(chosen, config)

    with ranks.joined():
        if has_begun(Path(config.runs), config.name):
            return resume(Path(config.runs) / str(config.name))
        work = ranks.built(build)  # errors in the configuration are raised before any file is written
        if ranks.rank():
            return work.follow()
        document = {"experiment": experiment, "config": nested(config)}
        folder = run_folder.create(Path(config.runs), config.name, experiment, document)
        with run_folder.locked(folder):
            return _train(folder, work)


def resume(folder: Path, checkpoint: Name = "last", **changed: Any) -> int:
    """Go on with a run exactly where a checkpoint left it; returns as ``train`` does.

    Args:
        folder: of the run.
        checkpoint: where it goes on.
        changed: options that are not ``None`` and may change: ``device``, ``wandb``, ``epochs``, ``minutes``,
            ``patience_epochs``.

    Raises:
        ValueError: the folder holds no supervised run, or one that is longer already.
        CheckpointError: there is nothing whole to resume from.
    """
    chosen, config = read(folder)
    changed = {name: value for name, value in changed.items() if value is not None}
    assert set(changed) <= set(_CHANGEABLE)
    if changed:
        config = dataclasses.replace(config, **changed)
    with ranks.joined():
        work = ranks.built(lambda: _Work(chosen, config))
        if ranks.rank():
            return work.follow()
        with run_folder.locked(folder):
            return _resume(folder, work, checkpoint, changed)


def _resume(folder: Path, work: "_Work", checkpoint: Name, changed: Mapping[str, Any]) -> int:
    checkpoints = Checkpoints(folder / "checkpoint")
    state = None if checkpoints.is_empty else checkpoints.load(checkpoint)
    now = 0 if state is None else clock(state).updates
    if "epochs" in changed and work.total < now:
        raise ValueError(f"--epochs {work.config.epochs} ends at update {work.total:,}, and {folder} is at {now:,}")
    if changed:
        run_folder.write(folder, {"experiment": work.chosen.name, "config": nested(work.config)})
    return _train(folder, work, state, checkpoint)


def read(folder: Path) -> tuple[Experiment[Any, Any], RunConfig]:
    """The experiment of a run, and its options.

    Raises:
        ValueError: the folder holds no supervised run, or one of an experiment that is not there.
    """
    document, path = run_folder.read(folder, "experiment"), folder / run_folder.CONFIG
    name = document.get("experiment")
    if not isinstance(name, str):
        raise ValueError(f"{folder} is not a run of a supervised experiment")
    chosen = find(name)
    return chosen, from_json(type(chosen.config), document.get("config"), path)


def load(folder: Path, device: str = "cpu") -> Trained[Any, Any]:
    """A trained experiment from its folder, as it was tested.

    Raises:
        ValueError: the folder holds no supervised run, or its data are missing.
        CheckpointError: its checkpoint cannot be used.
    """
    chosen, config = read(folder)
    work = _Work(chosen, dataclasses.replace(config, device=device))
    checkpoints = Checkpoints(folder / "checkpoint")
    state = checkpoints.load(_tested(chosen, checkpoints))
    with fitting(f"the checkpoint of {folder}"):
        work.learner.load_state_dict(state["learner"])
    return Trained(work.setting, work.learner, folder)


class _Work:
    """Everything that trains and tests, made from a configuration."""

    def __init__(self, chosen: Experiment[Any, Any], config: RunConfig) -> None:
        self.chosen, self.config = chosen, config
        self.setting = chosen.setting(config)
        self.source = chosen.make_source(self.setting)
        self.total = config.epochs * self.source.an_epoch
        self.learner = chosen.make_learner(self.setting, self.total)
        if ranks.size() > 1 and not getattr(self.learner, "averages_gradients", False):
            raise ValueError(f"{chosen.name} is not for ranks: it learns by hand, not by a gradient that they average")

    def worker(self, evaluation: Callable[[], dict[str, np.ndarray]] | None = None) -> Worker[Any]:
        return Worker(self.learner, self.source, evaluation, self.setting.seeds)

    def follow(self) -> int:
        """Train as rank 0 says, which alone evaluates and writes."""
        follow(self.worker())
        return 0

    def evaluate(self, split: Split) -> dict[str, np.ndarray]:
        """The experiment's numbers, and a score of which more is better."""
        values = self.chosen.evaluate(self.learner, self.setting, split)
        score = values[self.chosen.target.metric]
        found = {f"{split}/{name}": value for name, value in values.items()}
        return found | {"evaluation/score": score if self.chosen.target.higher_is_better else -score}

    def validate(self, folder: Path) -> dict[str, np.ndarray]:
        values = self.evaluate("validation")
        if self.chosen.look is not None:
            with without("look at the network"):
                self.chosen.look(Trained(self.setting, self.learner, folder), self.source)
        return values


def _train(folder: Path, work: _Work, state: dict[str, Any] | None = None, checkpoint: Name = "last") -> int:
    """Train a run from its start, or from the state of a checkpoint."""
    chosen, config, source = work.chosen, work.config, work.source
    schedule = Schedule(
        work.total,
        "updates",
        log_every=max(source.an_epoch // _LOGS_AN_EPOCH, 1),
        evaluate_every=source.an_epoch,
        seconds=None if config.minutes is None else 60.0 * config.minutes,
        patience_evaluations=config.patience_epochs,
    )
    checkpoints = Checkpoints(folder / "checkpoint")
    if state is None:
        (folder / "metrics.jsonl").unlink(missing_ok=True)
    metric = chosen.target.metric
    headlines = {"loss/train": "loss", **chosen.headlines, f"validation/{metric}": f"validation {_words(metric)}"}
    reports = session(
        folder,
        chosen.name,
        work.total,
        headlines,
        work.setting.seeds,
        "updates",
        config.wandb,
        resume_at=None if state is None else clock(state),
        logged_until=None if state is None else logged_until(state),
    )
    with reports as opened:
        with leading(work.worker(lambda: work.validate(folder))) as workers:
            trainer = Trainer(workers, schedule, opened.tracker, checkpoints, opened.console.tick)
            trainer.go_on(state, checkpoint)
            outcome = trainer.run()
        if outcome.status == "interrupted":
            opened.status = "interrupted"
            return _INTERRUPTED
        opened.tracker.summary(_finish(folder, work, checkpoints))
        opened.status = "finished"
    return 0


def _finish(folder: Path, work: _Work, checkpoints: Checkpoints) -> dict[str, Any]:
    """Test the best networks (or the last), once, and write the report and the figures."""
    chosen, target = work.chosen, work.chosen.target
    name = _tested(chosen, checkpoints)
    work.learner.load_state_dict(checkpoints.load(name)["learner"])
    values = chosen.evaluate(work.learner, work.setting, "test")
    tested = values[target.metric]
    report = {
        "metric": target.metric,
        "mean": float(tested.mean()),
        "median": float(np.median(tested)),
        "per_seed_mean": tested.tolist(),
        "target": target.value,
        "reached": target.reached(tested),
        "split": "test",
        "checkpoint": name,
        "values": {name: value.tolist() for name, value in values.items()},
    }
    _draw_curve(folder, work)
    with without("figures"):
        report |= chosen.report(cast(Any, Trained(work.setting, work.learner, folder)))
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    _print(report, chosen)
    return {name: report[name] for name in ("mean", "median", "per_seed_mean", "target", "reached")}


def _tested(chosen: Experiment[Any, Any], checkpoints: Checkpoints) -> Name:
    """The checkpoint to test; the last where there has been no evaluation yet."""
    return chosen.tested if checkpoints.exists(chosen.tested) else "last"


def _draw_curve(folder: Path, work: _Work) -> None:
    metric = work.chosen.target.metric
    series = read_metrics(folder / "metrics.jsonl").get(f"validation/{metric}")
    if series is not None:
        with without("learning curve"):
            learning_curve(
                folder / "learning_curve.png",
                [Curve(work.chosen.name, series.updates, series.values)],
                y_label=f"validation {_words(metric)}",
                x_label="updates",
                title=work.chosen.task,
                levels=work.chosen.levels(work.setting),
            )


def _print(report: dict[str, Any], chosen: Experiment[Any, Any]) -> None:
    """One line a metric, and whether the target was reached."""
    for name, values in report["values"].items():
        each = "  ".join(f"{value:.4f}" for value in values)
        print(f"test {_words(name)}: {each}")
    reached = "reached" if report["reached"] else "not reached"
    print(f"target of the median, {chosen.target}: {reached}")


def _words(metric: str) -> str:
    return metric.replace("_", " ")
