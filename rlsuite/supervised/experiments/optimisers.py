"""Optimisers side by side, on functions whose curvature lies between m and L, beside what is proved of them.

With k = L / m, d the distance of the start from the minimum, and t steps, the loss above the least is at most

    gradient descent, rate 2 / (L + m)                      L/2 d^2 ((k - 1) / (k + 1))^(2 t)
    Nesterov, rate 1 / L,                                   (L + m)/2 d^2 (1 - 1/sqrt k)^t
        momentum (sqrt k - 1) / (sqrt k + 1)
    heavy ball, rate 4 / (sqrt L + sqrt m)^2,               L/2 d^2 (1 + 2 t)^2 q^(2 t), on quadratics only,
        momentum q^2                                        with q = (sqrt k - 1) / (sqrt k + 1)
    Newton's step, w - H^-1 g                               0 after one step, on quadratics only

(Polyak, 1964; Nesterov, 2004.) Of the others nothing as simple is known; they are here to be compared. Nesterov's bound
is for the points that momentum starts from, and torch's parameters are the points that it ends at, where the gradient
is taken: these keep the bound here as well.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, hessian
from torch.optim import SGD, Adagrad, Adam, Optimizer, RMSprop

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data.tables import breast_cancer, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import figure
from rlsuite.supervised.optimisers import SideBySide, TwoRateMomentum, WindowedAdagrad
from rlsuite.supervised.source import FULL_BATCH, Batches
from rlsuite.tracking.jsonl import read_metrics

_STREAM = 46
_ROUNDING = 1e-13  # losses above the least are not known more exactly
_LOGGED = 20  # steps an epoch, each of which is logged
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#882255")


@dataclass(frozen=True, kw_only=True)
class OptimisersConfig(RunConfig):
    epochs: Count = 20
    """Evaluations, one every twenty steps."""


@dataclass(frozen=True, kw_only=True)
class QuadraticConfig(OptimisersConfig):
    numbers: Count = 10
    """Numbers that the function is of."""
    condition: Positive = 100.0
    """The largest curvature over the least."""


@dataclass(frozen=True, kw_only=True)
class LogisticConfig(OptimisersConfig):
    weight_decay: Positive = 0.01
    """Half of this times the squared weights is added to the loss; the least curvature there is."""


class Problem(NamedTuple):
    """A function of parameters, one for each seed."""

    loss: Callable[[Tensor], Tensor]  # of [S, P], to [S]
    start: Tensor  # [S, P] float64
    minimum: Tensor  # [S, P]
    curvature: tuple[float, float]  # m and L
    is_quadratic: bool

    def excess(self, parameters: Tensor) -> Tensor:
        return self.loss(parameters) - self.loss(self.minimum)


def quadratic(config: QuadraticConfig) -> Problem:
    """1/2 (w - w*)' H (w - w*), with curvatures from 1 / condition to 1 along axes of the seed's own."""
    if config.condition < 1.0:
        raise ValueError("--condition must be at least 1")
    keys = random.key(torch.arange(config.seed, config.seed + config.seeds), _STREAM)
    axes, _ = torch.linalg.qr(random.normal(random.fold(keys, 0), config.numbers, config.numbers).double())
    curvatures = torch.logspace(-math.log10(config.condition), 0.0, config.numbers, dtype=torch.float64)
    minimum = random.normal(random.fold(keys, 1), config.numbers).double()

    def loss(parameters: Tensor) -> Tensor:
        along = ((parameters - minimum).unsqueeze(1) @ axes).squeeze(1)  # in the axes' coordinates it is a sum
        return 0.5 * (curvatures * along.square()).sum(dim=1)

    start = minimum + axes.sum(dim=2)
    return Problem(loss, start, minimum, (float(curvatures[0]), float(curvatures[-1])), is_quadratic=True)


def logistic(config: LogisticConfig) -> Problem:
    """Logistic regression of tumours with weight decay, from weights of zero."""
    inputs, classes, _, _ = breast_cancer()
    inputs = torch.cat([standardised(inputs, like=inputs), torch.ones(len(inputs), 1)], dim=1).double()
    signs = 2.0 * classes.double() - 1.0

    def loss(parameters: Tensor) -> Tensor:
        margins = signs * (parameters @ inputs.T)
        return torch.nn.functional.softplus(-margins).mean(dim=1) + penalty * parameters.square().sum(dim=1)

    penalty = 0.5 * config.weight_decay
    start = torch.zeros(config.seeds, inputs.shape[1], dtype=torch.float64)
    largest = float(torch.linalg.eigvalsh(inputs.T @ inputs / len(inputs))[-1]) / 4.0 + config.weight_decay
    minimum = newton(loss, start, steps=20)[-1]
    return Problem(loss, start, minimum, (config.weight_decay, largest), is_quadratic=False)


def newton(loss: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> list[Tensor]:
    """The start ``[S, P]`` and the parameters after each of Newton's steps, w - H^-1 g."""

    def total(parameters: Tensor) -> Tensor:
        return loss(parameters).sum()

    path = [start]
    for _ in range(steps):
        own = (
            hessian(total)(path[-1]).diagonal(dim1=0, dim2=2).movedim(-1, 0)
        )  # [S, P, P]: seeds have no part in others
        path.append(path[-1] - torch.linalg.solve(own, grad(total)(path[-1])))
    return path


def optimisers(low: float, high: float) -> dict[str, Callable[[list[Tensor]], Optimizer]]:
    """The optimisers by name, tuned to curvatures from ``low`` to ``high`` where there is a rule for it."""
    root = math.sqrt(high / low)
    momentum = (root - 1.0) / (root + 1.0)
    heavy = 4.0 / (math.sqrt(low) + math.sqrt(high)) ** 2
    return {
        "gradient descent": partial(SGD, lr=2.0 / (low + high)),
        "Nesterov": partial(SGD, lr=1.0 / high, momentum=momentum, nesterov=True),
        "heavy ball": partial(SGD, lr=heavy, momentum=momentum**2),
        "two-rate momentum": partial(TwoRateMomentum, lr=0.3 / high, momentum_lr=2.0 / high),
        "AdaGrad": partial(Adagrad, lr=0.5, eps=1e-12),
        "windowed AdaGrad": partial(WindowedAdagrad, lr=0.1),
        "RMSProp": partial(RMSprop, lr=0.01),
        "Adam": partial(Adam, lr=0.1),
    }


def bounds(problem: Problem, steps: np.ndarray) -> dict[str, np.ndarray]:
    """Bounds on the loss above the least after so many steps ``[T]``, by optimiser, ``[S, T]``."""
    low, high = problem.curvature
    square = (problem.start - problem.minimum).square().sum(dim=1, keepdim=True).numpy()
    condition = high / low
    ratio, root = (condition - 1.0) / (condition + 1.0), math.sqrt(condition)
    found = {
        "gradient descent": 0.5 * high * square * ratio ** (2 * steps),
        "Nesterov": 0.5 * (low + high) * square * (1.0 - 1.0 / root) ** steps,
    }
    if problem.is_quadratic:
        heavy = (1.0 + 2.0 * steps) ** 2 * ((root - 1.0) / (root + 1.0)) ** (2 * steps)
        found["heavy ball"] = 0.5 * high * square * heavy
    return found


Optimisers = Setting[OptimisersConfig, Problem]


def make_source(setting: Optimisers) -> Batches[int]:
    """A step is on all data; it needs no batch."""
    return Batches(lambda number: number, _LOGGED, alone=FULL_BATCH)


def make_learner(setting: Optimisers, total_updates: int) -> SideBySide[int]:
    problem = setting.data
    return SideBySide(problem.start, optimisers(*problem.curvature), lambda parameters, _: problem.loss(parameters))


def evaluate(learner: SideBySide[int], setting: Optimisers, split: Split) -> dict[str, np.ndarray]:
    """The loss of each above the least, and the largest share of a bound that is used up."""
    found = {name: setting.data.excess(own).detach().numpy() for name, own in learner.parameters.items()}
    limits = bounds(setting.data, np.array([learner.updates]))
    shares = [found[name] / np.maximum(limit[:, 0], _ROUNDING) for name, limit in limits.items()]
    return {"of_bound": np.max(shares, axis=0)} | {name.replace(" ", "_"): value for name, value in found.items()}


def report(trained: Trained[OptimisersConfig, Problem]) -> Facts:
    """Draw how the loss of each falls, beside the bounds; return what is used up of the bounds, and the rates."""
    problem = trained.setting.data
    metrics = read_metrics(trained.folder / "metrics.jsonl")
    least = problem.loss(problem.minimum).numpy()[:, None]
    steps = metrics["loss/train"].updates - 1  # the loss of an update is that before it
    excess = {name: metrics[f"loss/{name}"].values - least for name in trained.learner.parameters}
    limits = bounds(problem, steps)
    path = newton(problem.loss, problem.start, steps=8)
    of_newton = np.array([float(problem.excess(own)[0]) for own in path])
    colours = dict(zip(excess, _COLOURS, strict=True))
    with figure(trained.folder / "optimisers.png", 8.0, 4.6) as (_, axes):
        axis = axes[0, 0]
        for name, values in excess.items():
            axis.plot(steps, values[0].clip(min=_ROUNDING), color=colours[name], label=name)
        for name, values in limits.items():
            axis.plot(steps, values[0], color=colours[name], linestyle=":", linewidth=1.2)
        axis.plot(range(len(path)), of_newton.clip(min=_ROUNDING), color="black", marker=".", label="Newton")
        axis.plot([], [], color="0.3", linestyle=":", label="bounds")
        axis.set_yscale("log")
        axis.set_ylim(_ROUNDING / 2.0, None)
        axis.set_xlabel("step")
        axis.set_ylabel("loss above the least")
        low, high = problem.curvature
        axis.set_title(f"Curvatures from {low:.3g} to {high:.3g}", fontsize="medium", loc="left")
        axis.grid(color="0.9", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    used = {name: float((excess[name] / np.maximum(limit, _ROUNDING)).max()) for name, limit in limits.items()}
    return {
        "curvature": problem.curvature,
        "largest_share_of_bound": used,
        "rate_a_step": {name: _rate(values[0]) for name, values in excess.items()},
        "newton": of_newton.tolist(),
    }


def _rate(excess: np.ndarray) -> float | None:
    """The factor by which the loss above the least falls a step, in the second half of what rounding leaves."""
    whole = int(np.argmax(excess < 100.0 * _ROUNDING)) or len(excess)
    first, last = whole // 2, whole - 1
    if last <= first:
        return None
    return float((excess[last] / excess[first]) ** (1.0 / (last - first)))


def experiment(
    name: str,
    task: str,
    data: str,
    load: Callable[..., Problem],
    config: OptimisersConfig,
) -> Experiment[OptimisersConfig, Problem]:
    return Experiment(
        name=name,
        task=task,
        data=data,
        target=Target("of_bound", 1.0, higher_is_better=False),
        minutes=0.2,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )


EXPERIMENTS = [
    experiment(
        "optimisers-quadratic",
        "Optimisers on a quadratic, below their bounds",
        "made up",
        quadratic,
        QuadraticConfig(),
    ),
    experiment(
        "optimisers-logistic",
        "Optimisers on logistic regression, below their bounds",
        "scikit-learn's breast cancer",
        logistic,
        LogisticConfig(),
    ),
]
