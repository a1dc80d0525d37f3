"""Logistic regression with weight decay, one example at a time.

The probability of class 1 is ``1 / (1 + exp(-f(x)))`` with ``f(x) = w.x + b``. With y = 1 for class 1 and -1 for class
0 the negative log-likelihood of an example is ``log(1 + exp(-y f(x)))``, whose gradient with respect to f is
``-y / (1 + exp(y f(x)))``. With weight decay a step is therefore

    w <- (1 - rate * decay) w + rate * y x / (1 + exp(y f(x)))        b <- b + rate * y / (1 + exp(y f(x)))

It is the perceptron's step, softened: an example that is far on the wrong side counts fully, one far on the right side
hardly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite.configuration import Count, NotNegative, Positive
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data.tables import breast_cancer, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import figure
from rlsuite.supervised.source import Batches, passes


@dataclass(frozen=True, kw_only=True)
class LogisticConfig(RunConfig):
    epochs: Count = 20
    learning_rate: Positive = 0.01
    """Length of a step."""
    weight_decay: NotNegative = 0.01
    """Share of the weights that a step takes away, times the learning rate."""


class Examples(NamedTuple):
    """Inputs ``[..., F]`` and labels ``[...]``, -1 or 1."""

    inputs: Tensor
    labels: Tensor


class Tumours(NamedTuple):
    """Tumours to learn from and to test with, and the names of their numbers."""

    train: Examples
    test: Examples
    features: tuple[str, ...]


Logistic = Setting[LogisticConfig, Tumours]


def load(config: LogisticConfig) -> Tumours:
    """Four of five tumours to learn from; benign ones are 1."""
    inputs, classes, features, _ = breast_cancer()
    is_test = torch.arange(len(classes)) % 5 == 0
    inputs, labels = standardised(inputs, like=inputs[~is_test]), 2.0 * classes - 1.0
    train, test = (Examples(inputs[chosen], labels[chosen]) for chosen in (~is_test, is_test))
    return Tumours(train, test, features)


def make_source(setting: Logistic) -> Batches[Examples]:
    seeds = len(setting.seeds)
    train = (tensor.to(setting.device) for tensor in setting.data.train)
    return passes(Examples(*(tensor.expand(seeds, *tensor.shape) for tensor in train)), setting.seeds)


def make_learner(setting: Logistic, total_updates: int) -> ByHand[Examples]:
    seeds, config = len(setting.seeds), setting.config

    def learn(model: Tensors, batch: Examples) -> Tensors:
        weights, bias, loss = model["weights"], model["bias"], torch.zeros(seeds, device=setting.device)
        for x, y in zip(batch.inputs.unbind(1), batch.labels.unbind(1), strict=True):
            margin = y * ((weights * x).sum(dim=1) + bias)
            step = config.learning_rate * y * torch.sigmoid(-margin)
            weights *= 1.0 - config.learning_rate * config.weight_decay
            weights += step.unsqueeze(1) * x
            bias += step
            loss += torch.nn.functional.softplus(-margin)
        return {"loss/train": loss / batch.labels.shape[1]}

    weights = torch.zeros(seeds, len(setting.data.features), device=setting.device)
    return ByHand({"weights": weights, "bias": torch.zeros(seeds, device=setting.device)}, learn)


def evaluate(learner: ByHand[Examples], setting: Logistic, split: Split) -> dict[str, np.ndarray]:
    """The share of tumours that are on the right side, and the mean negative log-likelihood."""
    inputs, labels = setting.data.test if split == "test" else setting.data.train
    margins = labels * (learner.tensors["weights"].cpu() @ inputs.T + learner.tensors["bias"].cpu().unsqueeze(1))
    return {
        "accuracy": (margins > 0.0).float().mean(dim=1).numpy(),
        "log_loss": torch.nn.functional.softplus(-margins).mean(dim=1).numpy(),
    }


def report(trained: Trained[LogisticConfig, Tumours]) -> Facts:
    """Draw the weights of the first seed."""
    weights = trained.learner.tensors["weights"][0].cpu().numpy()
    order = np.argsort(weights)
    with figure(trained.folder / "weights.png", 6.4, 5.2) as (_, axes):
        axis = axes[0, 0]
        axis.barh(range(len(order)), weights[order], color="#0072b2")
        axis.set_yticks(range(len(order)), [trained.setting.data.features[place] for place in order], fontsize=7)
        axis.set_xlabel("weight: malignant < 0 < benign")
        axis.set_title("What speaks for a benign tumour", fontsize="medium", loc="left")
    return {}


EXPERIMENTS = [
    Experiment(
        name="logistic-regression",
        task="Benign or malignant, by logistic regression with weight decay",
        data="scikit-learn's breast cancer",
        target=Target("accuracy", 0.95),
        minutes=0.2,
        config=LogisticConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )
]
