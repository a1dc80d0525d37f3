"""A function of two numbers by a network with two layers of 64 rectified units.

A layer of enough units comes as near to any continuous function on a bounded set as one likes (Cybenko, 1989; Hornik,
1991): differences of two units are bumps, and a sum of bumps has any shape. Two layers need fewer units.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.networks.mlp import mlp
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, minibatches

_POINTS_STREAM = 45
_SIZES = (2, 64, 64, 1)


class Points(NamedTuple):
    """Places ``[..., 2]`` and the function's values there ``[...]``."""

    places: Tensor
    values: Tensor


class Parts(NamedTuple):
    train: Points
    validation: Points
    test: Points


Fit = Setting[SupervisedConfig, Parts]


def function(places: Tensor) -> Tensor:
    """cos(pi x / 2) cos(pi y / 2)."""
    return (0.5 * math.pi * places).cos().prod(dim=-1)


def load(config: SupervisedConfig) -> Parts:
    """Points of the square [-1, 1]: those to train on, and a thousand each for validation and test."""
    counts = (config.examples or 10_000, 1_000, 1_000)
    keys = random.key(torch.arange(3), _POINTS_STREAM)
    places = [2.0 * random.uniform(key, count, 2) - 1.0 for key, count in zip(keys, counts, strict=True)]
    return Parts(*(Points(own, function(own)) for own in places))


def make_source(setting: Fit) -> Batches[Points]:
    train = Points(*(tensor.to(setting.device) for tensor in setting.data.train))
    return minibatches(train, setting.config.batch_size, setting.seeds)


def squares(network: Forward, batch: Points, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    errors = network(batch.places).squeeze(-1) - batch.values
    return errors.square().mean(dim=1), {}, state


def make_learner(setting: Fit, total_updates: int) -> Learner[Points]:
    return Learner(lambda: mlp(_SIZES), squares, setting.config, total_updates, setting.seeds, setting.device)


def evaluate(learner: Learner[Points], setting: Fit, split: Split) -> dict[str, np.ndarray]:
    """The mean squared and the mean absolute error."""
    points: Points = getattr(setting.data, split)
    errors = fitted(learner, points.places) - points.values
    return {"mse": errors.square().mean(dim=1).numpy(), "mae": errors.abs().mean(dim=1).numpy()}


def fitted(learner: Learner[Points], places: Tensor) -> Tensor:
    """Outputs of the networks ``[S, N]`` at places ``[N, 2]``."""
    return learner(places.to(learner.seeds.device).expand(len(learner.seeds), -1, -1)).squeeze(-1).cpu()


def report(trained: Trained[SupervisedConfig, Parts]) -> Facts:
    """Draw the function, the first seed's fit, and the difference."""
    line = torch.linspace(-1.0, 1.0, 101)
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    true = function(places)
    found = fitted(trained.learner, places.flatten(0, 1))[0].view_as(true)
    largest = float((found - true).abs().max())
    shown = {"function": (true, 0.0, 1.0, "viridis"), "network": (found, 0.0, 1.0, "viridis")}
    shown["network - function"] = (found - true, -largest, largest, "RdBu_r")
    with figure(trained.folder / "function.png", 10.5, 3.2, 1, 3) as (drawn, axes):
        for axis, (title, (values, low, high, colours)) in zip(axes[0], shown.items(), strict=True):
            image = axis.imshow(
                values.numpy(), extent=(-1, 1, -1, 1), origin="lower", vmin=low, vmax=high, cmap=colours
            )
            drawn.colorbar(image, ax=axis)
            axis.set_title(title, fontsize="medium", loc="left")
    return {"parameters": trained.learner.network.parameters.shape[1], "largest_error": largest}


EXPERIMENTS = [
    Experiment(
        name="function-fit",
        task="A function of two numbers, cos(pi x / 2) cos(pi y / 2)",
        data="made up",
        target=Target("mse", 2e-4, higher_is_better=False),
        minutes=0.2,
        config=SupervisedConfig(epochs=3, batch_size=32, learning_rate=0.01),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
    )
]
