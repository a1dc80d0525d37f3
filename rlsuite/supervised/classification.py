"""Classification: cross-entropy, accuracy, and which classes are taken for which."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.experiment import Facts, Trained
from rlsuite.supervised.figures import heat_map
from rlsuite.supervised.learner import Forward, Learner, State


class Examples(NamedTuple):
    """Inputs ``[N, ...]`` and classes ``[N]`` int64; of a batch ``[S, B, ...]`` and ``[S, B]``."""

    inputs: Tensor
    labels: Tensor


class Labelled(NamedTuple):
    """A data set in three parts, with the names of its classes."""

    train: Examples
    validation: Examples
    test: Examples
    classes: Sequence[str]


def split(train: Examples, test: Examples, config: ExamplesConfig, classes: Sequence[str]) -> Labelled:
    """Keep every k-th training example for validation; where the fraction is zero, validate on the training set.

    Of the rest the first ``config.examples`` are trained on.

    Raises:
        ValueError: a label is not the number of a class, or too few examples are left.
    """
    for examples in (train, test):
        if len(examples.labels) and not 0 <= int(examples.labels.min()) <= int(examples.labels.max()) < len(classes):
            raise ValueError(f"labels must be from 0 to {len(classes) - 1}, the numbers of the classes")
    fraction, first = config.validation_fraction, slice(config.examples)
    if fraction == 0.0:
        return Labelled(Examples(*(tensor[first] for tensor in train)), train, test, classes)
    kept = torch.zeros(len(train.labels), dtype=torch.bool)
    kept[:: max(round(1.0 / fraction), 1)] = True
    if kept.all():
        raise ValueError(f"--validation-fraction {fraction} leaves nothing to train on")
    rest = Examples(*(tensor[~kept][first] for tensor in train))
    return Labelled(rest, Examples(*(tensor[kept] for tensor in train)), test, classes)


def cross_entropy(network: Forward, batch: Examples, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    """The mean cross-entropy of logits ``[S, B, classes]``, and the share of examples that are right."""
    logits = network(batch.inputs)
    losses = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="none")
    hits = (logits.argmax(dim=-1) == batch.labels).float().mean(dim=1)
    return losses.view(batch.labels.shape).mean(dim=1), {"train/accuracy": hits}, state


def logits(learner: Learner[Any], inputs: Tensor, batch_size: int = 500) -> Tensor:
    """Outputs of each seed's network ``[S, N, classes]`` on the same inputs ``[N, ...]``."""
    seeds = len(learner.seeds)
    pieces = [learner(part.expand(seeds, *part.shape)) for part in inputs.to(learner.seeds.device).split(batch_size)]
    return torch.cat(pieces, dim=1).cpu()


def accuracy(learner: Learner[Any], examples: Examples) -> dict[str, np.ndarray]:
    """The share that each seed's network gets right, and its cross-entropy."""
    found = logits(learner, examples.inputs)
    labels = examples.labels.cpu().expand(len(found), -1)
    losses = F.cross_entropy(found.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    return {
        "accuracy": (found.argmax(dim=-1) == labels).float().mean(dim=1).numpy(),
        "cross_entropy": losses.mean(dim=1).numpy(),
    }


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts of how often class i ``[classes, :]`` was taken for class j."""
    return torch.bincount(labels * classes + predicted, minlength=classes * classes).view(classes, classes)


def report_classes(trained: Trained[Any, Labelled]) -> Facts:
    """Draw the confusion matrix of the first seed on the test set; return it with precision and recall per class."""
    data = trained.setting.data
    predicted = logits(trained.learner, data.test.inputs)[0].argmax(dim=-1)
    matrix = confusion(predicted, data.test.labels.cpu(), len(data.classes)).numpy()
    draw_confusion(trained.folder / "confusion.png", matrix, data.classes)
    right = matrix.diagonal()
    with np.errstate(invalid="ignore"):  # a class that is never predicted has no precision
        precision, recall = right / matrix.sum(axis=0), right / matrix.sum(axis=1)
    named: Callable[[np.ndarray], dict[str, float | None]] = lambda values: {  # noqa: E731
        name: None if np.isnan(value) else round(float(value), 4)
        for name, value in zip(data.classes, values, strict=True)
    }
    return {"confusion": matrix.tolist(), "precision": named(precision), "recall": named(recall)}


def draw_confusion(path: Path, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a confusion matrix: rows are true classes, columns predicted ones, colours the share of a row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    heat_map(path, shares, classes, classes, texts=matrix, x_label="predicted", y_label="true")
