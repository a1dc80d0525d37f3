"""The effect of a loss: a line through points of which some are far off, and classes with a margin between them.

The squared loss pulls a line towards points that are far off, since its gradient grows with the distance. That of the
others is bounded: a far point counts no more than a near one. ``evaluation.json`` has the table of all losses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Fraction, Positive
from rlsuite.supervised import losses
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.classification import Examples, Labelled, accuracy, report_classes, split
from rlsuite.supervised.config import RunConfig, SupervisedConfig
from rlsuite.supervised.data.tables import iris, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import FULL_BATCH, Batches, minibatches

_DATA_STREAM = 43
_INTERCEPT, _SLOPE = 1.0, 2.0

REGRESSION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "absolute": losses.absolute,
    "squared": losses.squared,
    "epsilon-insensitive": losses.epsilon_insensitive,
    "Huber": losses.huber,
}
CLASSIFICATION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"logistic": losses.logistic, "hinge": losses.hinge}


@dataclass(frozen=True, kw_only=True)
class LineConfig(RunConfig):
    epochs: Count = 20
    steps: Count = 100
    """Steps an epoch."""
    learning_rate: Positive = 0.05
    """Length of a step; that of the last epoch is a hundredth, so that losses with an edge come to rest."""
    points: Count = 200
    """Points that each seed draws a line through."""
    outliers: Fraction = 0.2
    """Share of the points that are far off."""


class Line(NamedTuple):
    """Points x ``[S, N]`` and y ``[S, N]``."""

    x: Tensor
    y: Tensor


LineSetting = Setting[LineConfig, Line]


def points(config: LineConfig) -> Line:
    """Points about a line, of which those far off are all above its right half."""
    keys = random.key(torch.arange(config.seed, config.seed + config.seeds), _DATA_STREAM)
    x = 2.0 * random.uniform(random.fold(keys, 0), config.points) - 1.0
    is_far = random.uniform(random.fold(keys, 1), config.points) < config.outliers
    x = torch.where(is_far, x.abs(), x)
    y = _INTERCEPT + _SLOPE * x + 0.2 * random.normal(random.fold(keys, 2), config.points)
    return Line(x, y + 10.0 * is_far)


def make_source(setting: LineSetting) -> Batches[Line]:
    data = Line(*(tensor.to(setting.device) for tensor in setting.data))
    return Batches(lambda number: data, setting.config.steps, alone=FULL_BATCH)


def make_learner(setting: LineSetting, total_updates: int) -> ByHand[Line]:
    """One line for each loss, ``[S, L, 2]``, all by (sub)gradient descent."""
    config, every = setting.config, list(REGRESSION.values())

    def learn(tensors: Tensors, batch: Line) -> Tensors:
        lines = tensors["lines"].detach().requires_grad_()
        outputs = lines[..., :1] + lines[..., 1:] * batch.x.unsqueeze(1)  # [S, L, N]
        found = torch.stack([loss(outputs[:, place], batch.y) for place, loss in enumerate(every)], dim=1).mean(dim=2)
        (gradient,) = torch.autograd.grad(found.sum(), lines)
        is_last = tensors["steps"][0] >= total_updates - config.steps
        tensors["lines"] -= config.learning_rate * (0.01 if is_last else 1.0) * gradient
        tensors["steps"] += 1
        return {"loss/train": found.detach().mean(dim=1)}

    seeds = len(setting.seeds)
    lines = torch.zeros(seeds, len(every), 2, device=setting.device)
    return ByHand({"lines": lines, "steps": torch.zeros(seeds, dtype=torch.int64, device=setting.device)}, learn)


def evaluate_line(learner: ByHand[Line], setting: LineSetting, split: Split) -> dict[str, np.ndarray]:
    """Distance of each loss's line from the true one, the mean over x."""
    lines = learner.tensors["lines"].cpu() - torch.tensor([_INTERCEPT, _SLOPE])
    x = torch.linspace(-1.0, 1.0, 101)
    errors = (lines[..., :1] + lines[..., 1:] * x).abs().mean(dim=-1)
    return {f"error_{name}": errors[:, place].numpy() for place, name in enumerate(REGRESSION)}


def report_line(trained: Trained[LineConfig, Line]) -> Facts:
    """Draw the losses and the first seed's lines; return the table of the losses."""
    steps = torch.linspace(-2.0, 2.0, 9)
    zero, one = torch.zeros(()), torch.ones(())
    table = {name: loss(steps, zero.expand(9)) for name, loss in REGRESSION.items()}
    table |= {name: loss(steps, one.expand(9)) for name, loss in CLASSIFICATION.items()}
    with figure(trained.folder / "losses.png", 9.0, 6.4, 2, 2) as (drawn, axes):
        fine = torch.linspace(-3.0, 3.0, 601)
        for axis, group, target, label in zip(
            axes[0], (REGRESSION, CLASSIFICATION), (zero, one), ("f - y", "y f"), strict=True
        ):
            for colour, (name, loss) in zip(COLOURS, group.items(), strict=False):
                axis.plot(fine, loss(fine, target.expand(601)), label=name, color=colour)
            axis.set_ylim(-0.1, 3.1)
            axis.set_xlabel(label)
            axis.set_ylabel("loss")
            axis.legend(frameon=False, fontsize="small")
        x, y = (tensor[0].numpy() for tensor in trained.setting.data)
        ends = np.array([-1.0, 1.0])
        for axis, zoom in zip(axes[1], (False, True), strict=True):
            axis.scatter(x, y, s=6, color="0.6", linewidths=0)
            for colour, name, (intercept, slope) in zip(
                COLOURS, REGRESSION, trained.learner.tensors["lines"][0].tolist(), strict=False
            ):
                axis.plot(ends, intercept + slope * ends, color=colour, label=name)
            axis.plot(ends, _INTERCEPT + _SLOPE * ends, color="black", linestyle=":", label="truth")
            if zoom:
                axis.set_ylim(-2.0, 5.0)
        axes[1, 0].legend(frameon=False, fontsize="small")
        axes[1, 1].set_title("the same, nearer", fontsize="small", loc="left")
        drawn.suptitle("Losses, and the lines that they draw", fontsize="medium")
    named = {name: [round(float(value), 4) for value in values] for name, values in table.items()}
    return {"table": {"at f - y, or y f": steps.tolist(), **named}}


def load_iris(config: SupervisedConfig) -> Labelled:
    inputs, labels, _, classes = iris()
    is_test = torch.arange(len(labels)) % 5 == 0
    inputs = standardised(inputs, like=inputs[~is_test])
    train, test = (Examples(inputs[chosen], labels[chosen]) for chosen in (~is_test, is_test))
    return split(train, test, config, classes)


def margin_loss(network: Forward, batch: Examples, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    outputs = network(batch.inputs)
    hits = (outputs.argmax(dim=-1) == batch.labels).float().mean(dim=1)
    return losses.large_margin(outputs, batch.labels).mean(dim=1), {"train/accuracy": hits}, state


def make_iris_source(setting: Setting[SupervisedConfig, Labelled]) -> Batches[Examples]:
    inputs, labels = (tensor.to(setting.device) for tensor in setting.data.train)
    return minibatches(Examples(inputs, labels), setting.config.batch_size, setting.seeds)


EXPERIMENTS: list[Experiment[Any, Any]] = [
    Experiment(
        name="losses",
        task="Lines through points of which some are far off, by four losses",
        data="made up",
        target=Target("error_absolute", 0.2, higher_is_better=False),
        minutes=0.2,
        config=LineConfig(),
        load=points,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate_line,
        report=report_line,
        tested="last",
    ),
    Experiment(
        name="large-margin",
        task="Three kinds of irises by the large-margin loss of several classes",
        data="scikit-learn's iris",
        target=Target("accuracy", 0.95),
        minutes=0.2,
        config=SupervisedConfig(epochs=50, batch_size=16, learning_rate=0.02, validation_fraction=0.0),
        load=load_iris,
        make_source=make_iris_source,
        make_learner=lambda setting, total: Learner(
            partial(nn.Linear, 4, 3), margin_loss, setting.config, total, setting.seeds, setting.device
        ),
        evaluate=lambda learner, setting, split: accuracy(learner, getattr(setting.data, split)),
        report=report_classes,
        headlines={"train/accuracy": "accuracy"},
        tested="last",
    ),
]
