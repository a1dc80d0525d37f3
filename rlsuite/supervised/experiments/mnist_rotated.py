"""Digits turned by quarters: a network that cannot see the turn, beside one that was never shown any.

The invariant network is as good on turned digits as on upright ones; the plain one is lost on them. The price is that
a 6 and a 9 are now nearly the same: ``evaluation.json`` holds how often one is taken for the other.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.networks.symmetry import OverQuarterTurns
from rlsuite.networks.vision import classifier
from rlsuite.supervised.augmentation import transformed
from rlsuite.supervised.classification import Examples, Labelled, cross_entropy, logits
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches, minibatches
from rlsuite.supervised.visualisation import report_pictures

_DEGREES = 15.0


@dataclass(frozen=True, kw_only=True)
class RotatedConfig(SupervisedConfig, group="training"):
    symmetry: Literal["mean", "max", "none"] = "mean"
    """Way in which the outputs for the four orientations become one; none is the plain network."""


Rotated = Setting[RotatedConfig, Labelled]


def network(symmetry: Literal["mean", "max", "none"]) -> nn.Sequential:
    """LeNet-5, whose features before the last layer are the mean or the maximum over the four orientations."""
    *body, head = classifier("lenet-5", (1, 28, 28), 10)
    plain = nn.Sequential(*body)
    return nn.Sequential(plain if symmetry == "none" else OverQuarterTurns(plain, symmetry), head)


def make_source(setting: Rotated) -> Batches[Examples]:
    """Upright digits, a little aslant: turns by quarters are never shown."""
    inputs, labels = (tensor.to(setting.device) for tensor in setting.data.train)
    aslant = transformed(degrees=_DEGREES)
    return minibatches(Examples(inputs, labels), setting.config.batch_size, setting.seeds, aslant)


def make_learner(setting: Rotated, total_updates: int) -> Learner[Examples]:
    symmetry = setting.config.symmetry
    return Learner(
        lambda: network(symmetry), cross_entropy, setting.config, total_updates, setting.seeds, setting.device
    )


def evaluate(learner: Learner[Any], setting: Rotated, split: Split) -> dict[str, np.ndarray]:
    """Accuracy on digits of which each quarter is turned by another angle, on upright ones, and 6 taken for 9."""
    examples: Examples = getattr(setting.data, split)
    labels = examples.labels.cpu()
    found = logits(learner, quarter_turned(examples.inputs)).argmax(dim=-1)
    upright = logits(learner, examples.inputs).argmax(dim=-1)
    mixed = ((labels == 6) & (found == 9)) | ((labels == 9) & (found == 6))
    either = (labels == 6) | (labels == 9)
    return {
        "accuracy": (found == labels).float().mean(dim=1).numpy(),
        "accuracy_upright": (upright == labels).float().mean(dim=1).numpy(),
        "six_nine_confused": (mixed.sum(dim=1) / either.sum().clamp(min=1)).numpy(),
    }


def quarter_turned(pictures: Tensor) -> Tensor:
    """Pictures ``[N, C, H, H]``, number k turned by k quarters."""
    turned = pictures.clone()
    for turns in range(1, 4):
        turned[turns::4] = torch.rot90(pictures[turns::4], turns, dims=(-2, -1))
    return turned


def report(trained: Trained[Any, Labelled]) -> Facts:
    """Figures of the turned test set."""
    setting = trained.setting
    test = Examples(quarter_turned(setting.data.test.inputs), setting.data.test.labels)
    turned = Setting(setting.config, setting.data._replace(test=test), setting.seeds, setting.device)
    return report_pictures(Trained(turned, trained.learner, trained.folder))


EXPERIMENTS = [
    Experiment(
        name="mnist-rotated",
        task="Digits turned by quarters, learned from upright ones",
        data="MNIST",
        target=Target("accuracy", 0.95),
        minutes=4,
        config=RotatedConfig(epochs=3, batch_size=100, learning_rate=2e-3, decay="cosine"),
        load=mnist,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"train/accuracy": "accuracy"},
    )
]
