"""Gradient descent on functions whose minimum is known: ``theta <- theta - rate * gradient(theta)``.

Linear regression fits ``y = X theta``, where the first column of X is 1, by

    J(theta) = 1/m |X theta - y|^2        dJ/dtheta = 2/m X' (X theta - y)

and the minimum is where ``X'X theta = X'y``. Where there are more unknowns than equations there are many such theta.
Since every step is a combination of the rows of X, descent that begins at 0 ends at the one of the least norm.

Descent converges where rate < 2 / a, with a the largest eigenvalue of the Hessian (2/m X'X here), and it is slow in the
directions of the small ones: steps are about as many as the one is times the other. This is why inputs are standardised
first, without which the areas of houses in square feet need rates of 1e-7, or whitened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data.tables import standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import curves
from rlsuite.supervised.source import FULL_BATCH, Batches

_DATA_STREAM = 42

# Square feet, and prices in thousands of dollars.
HOUSES = ((2104.0, 400.0), (1600.0, 330.0), (2400.0, 369.0), (1416.0, 232.0), (3000.0, 540.0))


@dataclass(frozen=True, kw_only=True)
class DescentConfig(RunConfig):
    epochs: Count = 20
    steps: Count = 50
    """Steps an epoch."""
    learning_rate: Positive = 0.1
    """Length of a step, as a multiple of the gradient."""


@dataclass(frozen=True, kw_only=True)
class UnevenConfig(DescentConfig):
    epochs: Count = 2
    learning_rate: Positive = 0.5
    """Length of a step, as a multiple of the gradient; the largest curvature is 2."""
    prepare: Literal["raw", "standardised", "whitened"] = "whitened"
    """Leave inputs as they are, standardise each, or take away their correlations too."""


class Problem(NamedTuple):
    """A function of theta ``[S, P]``, a function for each seed."""

    start: Tensor  # [S, P]
    loss: Callable[[Tensor], Tensor]  # to [S]
    gradient: Callable[[Tensor], Tensor]  # to [S, P]
    minimum: Tensor  # [S, P]
    facts: Callable[[Tensor], Facts]  # of the first seed's theta [P]


def squares(inputs: Tensor, targets: Tensor, facts: Callable[[Tensor], Facts]) -> Problem:
    """The least squares of ``X theta = y``, X ``[S, M, P]`` and y ``[S, M]``, from theta 0."""
    transposed, equations = inputs.mT, targets.shape[1]

    def residuals(theta: Tensor) -> Tensor:
        return (inputs @ theta.unsqueeze(-1)).squeeze(-1) - targets

    def loss(theta: Tensor) -> Tensor:
        return residuals(theta).square().mean(dim=1)

    def gradient(theta: Tensor) -> Tensor:
        return 2.0 / equations * (transposed @ residuals(theta).unsqueeze(-1)).squeeze(-1)

    # The pseudo-inverse gives the theta of the least norm, where there are several.
    minimum = (torch.linalg.pinv(inputs.double()) @ targets.double().unsqueeze(-1)).squeeze(-1).float()
    return Problem(torch.zeros_like(inputs[:, 0]), loss, gradient, minimum, facts)


def line(config: DescentConfig) -> Problem:
    """Hundred points about the line y = 4 + 3 x."""
    keys = _keys(config)
    x = 2.0 * random.uniform(random.fold(keys, 0), 100)
    y = 4.0 + 3.0 * x + random.normal(random.fold(keys, 1), 100)
    inputs = torch.stack([torch.ones_like(x), x], dim=-1)
    return squares(inputs, y, lambda theta: {"intercept": float(theta[0]), "slope": float(theta[1])})


def houses(config: DescentConfig) -> Problem:
    """Prices of five houses by their areas, which are standardised for the descent."""
    area, price = torch.tensor(HOUSES).T
    mean, spread = area.mean(), area.std(correction=0)
    inputs = torch.stack([torch.ones_like(area), (area - mean) / spread], dim=-1).expand(config.seeds, -1, -1)

    def facts(theta: Tensor) -> Facts:
        slope = theta[1] / spread
        return {"intercept": float(theta[0] - slope * mean), "slope": float(slope)}

    return squares(inputs, price.expand(config.seeds, -1), facts)


def few_equations(config: DescentConfig) -> Problem:
    """Twenty equations for fifty unknowns."""
    keys = _keys(config)
    inputs, targets = random.normal(random.fold(keys, 0), 20, 50), random.normal(random.fold(keys, 1), 20)
    return squares(inputs, targets, lambda theta: {"norm": float(theta.norm())})


def cubic(config: DescentConfig) -> Problem:
    """f(x) = x^3 - 2 x^2 + 2 from x = 2, with its minimum at 4/3."""
    start = torch.full((config.seeds, 1), 2.0)
    minimum = torch.full((config.seeds, 1), 4.0 / 3.0)
    return Problem(
        start,
        lambda x: (x**3 - 2.0 * x**2 + 2.0).squeeze(-1),
        lambda x: 3.0 * x**2 - 4.0 * x,
        minimum,
        lambda x: {"x": float(x), "x_after_17_steps": float(descent(cubic(config), config.learning_rate, 17)[-1, 0])},
    )


def parabola(config: DescentConfig) -> Problem:
    """a/2 (w - 3)^2 with a = 10: a rate of 1 / a needs one step, 2 / a comes no nearer, more diverges."""
    minimum = torch.full((config.seeds, 1), 3.0)
    return Problem(
        torch.zeros(config.seeds, 1),
        lambda w: 5.0 * (w - minimum).square().squeeze(-1),
        lambda w: 10.0 * (w - minimum),
        minimum,
        lambda w: {"w": float(w)},
    )


def uneven(config: UnevenConfig) -> Problem:
    """Two hundred equations whose unknowns have inputs of very different sizes, which go together."""
    keys = _keys(config)
    mixed = random.normal(random.fold(keys, 0), 200, 5) @ random.normal(random.fold(keys, 1), 5, 5)
    raw = mixed * torch.logspace(-1.0, 1.0, 5) + 1.0
    targets = raw.mean(dim=2) + 0.1 * random.normal(random.fold(keys, 2), 200)
    inputs = prepared(raw, config.prepare)
    # Inputs differ in size between ways and seeds, and so does the largest rate: each seed's is 1 at most.
    inputs = inputs / torch.linalg.matrix_norm(inputs, 2).view(-1, 1, 1) * 200**0.5
    curvatures = torch.linalg.eigvalsh(2.0 / 200 * inputs.mT @ inputs)
    condition = float(curvatures[0, -1] / curvatures[0, 0])
    return squares(inputs, targets - targets.mean(dim=1, keepdim=True), lambda theta: {"condition": condition})


def prepared(inputs: Tensor, way: Literal["raw", "standardised", "whitened"]) -> Tensor:
    """Inputs ``[S, M, F]`` as they are, with mean 0 and deviation 1, or without correlations besides."""
    if way == "raw":
        return inputs
    inputs = standardised(inputs, like=inputs)
    if way == "whitened":
        values, vectors = torch.linalg.eigh(inputs.mT @ inputs / inputs.shape[1])
        inputs = inputs @ vectors / values.sqrt().unsqueeze(1)
    return inputs


def _keys(config: RunConfig) -> Tensor:
    return random.key(torch.arange(config.seed, config.seed + config.seeds), _DATA_STREAM)


def descent(problem: Problem, rate: float, steps: int) -> Tensor:
    """Theta of the first seed before the first and after each of so many steps, ``[steps + 1, P]``."""
    theta, path = problem.start, [problem.start[0]]
    for _ in range(steps):
        theta = theta - rate * problem.gradient(theta)
        path.append(theta[0])
    return torch.stack(path)


Descent = Setting[DescentConfig, Problem]


def make_source(setting: Descent) -> Batches[int]:
    """A step needs nothing but theta."""
    return Batches(lambda number: number, setting.config.steps, alone=FULL_BATCH)


def make_learner(setting: Descent, total_updates: int) -> ByHand[int]:
    problem, rate = setting.data, setting.config.learning_rate

    def step(tensors: Tensors, number: int) -> Tensors:
        theta = tensors["theta"]
        loss = problem.loss(theta)
        theta -= rate * problem.gradient(theta)
        return {"loss/train": loss}

    return ByHand({"theta": problem.start.clone()}, step)


def evaluate(learner: ByHand[int], setting: Descent, split: Split) -> dict[str, np.ndarray]:
    """Distance of theta from the minimum, in the coordinate that is farthest, and the loss above the least."""
    theta, problem = learner.tensors["theta"], setting.data
    return {
        "distance": (theta - problem.minimum).abs().amax(dim=1).numpy(),
        "excess_loss": (problem.loss(theta) - problem.loss(problem.minimum)).clamp(min=0.0).numpy(),
    }


def report(trained: Trained[DescentConfig, Problem]) -> Facts:
    """Draw how the distance from the minimum falls, for the rate and for slower and faster ones."""
    problem, config = trained.setting.data, trained.setting.config
    lines = {}
    for factor in (0.1, 0.5, 1.0, 2.0):
        path = descent(problem, factor * config.learning_rate, config.epochs * config.steps)
        distances = (path - problem.minimum[0]).norm(dim=1)
        shown = distances[: int((distances < 10.0 * distances[0]).cumprod(dim=0).sum())]  # until it diverges
        lines[f"rate {factor * config.learning_rate:g}"] = (np.arange(len(shown)), shown.clamp(min=1e-8).numpy())
    curves(
        trained.folder / "distance.png",
        lines,
        x_label="step",
        y_label="distance from the minimum",
        title="Gradient descent at several learning rates",
        log_y=True,
    )
    return problem.facts(trained.learner.tensors["theta"][0])


def experiment(
    name: str,
    task: str,
    data: str,
    most: float,
    load: Callable[..., Problem],
    config: DescentConfig = DescentConfig(),
) -> Experiment[DescentConfig, Problem]:
    return Experiment(
        name=name,
        task=task,
        data=data,
        target=Target("distance", most, higher_is_better=False),
        minutes=0.1,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )


EXPERIMENTS: list[Experiment[Any, Any]] = [
    experiment("linear-regression", "Line by gradient descent, which ends at least squares", "made up", 1e-4, line),
    experiment("house-prices", "Line through five prices by gradient descent", "5 rows", 1e-3, houses),
    experiment(
        "least-norm",
        "Gradient descent from 0 finds the solution of least norm, of many",
        "made up",
        1e-5,
        few_equations,
    ),
    experiment("cubic", "Gradient descent on x^3 - 2 x^2 + 2", "a function", 1e-4, cubic, DescentConfig(epochs=2)),
    experiment(
        "parabola", "One step of the best rate on 5 (w - 3)^2", "a function", 1e-6, parabola, DescentConfig(epochs=1)
    ),
    experiment(
        "whitening",
        "Least squares in few steps, once inputs have one size and no correlations",
        "made up",
        1e-4,
        uneven,
        UnevenConfig(),
    ),
]
