"""scikit-learn's digits of 8 x 8 pixels, in seconds: the experiments to try first."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from rlsuite.networks.mlp import mlp
from rlsuite.networks.recurrent import reader
from rlsuite.networks.untied import UntiedConv2d
from rlsuite.networks.vision import classifier as vision_classifier
from rlsuite.supervised.classification import Examples, Labelled, accuracy, cross_entropy, report_classes
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import digits
from rlsuite.supervised.experiment import Experiment, Setting, Split, Target
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches, minibatches

Digits = Setting[SupervisedConfig, Labelled]


def load_rows(config: SupervisedConfig) -> Labelled:
    """The pictures ``[N, 1, 8, 8]`` as sequences of rows ``[N, 8, 8]``."""
    train, validation, test, classes = digits(config)

    def rows(examples: Examples) -> Examples:
        return Examples(examples.inputs.squeeze(1), examples.labels)

    return Labelled(rows(train), rows(validation), rows(test), classes)


def make_source(setting: Setting[Any, Labelled]) -> Batches[Examples]:
    inputs, labels = (tensor.to(setting.device) for tensor in setting.data.train)
    return minibatches(Examples(inputs, labels), setting.config.batch_size, setting.seeds)


def learner_of(network: Callable[[], nn.Module]) -> Callable[[Digits, int], Learner[Examples]]:
    def make_learner(setting: Digits, total_updates: int) -> Learner[Examples]:
        return Learner(network, cross_entropy, setting.config, total_updates, setting.seeds, setting.device)

    return make_learner


def evaluate(learner: Learner[Any], setting: Digits, split: Split) -> dict[str, np.ndarray]:
    return accuracy(learner, getattr(setting.data, split))


def convolutional(tied: bool) -> nn.Sequential:
    """Sixteen filters of 3 x 3, the same ones everywhere or others at each of the 36 places, and a dense layer."""
    filters = nn.Conv2d(1, 16, 3) if tied else UntiedConv2d(1, 16, 3, picture=(8, 8))
    return nn.Sequential(filters, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 9, 10))


def classifier(
    name: str,
    task: str,
    network: Callable[[], nn.Module],
    load: Callable[[SupervisedConfig], Labelled],
    target: float,
    config: SupervisedConfig,
) -> Experiment[SupervisedConfig, Labelled]:
    return Experiment(
        name=name,
        task=task,
        data="scikit-learn's digits",
        target=Target("accuracy", target),
        minutes=0.5,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=learner_of(network),
        evaluate=evaluate,
        report=report_classes,
        headlines={"train/accuracy": "accuracy"},
    )


EXPERIMENTS = [
    classifier(
        "digits-mlp",
        "Two layers of 64 rectified units on 8 x 8 digits",
        lambda: nn.Sequential(nn.Flatten(), *mlp((64, 64, 64, 10))),
        digits,
        target=0.96,
        config=SupervisedConfig(epochs=30, batch_size=32, learning_rate=0.01, decay="linear"),
    ),
    classifier(
        "digits-lenet",
        "LeNet on 8 x 8 digits",
        lambda: vision_classifier("lenet-5", (1, 8, 8), 10),
        digits,
        target=0.96,
        config=SupervisedConfig(epochs=30, batch_size=32),
    ),
    classifier(
        "digits-tied",
        "One layer of convolutions: the same filters at every place",
        lambda: convolutional(tied=True),
        digits,
        target=0.95,
        config=SupervisedConfig(epochs=30, batch_size=32, decay="stalled"),
    ),
    classifier(
        "digits-untied",
        "The same layer with filters of its own at every place",
        lambda: convolutional(tied=False),
        digits,
        target=0.93,
        config=SupervisedConfig(epochs=30, batch_size=32, decay="stalled"),
    ),
    classifier(
        "digits-lstm",
        "LSTM that reads 8 x 8 digits row by row",
        lambda: reader(8, 64, 10),
        load_rows,
        target=0.95,
        config=SupervisedConfig(epochs=40, batch_size=32),
    ),
]
