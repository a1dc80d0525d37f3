"""The registered supervised experiments: data, network, length, and what each must reach."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from rlsuite.networks.cnn import lenet
from rlsuite.networks.rnn import reader
from rlsuite.supervised.data import Labelled, digits, mnist


def rows(images: Tensor) -> Tensor:
    """Images ``[N, 1, H, W]`` as sequences of H rows ``[N, H, W]``."""
    return images.squeeze(1)


def as_is(images: Tensor) -> Tensor:
    return images


@dataclass(frozen=True)
class Experiment:
    """One data set, one network and a length."""

    description: str
    data: Callable[[], Labelled]
    network: Callable[[], nn.Module]
    batch_size: int
    epochs: int
    target_accuracy: float
    view: Callable[[Tensor], Tensor] = as_is
    learning_rate: float = 1e-3


EXPERIMENTS = {
    "digits-lenet": Experiment(
        "LeNet on scikit-learn's 8 x 8 digits", digits, lambda: lenet((1, 8, 8), 10), 32, 30, target_accuracy=0.96
    ),
    "digits-lstm": Experiment(
        "LSTM that reads 8 x 8 digits row by row", digits, lambda: reader(8, 64, 10), 32, 40, 0.95, view=rows
    ),
    "mnist-lenet": Experiment("LeNet on MNIST", mnist, lambda: lenet((1, 28, 28), 10), 64, 5, target_accuracy=0.985),
    "mnist-lstm": Experiment(
        "LSTM that reads MNIST row by row", mnist, lambda: reader(28, 128, 10), 64, 5, target_accuracy=0.98, view=rows
    ),
}
