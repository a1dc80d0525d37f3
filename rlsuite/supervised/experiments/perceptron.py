"""The perceptron (Rosenblatt, 1958), and the bound on its mistakes (Novikoff, 1962).

It takes x for the class of the sign of ``f(x) = w.x + b``. It learns from its mistakes only: wherever ``y f(x) <= 0``,

    w <- w + y x        b <- b + y

so that w is always the sum of ``y x`` over the mistakes made. The same rule with targets t of 0 and 1 and outputs o is
``w <- w - (o - t) x``. It is gradient descent on ``max(0, -y f(x))``, one example after the other.

Why it stops: let a line (w*, b*) with ``|w*| = 1`` leave a margin, ``y (w*.x + b*) >= m`` for all examples, and let
``|x| <= r``. Each mistake adds at least m to ``(w, b).(w*, b*)`` and, since ``y f(x) <= 0``, at most ``r^2 + 1`` to
``|(w, b)|^2``. After M mistakes therefore, by Cauchy and Schwarz,

    M m  <=  (w, b).(w*, b*)  <=  |(w, b)| |(w*, b*)|  <=  sqrt(M (r^2 + 1)) sqrt(b*^2 + 1)

which is ``M <= (b*^2 + 1) (r^2 + 1) / m^2``: whatever the order of the examples, and however many they and their inputs
are. Where no line is right for all of them, as for xor or with wrong labels, mistakes never end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.configuration import Count, Fraction, Positive
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data import tables
from rlsuite.supervised.data.tables import Table
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import figure, regions
from rlsuite.supervised.source import Batches, passes

_POINTS_STREAM = 41


@dataclass(frozen=True, kw_only=True)
class PerceptronConfig(RunConfig):
    epochs: Count = 20


@dataclass(frozen=True, kw_only=True)
class SeparableConfig(PerceptronConfig):
    """Every seed has points of its own, and a line between the two classes."""

    points: Count = 100
    """Points that each seed learns from."""
    inputs: Count = 2
    """Numbers that a point has."""
    margin: Positive = 0.1
    """Least distance of all points from the line; that of a seed's own points is up to ten times as much."""
    noise: Fraction = 0.0
    """Share of the labels that are wrong; the bound holds for none."""


class Points(NamedTuple):
    """Inputs ``[S, N, F]`` and labels ``[S, N]``, -1 or 1."""

    inputs: Tensor
    labels: Tensor


class Sides(NamedTuple):
    """Points to learn from and to test with, and what is known about them."""

    train: Points
    test: Points
    bound: Tensor | None  # [S], on the number of mistakes
    features: tuple[str, ...]
    classes: tuple[str, str]


def learn(perceptron: Tensors, batch: Points) -> Tensors:
    """Take one point after the other, and learn from those that are on the wrong side."""
    weights, bias, mistakes = perceptron["weights"], perceptron["bias"], perceptron["mistakes"]
    before = mistakes.clone()
    for x, y in zip(batch.inputs.unbind(1), batch.labels.unbind(1), strict=True):
        is_wrong = y * side(weights, bias, x) <= 0.0
        weights += (is_wrong * y).unsqueeze(1) * x
        bias += is_wrong * y
        mistakes += is_wrong
    perceptron["last_pass"].copy_(mistakes - before)
    return {"loss/train": perceptron["last_pass"] / batch.labels.shape[1]}


def side(weights: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """f(x) of the perceptrons ``[S, F]``, ``[S]`` at points ``[S, F]``."""
    return (weights * x).sum(dim=1) + bias


def make_source(setting: Setting[PerceptronConfig, Sides]) -> Batches[Points]:
    return passes(Points(*(tensor.to(setting.device) for tensor in setting.data.train)), setting.seeds)


def make_learner(setting: Setting[PerceptronConfig, Sides], total_updates: int) -> ByHand[Points]:
    seeds, _, inputs = setting.data.train.inputs.shape
    shapes = {"weights": (seeds, inputs), "bias": (seeds,), "mistakes": (seeds,), "last_pass": (seeds,)}
    return ByHand({name: torch.zeros(shape, device=setting.device) for name, shape in shapes.items()}, learn)


def evaluate(learner: ByHand[Points], setting: Setting[PerceptronConfig, Sides], split: Split) -> dict[str, np.ndarray]:
    """The share of points that are on the right side, and the mistakes made so far and in the last pass."""
    perceptron = {name: tensor.cpu() for name, tensor in learner.tensors.items()}
    inputs, labels = setting.data.test if split == "test" else setting.data.train
    sides = torch.einsum("sf,snf->sn", perceptron["weights"], inputs) + perceptron["bias"].unsqueeze(1)
    found = {
        "accuracy": (labels * sides > 0.0).float().mean(dim=1),
        "mistakes": perceptron["mistakes"],
        "mistakes_in_last_pass": perceptron["last_pass"],
    }
    if setting.data.bound is not None:
        found["mistakes_of_bound"] = perceptron["mistakes"] / setting.data.bound
    return {name: value.numpy() for name, value in found.items()}


def separable(config: SeparableConfig) -> Sides:
    """Points of the cube [-1, 1], moved away from a line of the seed's own."""
    keys = random.key(torch.arange(config.seed, config.seed + config.seeds), _POINTS_STREAM)
    normals = torch.nn.functional.normalize(random.normal(random.fold(keys, 0), config.inputs), dim=1)
    offsets = 0.5 * random.uniform(random.fold(keys, 1)) - 0.25
    points = 2.0 * random.uniform(random.fold(keys, 2), config.points, config.inputs) - 1.0
    sides = torch.einsum("sf,snf->sn", normals, points) + offsets.unsqueeze(1)
    labels = torch.where(sides > 0.0, 1.0, -1.0)
    away = config.margin * 10.0 ** random.uniform(random.fold(keys, 4))
    points = points + (away.unsqueeze(1) * labels).unsqueeze(-1) * normals.unsqueeze(1)
    margins = (labels * (torch.einsum("sf,snf->sn", normals, points) + offsets.unsqueeze(1))).amin(dim=1)
    largest = points.square().sum(dim=-1).amax(dim=1)  # r^2
    bound = (offsets.square() + 1.0) * (largest + 1.0) / margins.square()
    is_noise = random.uniform(random.fold(keys, 3), config.points) < config.noise
    seen = Points(points, torch.where(is_noise, -labels, labels))
    return Sides(seen, seen, bound, tuple(f"x{number + 1}" for number in range(config.inputs)), ("-1", "1"))


def of_table(read: Callable[[], Table], hold_out: bool = False) -> Callable[[PerceptronConfig], Sides]:
    """The same points for all seeds, class 0 of the table or another; every fifth is held out for the test."""

    def load(config: PerceptronConfig) -> Sides:
        inputs, classes, features, names = read()
        labels = torch.where(classes == 0, -1.0, 1.0)
        is_test = torch.arange(len(labels)) % 5 == 0 if hold_out else torch.ones(len(labels), dtype=torch.bool)
        is_train = ~is_test if hold_out else is_test

        def points(chosen: Tensor) -> Points:
            return Points(*(own[chosen].expand(config.seeds, *own[chosen].shape) for own in (inputs, labels)))

        return Sides(points(is_train), points(is_test), None, features, (names[0], " or ".join(names[1:])))

    return load


def iris_petals() -> Table:
    """The flowers by the length and the width of their petals."""
    table = tables.iris()
    return table._replace(inputs=table.inputs[:, 2:], features=table.features[2:])


def report(trained: Trained[PerceptronConfig, Sides]) -> Facts:
    """Draw the first seed's line, and every seed's mistakes beside their bound."""
    data, perceptron = trained.setting.data, {name: tensor.cpu() for name, tensor in trained.learner.tensors.items()}
    if len(data.features) == 2:
        weights, bias = perceptron["weights"][0].numpy(), perceptron["bias"][0].numpy()
        regions(
            trained.folder / "line.png",
            data.train.inputs[0].numpy(),
            (data.train.labels[0] > 0.0).long().numpy(),
            data.classes,
            lambda points: (points @ weights + bias > 0.0).astype(int),
            title=f"the line after {int(perceptron['mistakes'][0])} mistakes",
            axes_labels=(data.features[0], data.features[1]),
        )
    if data.bound is None:
        return {}
    with figure(trained.folder / "mistakes.png", 5.0, 4.0) as (_, axes):
        axis = axes[0, 0]
        ends = [1.0, float(data.bound.max())]
        axis.plot(ends, ends, color="0.5", linestyle="--", linewidth=1.0, label="bound")
        axis.scatter(data.bound.numpy(), perceptron["mistakes"].clamp(min=1.0).numpy(), s=10, label="one seed")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("bound on the number of mistakes")
        axis.set_ylabel("mistakes")
        axis.set_title("Mistakes of each set of points", fontsize="medium", loc="left")
        axis.legend(frameon=False, fontsize="small")
    return {"largest_share_of_bound": float((perceptron["mistakes"] / data.bound).max())}


def experiment(
    name: str,
    task: str,
    data: str,
    target: Target,
    load: Callable[..., Sides],
    config: PerceptronConfig = PerceptronConfig(),
) -> Experiment[PerceptronConfig, Sides]:
    return Experiment(
        name=name,
        task=task,
        data=data,
        target=target,
        minutes=0.1,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )


_NONE = Target("mistakes_in_last_pass", 0.0, higher_is_better=False)

EXPERIMENTS = [
    experiment(
        "perceptron",
        "Perceptron on points on two sides of a line, its mistakes counted beside their bound",
        "made up",
        _NONE,
        separable,
        SeparableConfig(epochs=100, seeds=100),
    ),
    experiment("perceptron-or", "Perceptron learns or", "4 rows", _NONE, of_table(lambda: tables.OR)),
    experiment(
        "perceptron-xor",
        "Perceptron on xor, for which there is no line: mistakes never end",
        "4 rows",
        Target("mistakes_in_last_pass", 1.0),
        of_table(lambda: tables.XOR),
    ),
    experiment(
        "perceptron-iris",
        "Perceptron tells setosas from other irises by their petals",
        "scikit-learn's iris",
        Target("accuracy", 1.0),
        of_table(iris_petals, hold_out=True),
    ),
]
