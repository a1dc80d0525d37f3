"""Train and resume supervised experiments in run folders."""

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.configuration import from_json
from rlsuite.supervised.classification import Classifier, Examples, Minibatches
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.experiments import EXPERIMENTS, Experiment
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.notices import without
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.session import session
from rlsuite.tracking.wandb_writer import Mode
from rlsuite.training.checkpoint import Checkpoints, Name, clock, logged_until
from rlsuite.training.device import usable_device
from rlsuite.training.trainer import Schedule, Trainer
from rlsuite.training.worker import Worker


def list_experiments() -> None:
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:14s} {experiment.description}; to reach: {experiment.target_accuracy:.1%} of the test set")


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1, cutoff=0.0)[0]
        raise ValueError(f"there is no experiment {name!r}: did you mean {near!r}? There are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def train(
    experiment: str,
    seeds: int | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    device: str | None = None,
    name: str | None = None,
    runs: str = "runs",
    resume: bool = False,
    checkpoint: Name = "last",
    wandb: Mode | None = None,
) -> int:
    """Train, test after every epoch, and keep everything in ``runs/NAME``; returns the exit status.

    What is ``None`` is the experiment's own, or where a run is resumed, the run's; ``checkpoint`` is where it goes on.

    Raises:
        ValueError: unknown experiment, missing data, a number out of its range, or a run resumed as another.
        CheckpointError: there is nothing whole to resume from.
    """
    chosen = find(experiment)
    named: dict[str, Any] = {
        "seeds": seeds,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "device": device,
        "wandb": wandb,
    }
    named = {option: value for option, value in named.items() if value is not None}
    if resume:
        if name is None:
            raise ValueError("--resume needs the --name of the run")
        folder = Path(runs) / name
        config = _resumed(folder, experiment, named)
        with run_folder.locked(folder):
            return _train(folder, _Work(config, chosen), checkpoint)
    if checkpoint != "last":
        raise ValueError(f"--checkpoint {checkpoint} is for a run that is resumed: add --resume")
    run_folder.require_free(Path(runs), name)
    own = {option: getattr(chosen, option) for option in ("epochs", "batch_size", "learning_rate")}
    config = SupervisedConfig(experiment=experiment, **(own | named))
    work = _Work(config, chosen)  # errors in the configuration are raised before any file is written
    document = {"config": dataclasses.asdict(config), "target_accuracy": chosen.target_accuracy}
    folder = run_folder.create(Path(runs), name, experiment, document)
    with run_folder.locked(folder):
        return _train(folder, work, None)


def _resumed(folder: Path, experiment: str, named: dict[str, Any]) -> SupervisedConfig:
    """The configuration of a run; only where it is computed, and what W&B is told, may change."""
    config = from_json(SupervisedConfig, run_folder.read(folder).get("config"), folder / run_folder.CONFIG)
    for option, value in ({"experiment": experiment} | named).items():
        own = getattr(config, option)
        if value != own and option not in ("device", "wandb"):
            raise ValueError(
                f"{folder} was started with {option.replace('_', ' ')} {own}: it cannot go on with {value}"
            )
    return dataclasses.replace(config, **{option: named[option] for option in ("device", "wandb") if option in named})


class _Work:
    """Everything that trains and tests, made from a configuration."""

    def __init__(self, config: SupervisedConfig, chosen: Experiment) -> None:
        self.config, self.chosen = config, chosen
        self.seeds = range(config.seed, config.seed + config.seeds)
        device = usable_device(config.device)
        data = chosen.data()
        if config.batch_size > len(data.train_images):
            raise ValueError(
                f"--batch-size {config.batch_size} is more than the {len(data.train_images)} examples there are"
            )
        self.source = Minibatches(
            chosen.view(data.train_images).to(device), data.train_labels.to(device), config.batch_size, self.seeds
        )
        self.learner = Classifier(chosen.network, self.seeds, config.learning_rate, device)
        self._tests = chosen.view(data.test_images).to(device), data.test_labels.to(device)

    def evaluate(self) -> dict[str, np.ndarray]:
        return {"evaluation/score": self.learner.accuracy(*self._tests)}


def _train(folder: Path, work: _Work, checkpoint: Name | None) -> int:
    """Train a new run, or go on from a checkpoint."""
    config, source = work.config, work.source
    total = config.epochs * source.batches_an_epoch
    schedule = Schedule(total, "updates", log_every=max(total // 100, 1), evaluate_every=source.batches_an_epoch)
    checkpoints = Checkpoints(folder / "checkpoint")
    state = None if checkpoint is None or checkpoints.is_empty else checkpoints.load(checkpoint)
    if state is None:
        (folder / "metrics.jsonl").unlink(missing_ok=True)
    resume_at = None if state is None else clock(state)
    headlines = {"train/accuracy": "accuracy", "evaluation/score": "test accuracy", "loss/cross_entropy": "loss"}
    reports = session(
        folder,
        config.experiment,
        total,
        headlines,
        work.seeds,
        "updates",
        config.wandb,
        resume_at=resume_at,
        logged_until=None if state is None else logged_until(state),
    )
    with reports as opened:
        worker: Worker[Examples] = Worker(work.learner, source, work.evaluate, work.seeds)
        trainer = Trainer(worker, schedule, opened.tracker, checkpoints, opened.console.tick)
        if state is not None:
            trainer.load_state_dict(state)
            if checkpoint == "previous":
                checkpoints.go_back()
        outcome = trainer.run()
        if outcome.status == "interrupted":
            opened.status = "interrupted"
            return 130
        opened.tracker.summary(_finish(folder, work))
        opened.status = "finished"
    return 0


def _finish(folder: Path, work: _Work) -> dict[str, Any]:
    accuracy, chosen = work.evaluate()["evaluation/score"], work.chosen
    series = read_metrics(folder / "metrics.jsonl").get("evaluation/score")
    if series is not None:
        curve = Curve(work.config.experiment, series.updates, series.values)
        with without("learning curve"):
            learning_curve(
                folder / "learning_curve.png",
                [curve],
                y_label="test accuracy",
                x_label="updates",
                title=chosen.description,
            )
    report = {
        "mean": float(accuracy.mean()),
        "per_seed_mean": accuracy.tolist(),
        "target": chosen.target_accuracy,
        "reached": bool((accuracy >= chosen.target_accuracy).all()),
    }
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    return report
