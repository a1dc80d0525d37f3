"""Dropout as an approximate Bayesian model: how sure is a network? (Gal and Ghahramani, 2016).

Masks stay on when the network is asked. The mean over masks is the prediction, and what is known about y is a mixture
of normal distributions around the outputs f_t of T masks, with the noise's variance v:

    log p(y) = log 1/T sum over t of exp(-(y - f_t)^2 / (2 v)) - 1/2 log(2 pi v)

Seeds are splits of the table: seed k has the published split k. A tenth of the examples to train on is kept to choose
v, seed by seed.

``mc-dropout-gap`` asks such networks where they were shown nothing. Masks make them differ there no more than they do
elsewhere, and the function is mostly outside of what they take for possible.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Fraction
from rlsuite.networks import modes
from rlsuite.networks.modes import Dropout
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data import uci
from rlsuite.supervised.data.tables import standardised
from rlsuite.supervised.data.uci import Name, Rows
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, passes

_MASK_STREAM, _GAP_STREAM = 48, 49
_DRAWS = {"validation": 20, "test": 1_000}
_DEVIATIONS = torch.logspace(-2.5, 0.3, 40)  # of the noise, where targets have deviation 1


@dataclass(frozen=True, kw_only=True)
class DropoutConfig(SupervisedConfig):
    """A network that is uncertain by dropout."""

    epochs: Count = 30
    steps: Count = 200
    """Updates an epoch."""
    batch_size: Count = 128
    hidden: Count = 50
    """Units of each hidden layer."""
    layers: Count = 1
    """Hidden layers."""
    dropout: Fraction = 0.005
    """Share of the inputs of each layer that are set to zero."""


class Table(NamedTuple):
    """Rows of each seed ``[S, N, F]`` and ``[S, N]``, standardised by those to train on, and the scale of targets."""

    train: Rows
    validation: Rows
    test: Rows
    scale: Tensor  # [S]


Uci = Setting[DropoutConfig, Table]


def load(name: Name, config: DropoutConfig) -> Table:
    """The table in the published split of each seed."""
    inputs, targets = uci.rows(name)
    chosen = torch.arange(config.seed, config.seed + config.seeds) % uci.SPLITS
    train, test = (own[chosen] for own in uci.splits(len(targets)))
    kept = max(round(config.validation_fraction * train.shape[1]), 1)
    train, validation = train[:, kept:][:, : config.examples], train[:, :kept]
    if not train.numel():
        raise ValueError(f"--validation-fraction {config.validation_fraction:g} leaves nothing to train on")
    seen = targets[train]
    mean, scale = seen.mean(dim=1, keepdim=True), seen.std(dim=1, keepdim=True, correction=0)
    parts = [
        Rows(standardised(inputs[own], like=inputs[train]), (targets[own] - mean) / scale)
        for own in (train, validation, test)
    ]
    return Table(parts[0], parts[1], parts[2], scale.squeeze(1))


def network(config: DropoutConfig, inputs: int) -> nn.Sequential:
    """Layers of rectified units, each with dropout before it."""
    layers: list[nn.Module] = []
    for below in (inputs, *[config.hidden] * (config.layers - 1)):
        layers += [Dropout(config.dropout), nn.Linear(below, config.hidden), nn.ReLU()]
    return nn.Sequential(*layers, Dropout(config.dropout), nn.Linear(config.hidden, 1))


def squares(network: Forward, batch: Rows, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    errors = network(batch.inputs).squeeze(-1) - batch.targets
    return errors.square().mean(dim=1), {}, state


def make_source(setting: Setting[DropoutConfig, Any]) -> Batches[Rows]:
    train = Rows(*(tensor.to(setting.device) for tensor in setting.data.train))
    return Batches(passes(train, setting.seeds, setting.config.batch_size).batch, setting.config.steps)


def make_learner(setting: Setting[DropoutConfig, Any], total_updates: int) -> Learner[Rows]:
    config, inputs = setting.config, setting.data.train.inputs.shape[-1]
    return Learner(lambda: network(config, inputs), squares, config, total_updates, setting.seeds, setting.device)


def drawn(learner: Learner[Rows], inputs: Tensor, draws: int) -> Tensor:
    """Outputs ``[T, S, N]`` for inputs ``[S, N, F]`` under so many masks, one for each row of inputs."""
    keys, found = random.key(learner.seeds, _MASK_STREAM), []
    for draw in range(draws):
        with modes.training(random.fold(keys, draw)):
            found.append(learner(inputs.to(learner.seeds.device)).squeeze(-1).cpu())
    return torch.stack(found)


def log_likelihood(outputs: Tensor, targets: Tensor, variance: Tensor) -> Tensor:
    """The log-density ``[..., S, N]`` of targets ``[S, N]`` in the mixture about outputs ``[T, S, N]``."""
    variance = variance.unsqueeze(-1)
    exponents = -0.5 * (targets - outputs).square() / variance.unsqueeze(0)
    return exponents.logsumexp(dim=0) - math.log(len(outputs)) - 0.5 * (2.0 * math.pi * variance).log()


def evaluate(learner: Learner[Rows], setting: Uci, split: Split) -> dict[str, np.ndarray]:
    """The error of the mean over masks, and the log-likelihood, both for targets as they are in the table."""
    data, draws = setting.data, _DRAWS[split]
    outputs = drawn(learner, data.validation.inputs, draws)
    variances = _DEVIATIONS.square()
    each = torch.stack(
        [log_likelihood(outputs, data.validation.targets, own.expand(len(data.scale))).mean(dim=1) for own in variances]
    )
    variance = variances[each.argmax(dim=0)]  # [S]
    rows = getattr(data, split)
    outputs = drawn(learner, rows.inputs, draws)
    density = log_likelihood(outputs, rows.targets, variance).mean(dim=1) - data.scale.log()
    error = (outputs.mean(dim=0) - rows.targets).square().mean(dim=1).sqrt() * data.scale
    return {
        "rmse": error.numpy(),
        "log_likelihood": density.numpy(),
        "noise_deviation": (variance.sqrt() * data.scale).numpy(),
        "mask_deviation": (outputs.std(dim=0).mean(dim=1) * data.scale).numpy(),
    }


def report(trained: Trained[DropoutConfig, Table]) -> Facts:
    """Draw the first seed's predictions of the test set; return the means over seeds with their standard errors."""
    learner, data = trained.learner, trained.setting.data
    outputs = drawn(learner, data.test.inputs, _DRAWS["test"])[:, 0] * data.scale[0]
    targets = data.test.targets[0] * data.scale[0]
    with figure(trained.folder / "predictions.png", 4.6, 4.2) as (_, axes):
        axis = axes[0, 0]
        ends = [float(targets.min()), float(targets.max())]
        axis.plot(ends, ends, color="0.6", linewidth=1.0)
        axis.errorbar(targets, outputs.mean(dim=0), yerr=2.0 * outputs.std(dim=0), fmt=".", elinewidth=0.8)
        axis.set_xlabel("true, less the mean")
        axis.set_ylabel("mean over masks, and two deviations")
        axis.set_title("The first seed's test set", fontsize="medium", loc="left")
    values = evaluate(learner, trained.setting, "test")
    error = {name: float(own.std() / math.sqrt(len(own))) for name, own in values.items()}
    return {"mean": {name: float(own.mean()) for name, own in values.items()}, "standard_error": error}


class Gap(NamedTuple):
    """Points on both sides of a gap, ``[S, N, 1]`` and ``[S, N]``, and the function where it is asked for."""

    train: Rows
    asked: Tensor  # [M, 1]
    true: Tensor  # [M]
    is_outside: Tensor  # [M], in the gap or beyond the ends


GapSetting = Setting[DropoutConfig, Gap]
_NOISE, _INNER, _OUTER, _ASKED = 0.1, 1.0, 2.5, 3.5


def load_gap(config: DropoutConfig) -> Gap:
    """A hundred points (or ``--examples``) at distances 1 to 2.5 from zero."""
    keys = random.key(torch.arange(config.seed, config.seed + config.seeds), _GAP_STREAM)
    points = config.examples or 100
    distance = _INNER + (_OUTER - _INNER) * random.uniform(random.fold(keys, 0), points)
    x = torch.where(random.uniform(random.fold(keys, 1), points) < 0.5, -distance, distance)
    y = _wave(x) + _NOISE * random.normal(random.fold(keys, 2), points)
    asked = torch.linspace(-_ASKED, _ASKED, 281)
    is_outside = (asked.abs() < _INNER) | (asked.abs() > _OUTER)
    return Gap(Rows(x.unsqueeze(-1), y), asked.unsqueeze(-1), _wave(asked), is_outside)


def _wave(x: Tensor) -> Tensor:
    return (2.0 * x).sin() + 0.5 * x


def evaluate_gap(learner: Learner[Rows], setting: GapSetting, split: Split) -> dict[str, np.ndarray]:
    """Share of places, inside and outside the data, where the function is within two deviations (masks and noise)."""
    data = setting.data
    outputs = drawn(learner, data.asked.expand(len(setting.seeds), -1, -1), _DRAWS[split])
    mean, deviation = outputs.mean(dim=0), outputs.std(dim=0)
    is_covered = ((mean - data.true).abs() <= 2.0 * (deviation.square() + _NOISE**2).sqrt()).float()
    found = {}
    for name, where in (("inside", ~data.is_outside), ("outside", data.is_outside)):
        found[f"coverage_{name}"] = is_covered[:, where].mean(dim=1)
        found[f"deviation_{name}"] = deviation[:, where].mean(dim=1)
        found[f"error_{name}"] = (mean - data.true)[:, where].square().mean(dim=1).sqrt()
    return {name: value.numpy() for name, value in found.items()}


def report_gap(trained: Trained[DropoutConfig, Gap]) -> Facts:
    """Draw what masks make of the first seed's network, and the means of all seeds; return how far those differ."""
    data = trained.setting.data
    outputs = drawn(trained.learner, data.asked.expand(len(trained.setting.seeds), -1, -1), _DRAWS["test"])
    x, mean, deviation = data.asked.squeeze(1).numpy(), outputs.mean(dim=0), outputs[:, 0].std(dim=0)
    with figure(trained.folder / "gap.png", 7.4, 4.0) as (_, axes):
        axis = axes[0, 0]
        axis.plot(x, data.true, color="black", linestyle=":", label="function")
        axis.scatter(data.train.inputs[0, :, 0], data.train.targets[0], s=6, color="0.4", label="points")
        axis.plot(x, mean[0], color=COLOURS[0], label="mean over masks")
        low, high = (mean[0] + sign * 2.0 * deviation for sign in (-1.0, 1.0))
        axis.fill_between(x, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="two deviations")
        for row in mean[1:]:
            axis.plot(x, row, color=COLOURS[1], linewidth=0.7, alpha=0.7)
        axis.plot([], [], color=COLOURS[1], linewidth=0.7, label="other seeds' means")
        axis.set_title("What masks say outside of the data", fontsize="medium", loc="left")
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    if len(mean) < 2:
        return {}
    between = mean.std(dim=0)
    return {
        f"between_seeds_{name}": float(between[where].mean())
        for name, where in (("inside", ~data.is_outside), ("outside", data.is_outside))
    }


def experiment(name: Name, rmse: float, config: DropoutConfig) -> Experiment[DropoutConfig, Table]:
    return Experiment(
        name=f"mc-dropout-{name}",
        task=f"Uncertain predictions by dropout: {name}, in the 20 published splits",
        data=f"UCI's {name}",
        target=Target("rmse", rmse, higher_is_better=False),
        minutes=2,
        config=config,
        load=lambda config: load(name, config),
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )


EXPERIMENTS: list[Experiment[Any, Any]] = [
    experiment("yacht", 0.75, DropoutConfig(seeds=20, learning_rate=0.01, decay="cosine")),
    experiment("concrete", 5.0, DropoutConfig(seeds=20, learning_rate=0.01, decay="cosine")),
    Experiment(
        name="mc-dropout-gap",
        task="Dropout where there are no data: the function is outside of what masks say",
        data="made up",
        target=Target("coverage_outside", 0.8, higher_is_better=False),
        minutes=0.5,
        config=DropoutConfig(
            epochs=10, seeds=5, batch_size=50, layers=2, dropout=0.1, learning_rate=5e-3, decay="cosine"
        ),
        load=load_gap,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate_gap,
        report=report_gap,
        tested="last",
    ),
]
