"""Stochastic gradient descent in a ball, one example a step, beside what is proved of it for every schedule of rates.

    w_(t+1) = the point of the ball nearest to w_t - rate_t g_t

where g_t is the gradient at w_t of the loss of one example. Let d be the distance of w_1 from the minimum and G a bound
on the gradients. Then for the mean of all iterates, each weighted by its rate (Zinkevich, 2003; Nemirovski, 2009),

    E[loss of the mean] - least  <=  (d^2 + G^2 sum of rate_t^2) / (2 sum of rate_t)

A constant rate d / (G sqrt T) makes this G d / sqrt T. Rates that fall as t^-1/2 make it log T / sqrt T without knowing
T. Rates that fall exponentially add up to a finite sum, so that it never gets small: they are not recommended. With
weight decay m the loss is curved everywhere, and for rates 1 / (m t) the mean of all iterates does

    E[loss of the mean] - least  <=  G^2 (1 + log T) / (2 m T)

(Shalev-Shwartz et al., 2007), and with rates 2 / (m (t + 1)) and weights t it is 2 G^2 / (m (T + 1)) (Lacoste-Julien et
al., 2012). The run's numbers are means over examples drawn at random, so that the bounds hold on average over seeds.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.networks.averaging import Average
from rlsuite.networks.population import clip_rows
from rlsuite.state import restore
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data.tables import breast_cancer, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.experiments.optimisers import newton
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.source import Batches, made_up
from rlsuite.tracking.jsonl import read_metrics


@dataclass(frozen=True, kw_only=True)
class RatesConfig(RunConfig):
    epochs: Count = 20
    steps: Count = 500
    """Steps an epoch, each on one example."""
    seeds: Count = 10
    weight_decay: Positive = 0.03
    """Half of this times the squared weights is added to the loss."""
    radius: Positive = 10.0
    """Of the ball that weights are kept in; must hold the minimum."""


class Problem(NamedTuple):
    """Examples of length 1 times their labels ``[N, F]``, and the minimum of their logistic loss."""

    signed: Tensor
    minimum: Tensor  # [F]
    largest_gradient: float  # G, in the ball
    distance: float  # d

    def loss(self, weights: Tensor, decay: float) -> Tensor:
        """The mean over all examples, of weights ``[..., F]``."""
        fit = torch.nn.functional.softplus(-weights @ self.signed.T).mean(dim=-1)
        return fit + 0.5 * decay * weights.square().sum(dim=-1)


Rates = Setting[RatesConfig, Problem]


@dataclass(frozen=True)
class Schedule:
    """Rates and weights of steps t = 1, 2 ... [T], and the bound after each number of steps."""

    rates: Callable[[np.ndarray], np.ndarray]
    weights: Callable[[np.ndarray], np.ndarray]
    bound: Callable[[np.ndarray], np.ndarray]


def load(config: RatesConfig) -> Problem:
    """Tumours, scaled to points of the unit sphere, so that the gradient of the loss of one is at most 1.

    Raises:
        ValueError: the minimum lies outside the ball.
    """
    inputs, classes, _, _ = breast_cancer()
    inputs = torch.cat([standardised(inputs, like=inputs), torch.ones(len(inputs), 1)], dim=1).double()
    signed = torch.nn.functional.normalize(inputs, dim=1) * (2.0 * classes.double() - 1.0).unsqueeze(1)
    decay = config.weight_decay
    problem = Problem(signed, signed[0], 1.0 + decay * config.radius, 0.0)
    minimum = newton(lambda w: problem.loss(w, decay), torch.zeros_like(signed[:1]), steps=20)[-1][0]
    if minimum.norm() > config.radius:
        raise ValueError(f"--radius must be at least {minimum.norm():.3g}, the distance of the minimum")
    return problem._replace(minimum=minimum, distance=float(minimum.norm()))


def inverse_power(alpha: float, beta: float, power: float) -> Callable[[np.ndarray], np.ndarray]:
    """alpha / (beta + t)^power (Robbins and Monro, 1951; Bottou, 2010)."""
    return lambda t: alpha / (beta + t) ** power


def schedules(config: RatesConfig, problem: Problem) -> dict[str, Schedule]:
    """The schedules by name, with rates that suit a run of this length."""
    decay, total = config.weight_decay, config.epochs * config.steps
    largest, distance = problem.largest_gradient, problem.distance

    def by_rate(rates: Callable[[np.ndarray], np.ndarray]) -> Schedule:
        def bound(t: np.ndarray) -> np.ndarray:
            steps, place = rates(np.arange(1.0, t.max() + 1.0)), t.astype(int) - 1
            sums, squares = steps.cumsum()[place], np.square(steps).cumsum()[place]
            return (distance**2 + largest**2 * squares) / (2.0 * sums)

        return Schedule(rates, rates, bound)

    scale = distance / largest
    return {
        "constant": by_rate(lambda t: np.full(t.shape, scale / math.sqrt(total))),
        "t^-1/2": by_rate(inverse_power(scale, 0.0, 0.5)),
        "t^-3/4": by_rate(inverse_power(3.0 * scale, 10.0, 0.75)),
        "exponential": by_rate(lambda t: scale * np.exp(-10.0 * t / total)),
        "1/(m t)": Schedule(
            inverse_power(1.0 / decay, 0.0, 1.0),
            np.ones_like,
            lambda t: largest**2 * (1.0 + np.log(t)) / (2.0 * decay * t),
        ),
        "2/(m (t+1)), late more": Schedule(
            inverse_power(2.0 / decay, 1.0, 1.0),
            lambda t: t,
            lambda t: 2.0 * largest**2 / (decay * (t + 1.0)),
        ),
    }


class Descents:
    """Descent by several schedules K side by side, on the same examples, each with the mean of its iterates."""

    def __init__(self, problem: Problem, config: RatesConfig, total_updates: int, seeds: int) -> None:
        self.problem, self.config = problem, config
        each, t = schedules(config, problem).values(), np.arange(1.0, total_updates + 1.0)
        self.rates, self.shares = (torch.tensor(np.stack(own, axis=1)) for own in _rates_and_shares(each, t))  # [T, K]
        self.weights = torch.zeros(seeds, len(each), problem.signed.shape[1], dtype=torch.float64)
        self.average = Average(self.weights)
        self.steps = torch.zeros(seeds, dtype=torch.int64)

    def update(self, batch: Tensor) -> dict[str, Tensor]:
        """A step on one example a seed, of which the numbers are given, ``[S]``."""
        step = int(self.steps[0])
        self.average.follow(self.weights, self.shares[step].expand(self.weights.shape[:2]))
        signed = self.problem.signed[batch].unsqueeze(1)  # [S, 1, F]
        margins = (self.weights * signed).sum(dim=2, keepdim=True)
        gradient = self.config.weight_decay * self.weights - signed * torch.sigmoid(-margins)
        moved = self.weights - self.rates[step].unsqueeze(1) * gradient
        nearest, _ = clip_rows(moved.flatten(0, 1), self.config.radius)
        self.weights.copy_(nearest.view_as(moved))
        self.steps += 1
        return {"loss/train": torch.nn.functional.softplus(-margins).mean(dim=(1, 2))}

    def state_dict(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "mean": self.average.mean, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        restore(self.state_dict(), state)


def _rates_and_shares(each: Collection[Schedule], t: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each schedule the rates, and the shares by which the mean moves: a weight over the sum of those so far."""
    weights = [schedule.weights(t) for schedule in each]
    return [schedule.rates(t) for schedule in each], [own / own.cumsum() for own in weights]


def make_source(setting: Rates) -> Batches[Tensor]:
    count = len(setting.data.signed)
    return made_up(lambda keys: random.integers(keys, count), setting.seeds, setting.config.steps)


def make_learner(setting: Rates, total_updates: int) -> Descents:
    return Descents(setting.data, setting.config, total_updates, len(setting.seeds))


def evaluate(learner: Descents, setting: Rates, split: Split) -> dict[str, np.ndarray]:
    """The loss of each mean above the least, and the largest share of a bound that is used up."""
    problem, config = setting.data, setting.config
    least = problem.loss(problem.minimum, config.weight_decay)
    excess = (problem.loss(learner.average.mean, config.weight_decay) - least).numpy()
    named = schedules(config, problem)
    t = np.array([float(learner.steps[0])])
    limits = np.concatenate([schedule.bound(t) for schedule in named.values()])
    found = {f"excess_{name}": excess[:, place] for place, name in enumerate(named)}
    # Bounds are on the mean over seeds, so the seeds have one share.
    return {"of_bound": np.full(len(excess), (excess.mean(axis=0) / limits).max())} | found


def report(trained: Trained[RatesConfig, Problem]) -> Facts:
    """Draw the mean over seeds of the losses above the least, beside the bounds."""
    named = schedules(trained.setting.config, trained.setting.data)
    metrics = read_metrics(trained.folder / "metrics.jsonl")
    facts = {}
    with figure(trained.folder / "rates.png", 8.0, 4.6) as (_, axes):
        axis = axes[0, 0]
        for colour, (name, schedule) in zip(COLOURS, named.items(), strict=False):
            series = metrics[f"validation/excess_{name}"]
            bound, excess = schedule.bound(series.updates.astype(float)), series.values.mean(axis=0)
            axis.plot(series.updates, excess, color=colour, label=name)
            axis.plot(series.updates, bound, color=colour, linestyle=":", linewidth=1.2)
            facts[name] = {"excess": float(excess[-1]), "bound": float(bound[-1])}
        axis.plot([], [], color="0.3", linestyle=":", label="bounds")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("steps, each on one example")
        axis.set_ylabel("loss of the mean of iterates, above the least")
        axis.set_title(f"Mean over {len(trained.setting.seeds)} seeds", fontsize="medium", loc="left")
        axis.grid(color="0.9", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return {"schedules": facts}


EXPERIMENTS = [
    Experiment(
        name="stochastic-rates",
        task="Schedules of stochastic gradient descent, with averaging, below their bounds",
        data="scikit-learn's breast cancer",
        target=Target("of_bound", 1.0, higher_is_better=False),
        minutes=0.3,
        config=RatesConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )
]
