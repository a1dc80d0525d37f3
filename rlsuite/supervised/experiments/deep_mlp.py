"""Thirty-two layers: which activation goes with which variance of the weights at the start.

Signals keep their size through the layers where weights have variance ``gain / inputs`` with the gain that goes with
the activation: 2 for ReLU (He et al., 2015), which loses half of its input; 1 for tanh, which slowly shrinks it. SELU
(Klambauer et al., 2017) with gain 1 does more: mean 0 and variance 1 attract, so that signals stay near them through
any number of layers, as if each had batch norm. With another gain signals die or explode.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Positive
from rlsuite.networks.mlp import ACTIVATIONS, initialised, mlp
from rlsuite.supervised.classification import Examples, Labelled, accuracy, cross_entropy
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import digits
from rlsuite.supervised.data.tables import standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.experiments.digits import make_source
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Learner

_DRAWN = (("selu", 1.0), ("relu", 2.0), ("tanh", 1.0), ("relu", 1.0), ("selu", 2.0))


@dataclass(frozen=True, kw_only=True)
class DeepConfig(SupervisedConfig):
    epochs: Count = 15
    batch_size: Count = 64
    max_gradient_norm: Positive | None = 1.0
    layers: Count = 32
    """Hidden layers."""
    hidden: Count = 128
    """Units of each."""
    activation: Literal["selu", "relu", "tanh"] = "selu"
    """Activation of hidden units."""
    gain: Positive = 1.0
    """Variance of the weights at the start, times the inputs of their layer."""


Deep = Setting[DeepConfig, Labelled]


def load(config: DeepConfig) -> Labelled:
    """The digits as 64 numbers, standardised."""
    data = digits(config)
    seen = data.train.inputs.flatten(1)

    def flat(examples: Examples) -> Examples:
        # Pixels that are hardly ever inked would be huge where they are.
        return Examples(standardised(examples.inputs.flatten(1), like=seen).clamp(-3.0, 3.0), examples.labels)

    return Labelled(flat(data.train), flat(data.validation), flat(data.test), data.classes)


def network(activation: str, gain: float, config: DeepConfig, inputs: int = 64, outputs: int = 10) -> nn.Module:
    return initialised(mlp([inputs, *[config.hidden] * config.layers, outputs], activation), gain)


def make_learner(setting: Deep, total_updates: int) -> Learner[Examples]:
    config = setting.config
    return Learner(
        lambda: network(config.activation, config.gain, config),
        cross_entropy,
        config,
        total_updates,
        setting.seeds,
        setting.device,
    )


def evaluate(learner: Learner[Any], setting: Deep, split: Split) -> dict[str, np.ndarray]:
    return accuracy(learner, getattr(setting.data, split))


@torch.no_grad()
def moments(network: nn.Module, inputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the variance of what each hidden layer makes of inputs ``[N, F]``."""
    found, signal = [], inputs
    for module in network.children():
        signal = module(signal)
        if type(module) in ACTIVATIONS.values():
            found.append((float(signal.mean()), float(signal.var())))
    means, variances = np.array(found).T
    return means, variances


def report(trained: Trained[DeepConfig, Labelled]) -> Facts:
    """Draw the mean and the variance of every layer at the start, for some pairs of activation and gain."""
    config, inputs = trained.setting.config, trained.setting.data.test.inputs
    facts = {}
    with figure(trained.folder / "layers.png", 8.4, 3.4, 1, 2) as (_, axes):
        for colour, (activation, gain) in zip(COLOURS, _DRAWN, strict=False):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(trained.setting.seeds[0])
                means, variances = moments(network(activation, gain, config), inputs)
            name, layers = f"{activation}, gain {gain:g}", np.arange(1, len(means) + 1)
            axes[0, 0].plot(layers, means, color=colour, label=name)
            axes[0, 1].plot(layers, variances.clip(1e-12, 1e12), color=colour, label=name)
            facts[name] = {
                "means": [float(means.min()), float(means.max())],
                "variances": [float(variances.min()), float(variances.max())],
            }
        axes[0, 0].set_ylim(-1.0, 1.5)
        axes[0, 0].set_ylabel("mean")
        axes[0, 1].set_yscale("log")
        axes[0, 1].set_ylim(1e-8, 1e4)
        axes[0, 1].set_ylabel("variance")
        for axis in axes[0]:
            axis.set_xlabel("layer, at the start")
            axis.grid(color="0.9", linewidth=0.8)
        axes[0, 1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return {"layers_at_the_start": facts}


def experiment(name: str, task: str, target: float, config: DeepConfig) -> Experiment[DeepConfig, Labelled]:
    return Experiment(
        name=name,
        task=task,
        data="scikit-learn's digits",
        target=Target("accuracy", target),
        minutes=1,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"train/accuracy": "accuracy"},
        tested="last",
    )


EXPERIMENTS = [
    experiment("deep-selu", "Digits through 32 layers of SELUs", 0.9, DeepConfig()),
    experiment("deep-relu", "Digits through 32 layers of ReLUs", 0.85, DeepConfig(activation="relu", gain=2.0)),
]
