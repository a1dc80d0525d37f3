"""From the name of an experiment to a trained network in a run folder."""

import dataclasses
import difflib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.supervised.classification import Classifier, Examples, Minibatches
from rlsuite.supervised.experiments import EXPERIMENTS, Experiment
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.record import Clock
from rlsuite.tracking.wandb_writer import Mode
from rlsuite.training.checkpoint import Checkpoints
from rlsuite.training.session import session
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
    seeds: int = 1,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    device: str = "cpu",
    name: str | None = None,
    runs: str = "runs",
    resume: bool = False,
    wandb: Mode = "auto",
) -> int:
    """Train, test after every epoch, and keep everything in ``runs/NAME``; returns the exit status.

    Raises:
        ValueError: unknown experiment, missing data, or a number out of its range.
        CheckpointError: there is nothing whole to resume from.
    """
    chosen = find(experiment)
    named: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    chosen = dataclasses.replace(chosen, **{key: value for key, value in named.items() if value is not None})
    if min(seeds, chosen.epochs, chosen.batch_size) < 1 or chosen.learning_rate <= 0:
        raise ValueError("--seeds, --epochs, --batch-size and --learning-rate must be positive")
    folder = Path(runs) / (name or f"{experiment}-{time.strftime('%Y%m%d-%H%M%S')}")
    all_seeds = range(seed, seed + seeds)
    _write_config(folder, experiment, chosen, list(all_seeds), resume)

    data = chosen.data()
    if chosen.batch_size > len(data.train_images):
        raise ValueError(
            f"--batch-size {chosen.batch_size} is more than the {len(data.train_images)} examples there are"
        )
    source = Minibatches(
        chosen.view(data.train_images).to(device), data.train_labels.to(device), chosen.batch_size, all_seeds
    )
    learner = Classifier(chosen.network, all_seeds, chosen.learning_rate, device)
    test_inputs, test_labels = chosen.view(data.test_images).to(device), data.test_labels.to(device)

    def evaluate() -> dict[str, np.ndarray]:
        return {"evaluation/score": learner.accuracy(test_inputs, test_labels)}

    total = chosen.epochs * source.batches_an_epoch
    schedule = Schedule(total, "updates", log_every=max(total // 100, 1), evaluate_every=source.batches_an_epoch)
    checkpoints = Checkpoints(folder / "checkpoint")
    state = checkpoints.load_last() if resume else None
    resume_at = None if state is None else Clock(**state["clock"])
    headlines = {"train/accuracy": "accuracy", "evaluation/score": "test accuracy", "loss/cross_entropy": "loss"}
    reports = session(folder, experiment, total, headlines, all_seeds, "updates", wandb, resume_at=resume_at)
    with reports as sitting:
        worker: Worker[Examples] = Worker(learner, source, evaluate, all_seeds)
        trainer = Trainer(worker, schedule, sitting.tracker, checkpoints, sitting.console.tick)
        if state is not None:
            trainer.load_state_dict(state)
        outcome = trainer.run()
        if outcome.status == "interrupted":
            sitting.status = "interrupted"
            return 130
        sitting.tracker.summary(_conclude(folder, experiment, chosen, evaluate()["evaluation/score"]))
        sitting.status = "finished"
    return 0


def _write_config(folder: Path, name: str, chosen: Experiment, seeds: list[int], resume: bool) -> None:
    path = folder / "config.json"
    if resume:
        if not path.exists():
            raise ValueError(f"there is no run {folder} to resume: name it with --name")
        return
    if path.exists():
        raise ValueError(f"{folder} already holds a run: choose another --name, or --resume it")
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {key: value for key, value in vars(chosen).items() if isinstance(value, int | float | str)}
    path.write_text(json.dumps({"experiment": name, "seeds": seeds, **numbers}, indent=2) + "\n")


def _conclude(folder: Path, name: str, chosen: Experiment, accuracy: np.ndarray) -> dict[str, Any]:
    series = read_metrics(folder / "metrics.jsonl")["evaluation/score"]
    curve = Curve(name, series.updates, series.values)
    learning_curve(
        folder / "learning_curve.png", [curve], y_label="test accuracy", x_label="updates", title=chosen.description
    )
    report = {
        "mean": float(accuracy.mean()),
        "per_seed_mean": accuracy.tolist(),
        "target": chosen.target_accuracy,
        "reached": bool((accuracy >= chosen.target_accuracy).all()),
    }
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    return report
