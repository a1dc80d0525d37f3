"""Regularisers of a network with too many weights for its thousand digits: dropout, DropConnect, decay, L1 and more.

All have two hidden layers and train in the same way; each changes one thing. Without any regulariser the training loss
goes to zero. ``early-stopping`` trains like that one too, and is tested as it was when it was best on validation.

- Dropout sets units to zero, DropConnect weights; what is left is scaled up. Networks are tested without masks, which
  is about the mean over all masks.
- Decay takes a share of the weights away apart from the gradient. L2 adds ``strength / 2 |w|^2`` to the loss. For
  plain gradient descent both are ``w <- (1 - rate strength) w - rate gradient``; for Adam, which divides by the size of
  gradients, they differ.
- L1 adds ``strength |w|``, and more of it to later layers: the bound on the error that goes with it multiplies the
  norms of each layer's weights with the complexity of the layers up to there. Weights end near zero; ``sparsity`` is
  the share below 0.001.
- Batch norm gives every unit mean 0 and deviation 1 in the batch, and then a learned scale and shift; tests use what
  was seen in training. Maxout units are the larger of two linear functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Fraction, NotNegative, Widths
from rlsuite.networks.mlp import Maxout
from rlsuite.networks.modes import DropConnect, Dropout
from rlsuite.supervised.classification import Examples, Labelled, accuracy, cross_entropy, report_classes
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Setting, Split, Target
from rlsuite.supervised.experiments.digits import make_source
from rlsuite.supervised.learner import Learner

_SMALL = 1e-3  # weights below are counted as none


@dataclass(frozen=True, kw_only=True)
class RegularisedConfig(SupervisedConfig):
    """A network of two hidden layers on few digits."""

    epochs: Count = 40
    batch_size: Count = 50
    examples: Count = 1_000
    validation_fraction: Fraction = 0.02
    seeds: Count = 5
    hidden: Widths = (128, 128)
    """Units of each hidden layer."""
    dropout: Fraction = 0.0
    """Share of the units of each hidden layer that are set to zero; of the inputs two fifths of that."""
    dropconnect: Fraction = 0.0
    """Share of the weights of each hidden layer that are set to zero."""
    l1: NotNegative = 0.0
    """Strength of the L1 penalty of the first layer; that of layer k is k times as much."""
    l2: NotNegative = 0.0
    """Strength of the L2 penalty of all weights."""
    batch_norm: bool = False
    """Normalise every hidden unit over the batch."""
    units: Literal["relu", "maxout"] = "relu"
    """Activation of hidden units."""


Few = Setting[RegularisedConfig, Labelled]


def network(config: RegularisedConfig, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten(), Dropout(0.4 * config.dropout)]
    for below, above in pairwise((inputs, *config.hidden)):
        if config.units == "maxout":
            layers.append(Maxout(below, above))
        else:
            layers.append(DropConnect(below, above, config.dropconnect))
        if config.batch_norm:
            layers.append(nn.BatchNorm1d(above))
        if config.units == "relu":
            layers.append(nn.ReLU())
        layers.append(Dropout(config.dropout))
    return nn.Sequential(*layers, nn.Linear(config.hidden[-1], outputs))


def weights(named: dict[str, Tensor]) -> list[Tensor]:
    """The weight matrices ``[S, outputs, inputs]``, from the first layer on; what else there is has fewer axes."""
    return [tensor for tensor in named.values() if tensor.dim() == 3]


def penalty(config: RegularisedConfig) -> Callable[[dict[str, Tensor]], Tensor]:
    """L1 by layer and L2, per seed."""

    def of(named: dict[str, Tensor]) -> Tensor:
        terms = [
            config.l1 * layer * own.abs().sum(dim=(1, 2)) + 0.5 * config.l2 * own.square().sum(dim=(1, 2))
            for layer, own in enumerate(weights(named), start=1)
        ]
        return torch.stack(terms).sum(dim=0)

    return of


def make_learner(setting: Few, total_updates: int) -> Learner[Examples]:
    config, train = setting.config, setting.data.train
    return Learner(
        lambda: network(config, train.inputs[0].numel(), len(setting.data.classes)),
        cross_entropy,
        config,
        total_updates,
        setting.seeds,
        setting.device,
        penalty=penalty(config) if config.l1 or config.l2 else None,
    )


def evaluate(learner: Learner[Any], setting: Few, split: Split) -> dict[str, np.ndarray]:
    """Accuracy, cross-entropy, and the share of weights that are about zero."""
    matrices = weights(learner.network.named(learner.network.parameters))
    each = torch.cat([own.flatten(1) for own in matrices], dim=1)
    sparsity = (each.abs() < _SMALL).float().mean(dim=1)
    return accuracy(learner, getattr(setting.data, split)) | {"sparsity": sparsity.cpu().numpy()}


@dataclass(frozen=True)
class Way:
    """A way to regularise: its name, what it is, and the options that differ."""

    name: str
    called: str
    options: dict[str, Any] = field(default_factory=dict)
    tested: Literal["best", "last"] = "last"


# Their strengths were tried on the validation set.
WAYS = [
    Way("none", "nothing against overfitting"),
    Way("early-stopping", "early stopping", tested="best"),
    Way("dropout", "dropout", {"dropout": 0.5}),
    Way("dropconnect", "DropConnect", {"dropconnect": 0.5}),
    Way("decay", "decoupled weight decay", {"weight_decay": 1.0}),
    Way("l2", "an L2 penalty", {"l2": 3e-3}),
    Way("l1", "L1 penalties that grow by layer", {"l1": 1e-4}),
    Way("batch-norm", "batch norm", {"batch_norm": True}),
    Way("maxout", "maxout units and dropout", {"units": "maxout", "dropout": 0.5}),
]


def experiment(way: Way) -> Experiment[RegularisedConfig, Labelled]:
    return Experiment(
        name=f"regulariser-{way.name}",
        task=f"A thousand digits with {way.called}",
        data="MNIST",
        target=Target("accuracy", 0.87),
        minutes=1,
        config=RegularisedConfig(**way.options),
        load=mnist,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report_classes,
        tested=way.tested,
        headlines={"train/accuracy": "accuracy"},
    )


EXPERIMENTS = [experiment(way) for way in WAYS]
