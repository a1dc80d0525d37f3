"""MNIST with convolutional networks: LeNet, a small ResNet and a small VGG."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from rlsuite.networks.vision import Convolution, Plain, ResNet, classifier
from rlsuite.supervised.augmentation import Augment, transformed
from rlsuite.supervised.classification import Examples, Labelled, accuracy, cross_entropy
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Setting, Split, Target
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches, minibatches
from rlsuite.supervised.visualisation import report_pictures

Pictures = Setting[SupervisedConfig, Labelled]

# A little of everything that a hand does to a digit.
HANDWRITING = transformed(degrees=10.0, shift_pixels=2.0, scale=0.1)


def evaluate(learner: Learner[Any], setting: Pictures, split: Split) -> dict[str, np.ndarray]:
    return accuracy(learner, getattr(setting.data, split))


def picture_classifier(
    name: str,
    task: str,
    data: str,
    load: Callable[[SupervisedConfig], Labelled],
    network: Callable[[], nn.Module],
    config: SupervisedConfig,
    target: float,
    minutes: float,
    augment: Augment | None = None,
) -> Experiment[SupervisedConfig, Labelled]:
    """The experiment that classifies pictures, on changed copies of them if ``augment`` is given."""

    def make_source(setting: Pictures) -> Batches[Examples]:
        inputs, labels = (tensor.to(setting.device) for tensor in setting.data.train)
        return minibatches(Examples(inputs, labels), setting.config.batch_size, setting.seeds, augment)

    def make_learner(setting: Pictures, total_updates: int) -> Learner[Examples]:
        return Learner(network, cross_entropy, setting.config, total_updates, setting.seeds, setting.device)

    return Experiment(
        name=name,
        task=task,
        data=data,
        target=Target("accuracy", target),
        minutes=minutes,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report_pictures,
        headlines={"train/accuracy": "accuracy"},
    )


EXPERIMENTS = [
    picture_classifier(
        "mnist-lenet",
        "LeNet on handwritten digits",
        "MNIST",
        mnist,
        lambda: classifier("lenet", (1, 28, 28), 10),
        SupervisedConfig(epochs=4, batch_size=100, learning_rate=2e-3, decay="cosine"),
        target=0.992,
        minutes=3,
        augment=HANDWRITING,
    ),
    picture_classifier(
        "mnist-resnet",
        "Small ResNet on handwritten digits",
        "MNIST",
        mnist,
        # As ResNet-18, with fewer and narrower blocks. Squares of 2 x 2 pixels go in as four channels: a quarter of
        # the work.
        lambda: nn.Sequential(
            nn.PixelUnshuffle(2), *classifier(ResNet((1, 1, 1), widths=(16, 32, 64)), (4, 14, 14), 10)
        ),
        SupervisedConfig(epochs=8, batch_size=100, learning_rate=5e-3, decay="cosine", weight_decay=0.02),
        target=0.995,
        minutes=10,
        augment=HANDWRITING,
    ),
    picture_classifier(
        "mnist-vgg",
        "Small VGG on handwritten digits",
        "MNIST",
        mnist,
        lambda: classifier(
            Plain(
                (Convolution(16), "pool", Convolution(32), Convolution(32), "pool", Convolution(64), Convolution(64))
                + ("pool",),
                dense=(256,),
                dropout=0.5,
            ),
            (1, 28, 28),
            10,
        ),
        SupervisedConfig(epochs=6, batch_size=100, decay="cosine"),
        target=0.993,
        minutes=10,
        augment=HANDWRITING,
    ),
]
