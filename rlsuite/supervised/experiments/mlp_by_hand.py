"""Small networks by gradient descent on all examples at once, with gradients written by hand.

The mathematics is in ``rlsuite/supervised/backpropagation.py``. A hidden layer is what a single neuron lacks for xor:
its units are "or" and "not and", and the output is true where both are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite.configuration import Count, Positive, Widths
from rlsuite.supervised.backpropagation import Network, descend
from rlsuite.supervised.by_hand import ByHand
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.data import tables
from rlsuite.supervised.data.tables import Table, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import regions
from rlsuite.supervised.source import FULL_BATCH, Batches


@dataclass(frozen=True, kw_only=True)
class MlpConfig(RunConfig):
    epochs: Count = 10
    steps: Count = 200
    """Steps an epoch, each on all examples."""
    learning_rate: Positive = 1.0
    """Length of a step, as a multiple of the gradient."""
    hidden: Widths = (4,)
    """Units of each hidden layer."""
    hidden_units: Literal["sigmoid", "relu"] = "sigmoid"
    """Activation of hidden units."""
    output: Literal["linear", "logistic", "softmax"] = "logistic"
    """Kind of outputs: linear and logistic ones have squared losses, softmax has the cross-entropy."""
    slope: Positive = 1.0
    """Slope of the sigmoids."""


class Examples(NamedTuple):
    """Inputs ``[S, N, F]`` and targets ``[S, N, A]``, a 1 for the class."""

    inputs: Tensor
    targets: Tensor


class Data(NamedTuple):
    """Examples to learn from and to test with."""

    train: Examples
    test: Examples
    features: tuple[str, ...]
    classes: tuple[str, ...]


MlpSetting = Setting[MlpConfig, Data]


def whole(table: Table, config: MlpConfig) -> Data:
    """All rows to learn from, and to test with."""
    inputs = table.inputs.expand(config.seeds, -1, -1)
    targets = F.one_hot(table.labels, len(table.classes)).float().expand(config.seeds, -1, -1)
    examples = Examples(inputs, targets)
    return Data(examples, examples, table.features, table.classes)


def folds(read: Callable[[], Table], config: MlpConfig, parts: int = 10) -> Data:
    """Cross-validation: seed k tests with every tenth row from row k on, and learns from the others."""
    table = read()
    rows, classes = torch.arange(len(table.labels)), len(table.classes)
    first = [seed % parts for seed in range(config.seed, config.seed + config.seeds)]
    # Folds differ by a row where the rows are no multiple of ten: the last rows of the longer ones are left out.
    train, test = ([rows[(rows % parts == k) == is_test] for k in first] for is_test in (False, True))
    chosen = [torch.stack([own[: min(map(len, part))] for own in part]) for part in (train, test)]
    seen = table.inputs[chosen[0]]
    learned, tested = (
        Examples(standardised(table.inputs[part], like=seen), F.one_hot(table.labels[part], classes).float())
        for part in chosen
    )
    return Data(learned, tested, table.features, table.classes)


def network_of(setting: MlpSetting) -> Network:
    config, data = setting.config, setting.data
    sizes = (len(data.features), *config.hidden, len(data.classes))
    return Network(sizes, config.hidden_units, config.output, slope=config.slope)


def make_source(setting: MlpSetting) -> Batches[Examples]:
    train = Examples(*(tensor.to(setting.device) for tensor in setting.data.train))
    return Batches(lambda number: train, setting.config.steps, alone=FULL_BATCH)


def make_learner(setting: MlpSetting, total_updates: int) -> ByHand[Examples]:
    network = network_of(setting)
    return ByHand(network.start(setting.seeds, setting.device), descend(network, setting.config.learning_rate))


def evaluate(learner: ByHand[Examples], setting: MlpSetting, split: Split) -> dict[str, np.ndarray]:
    """The share of rows whose largest output is that of their class, and the loss."""
    inputs, targets = (t.to(setting.device) for t in (setting.data.test if split == "test" else setting.data.train))
    network = network_of(setting)
    outputs = network.signals(learner.tensors, inputs)[-1]
    hits = outputs.argmax(dim=-1) == targets.argmax(dim=-1)
    found = {"accuracy": hits.float().mean(dim=1), "loss": network.loss(outputs, targets)}
    return {name: value.cpu().numpy() for name, value in found.items()}


def report(trained: Trained[MlpConfig, Data]) -> Facts:
    """Draw the parts of the plane that the first seed's network takes for each class, where there are two inputs."""
    data, tensors = trained.setting.data, trained.learner.tensors
    if len(data.features) == 2:
        network, first = network_of(trained.setting), {name: tensor[:1].cpu() for name, tensor in tensors.items()}
        regions(
            trained.folder / "classes.png",
            data.train.inputs[0].numpy(),
            data.train.targets[0].argmax(dim=1).numpy(),
            data.classes,
            lambda points: network.signals(first, torch.tensor(points).float()[None])[-1][0].argmax(dim=1).numpy(),
            title=trained.setting.config.output,
            axes_labels=(data.features[0], data.features[1]),
        )
    return {}


def experiment(
    name: str, task: str, data: str, target: float, load: Callable[[MlpConfig], Data], config: MlpConfig
) -> Experiment[MlpConfig, Data]:
    return Experiment(
        name=name,
        task=task,
        data=data,
        target=Target("accuracy", target),
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
    experiment("mlp-or", "Network by hand learns or", "4 rows", 1.0, partial(whole, tables.OR), MlpConfig()),
    experiment(
        "mlp-xor",
        "Network by hand learns xor",
        "4 rows",
        1.0,
        partial(whole, tables.XOR),
        MlpConfig(slope=4.0),
    ),
    experiment(
        "mlp-iris",
        "Three kinds of irises by a network by hand, a tenth of them a seed for testing",
        "scikit-learn's iris",
        0.95,
        partial(folds, tables.iris),
        MlpConfig(seeds=10, output="softmax", learning_rate=0.5, hidden=(8,), epochs=5),
    ),
    experiment(
        "mlp-breast-cancer",
        "Benign or malignant by a network by hand, a tenth of the tumours a seed for testing",
        "scikit-learn's breast cancer",
        0.95,
        partial(folds, tables.breast_cancer),
        MlpConfig(seeds=10, hidden_units="relu", output="linear", learning_rate=0.05, hidden=(8,), epochs=5),
    ),
]
