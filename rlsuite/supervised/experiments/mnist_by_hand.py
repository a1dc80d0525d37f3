"""Handwritten digits by networks whose gradients are written by hand, and what such a network takes for each digit.

``mnist-by-hand`` takes one digit after the other: 784 inputs, a layer of sigmoids, ten sigmoids, no biases. Pixels go
in as 0.01 to 1 and targets are 0.01 and 0.99, since a sigmoid cannot reach 0 and 1, and an input of 0 teaches a weight
nothing. ``mnist-by-hand-relu`` has two layers of rectified units and a softmax, and takes 50 digits at a time.

A network can be asked the other way round: set the outputs to what a digit should give, undo the sigmoid by its inverse
``log(a / (1 - a))``, go back through the transposed weights, rescale to [0.01, 0.99], and so on down to the pixels.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite.configuration import Positive, Widths
from rlsuite.supervised import classification
from rlsuite.supervised.backpropagation import Network, descend
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.classification import Labelled, confusion, draw_confusion
from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import picture_grid
from rlsuite.supervised.source import Batches, minibatches

_LOW, _HIGH = 0.01, 0.99


@dataclass(frozen=True, kw_only=True)
class MnistConfig(ExamplesConfig):
    """A network by hand on MNIST."""

    learning_rate: Positive
    """Length of a step, as a multiple of the gradient."""
    hidden: Widths
    """Units of each hidden layer."""
    hidden_units: Literal["sigmoid", "relu"]
    """Activation of hidden units."""
    output: Literal["logistic", "softmax"]
    """Logistic outputs have a squared loss, softmax has the cross-entropy."""
    biases: bool = False
    """Units have biases."""
    validation_fraction: float = 0.0


class Batch(NamedTuple):
    """Pixels ``[S, B, 784]`` and targets ``[S, B, 10]``."""

    inputs: Tensor
    targets: Tensor


MnistSetting = Setting[MnistConfig, Labelled]


def pixels(pictures: Tensor) -> Tensor:
    """Pictures ``[N, 1, 28, 28]`` in [0, 1] as inputs ``[N, 784]`` in [0.01, 1]."""
    return pictures.flatten(1) * _HIGH + _LOW


def targets(labels: Tensor, output: str, classes: int = 10) -> Tensor:
    """Targets of the outputs, ``[N, classes]``: 0.99 and 0.01 for sigmoids, probabilities for a softmax."""
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    return one_hot if output == "softmax" else _LOW + (_HIGH - _LOW) * one_hot


def network_of(config: MnistConfig) -> Network:
    return Network((784, *config.hidden, 10), config.hidden_units, config.output, config.biases)


def make_source(setting: MnistSetting) -> Batches[Batch]:
    pictures, labels = setting.data.train
    batch = Batch(pixels(pictures).to(setting.device), targets(labels, setting.config.output).to(setting.device))
    return minibatches(batch, setting.config.batch_size, setting.seeds)


def make_learner(setting: MnistSetting, total_updates: int) -> ByHand[Batch]:
    network = network_of(setting.config)
    return ByHand(network.start(setting.seeds, setting.device), descend(network, setting.config.learning_rate))


def predicted(learner: ByHand[Batch], setting: MnistSetting, pictures: Tensor) -> Tensor:
    """The digits ``[S, N]`` that networks take pictures ``[N, 1, 28, 28]`` for."""
    network = network_of(setting.config)
    pieces = pixels(pictures).to(setting.device).split(1_000)
    return torch.cat([network.signals(learner.tensors, part)[-1].argmax(dim=-1) for part in pieces], dim=1).cpu()


def evaluate(learner: ByHand[Batch], setting: MnistSetting, split: Split) -> dict[str, np.ndarray]:
    """The share of digits that are told right; the validation set is the first ten thousand."""
    pictures, labels = (tensor[:10_000] for tensor in getattr(setting.data, split))
    return {"accuracy": (predicted(learner, setting, pictures) == labels).float().mean(dim=1).numpy()}


def asked_backwards(tensors: Tensors, layers: int) -> Tensor:
    """Picture of each digit as it looks to the first seed's network of sigmoids without biases: ``[10, 784]``."""
    signal = targets(torch.arange(10), "logistic").to(tensors["weights.0"].device)
    for layer in reversed(range(layers)):
        signal = torch.logit(signal) @ tensors[f"weights.{layer}"][0].T
        low, high = signal.amin(dim=1, keepdim=True), signal.amax(dim=1, keepdim=True)
        signal = _LOW + (_HIGH - _LOW) * (signal - low) / (high - low)
    return signal.cpu()


def likeness(pictures: Tensor, data: classification.Examples) -> Tensor:
    """Correlations of pictures ``[10, 784]`` (row) with the mean picture of each digit (column)."""
    means = torch.stack([data.inputs[data.labels == digit].flatten(1).mean(dim=0) for digit in range(10)])
    return torch.corrcoef(torch.cat([pictures, means]))[:10, 10:]


def report(trained: Trained[MnistConfig, Labelled]) -> Facts:
    """Draw the confusion matrix of the first seed, and the digits as its network sees them."""
    setting, learner = trained.setting, trained.learner
    test = setting.data.test
    matrix = confusion(predicted(learner, setting, test.inputs)[0], test.labels, 10).numpy()
    draw_confusion(trained.folder / "confusion.png", matrix, setting.data.classes)
    config = setting.config
    facts: Facts = {"confusion": matrix.tolist(), "parameters": sum(t[0].numel() for t in learner.tensors.values())}
    if config.hidden_units == "sigmoid" and config.output == "logistic" and not config.biases:
        pictures = asked_backwards(learner.tensors, len(config.hidden) + 1)
        alike = likeness(pictures, setting.data.train)
        picture_grid(
            trained.folder / "backwards.png",
            pictures.view(-1, 28, 28).numpy(),
            columns=5,
            titles=[f"{digit}: {alike[digit, digit]:.2f}" for digit in range(10)],
            title="What the network takes for each digit, and its correlation with the mean picture",
            scale=1.3,
        )
        facts["most_like"] = alike.argmax(dim=1).tolist()
    return facts


def experiment(
    name: str, task: str, target: float, minutes: float, config: MnistConfig
) -> Experiment[MnistConfig, Labelled]:
    return Experiment(
        name=name,
        task=task,
        data="MNIST",
        target=Target("accuracy", target),
        minutes=minutes,
        config=config,
        load=mnist,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )


EXPERIMENTS: list[Experiment[Any, Any]] = [
    experiment(
        "mnist-by-hand",
        "Digits by a network by hand, one at a time, and the network asked backwards",
        target=0.97,
        minutes=1,
        config=MnistConfig(
            epochs=3, batch_size=1, learning_rate=0.3, hidden=(200,), hidden_units="sigmoid", output="logistic"
        ),
    ),
    experiment(
        "mnist-by-hand-relu",
        "Digits by a network by hand with two layers of rectified units and a softmax",
        target=0.97,
        minutes=1,
        config=MnistConfig(
            epochs=10,
            batch_size=50,
            learning_rate=0.05,
            hidden=(300, 100),
            hidden_units="relu",
            output="softmax",
            biases=True,
        ),
    ),
]
