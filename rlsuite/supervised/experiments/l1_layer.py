"""Finds the inputs that matter: a factor for each input with an L1 penalty, and then training again without the others.

The first layer multiplies input i by a factor w_i, and ``strength |w|`` is added to the loss. An input that helps less
than its factor costs ends near zero. Halfway through, inputs whose factor is below a tenth of the largest are fed as 0
from then on, and the others are trained on without the penalty, which had shrunk them too. A network without the layer
is trained beside it on the same batches.

The data are Friedman's first function (1991) of five inputs and 95 that say nothing, or tumours by 30 numbers, which
say much the same, and 70 that say nothing.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, NotNegative, Positive
from rlsuite.networks.mlp import mlp
from rlsuite.state import restore
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.tables import breast_cancer, standardised
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, passes

_STREAM = 50
_INFORMATIVE, _TESTED = 5, 2_000
_FACTORS = "gated.0.weight"
_SMALL = 0.1  # factors below this share of the largest are taken for zero


@dataclass(frozen=True, kw_only=True)
class SelectionConfig(SupervisedConfig):
    epochs: Count = 15
    steps: Count = 100
    """Updates an epoch."""
    batch_size: Count = 100
    examples: Count = 1_000
    seeds: Count = 10
    learning_rate: Positive = 3e-3
    weight_decay: NotNegative = 0.1
    inputs: Count = 100
    """Numbers that an example has; the first few say something."""
    strength: NotNegative = 0.05
    """Of the L1 penalty."""


class Examples(NamedTuple):
    """Inputs ``[S, N, F]`` and targets ``[S, N]``."""

    inputs: Tensor
    targets: Tensor


class Parts(NamedTuple):
    train: Examples
    test: Examples
    informative: int  # the first so many inputs


Selection = Setting[SelectionConfig, Parts]


class Factors(nn.Module):
    """Each input times a factor of its own."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


def load(config: SelectionConfig) -> Parts:
    """Uniform inputs, and targets with noise of deviation 1, standardised.

    Raises:
        ValueError: there are fewer inputs than the function has.
    """
    if config.inputs < _INFORMATIVE:
        raise ValueError(f"--inputs must be at least {_INFORMATIVE}, those that the function has")
    seeds = torch.arange(config.seed, config.seed + config.seeds)

    def part(number: int, count: int) -> Examples:
        keys = random.key(seeds, _STREAM, number)
        x = random.uniform(random.fold(keys, 0), count, config.inputs)
        y = friedman(x) + random.normal(random.fold(keys, 1), count)
        return Examples((x - 0.5) * math.sqrt(12.0), (y - 14.4) / 5.0)  # the mean and deviation are about these

    return Parts(part(0, config.examples), part(1, _TESTED), _INFORMATIVE)


def load_tumours(config: SelectionConfig) -> Parts:
    """Tumours, -1 for malignant and 1 for benign, in another order for each seed; what is not trained on is the test.

    Raises:
        ValueError: scikit-learn is not installed, there are fewer inputs than a tumour has, or no tumours are left.
    """
    table = breast_cancer()
    tumours, informative = table.inputs.shape
    if config.inputs < informative:
        raise ValueError(f"--inputs must be at least {informative}, those of a tumour")
    if config.examples >= tumours:
        raise ValueError(f"--examples must be below {tumours}, so that tumours are left to test on")
    keys = random.key(torch.arange(config.seed, config.seed + config.seeds), _STREAM)
    order = random.uniform(random.fold(keys, 2), tumours).argsort(dim=1)
    known, noise = table.inputs[order], random.normal(random.fold(keys, 3), tumours, config.inputs - informative)
    x = torch.cat([standardised(known, known[:, : config.examples]), noise], dim=-1)
    y = 2.0 * table.labels[order].float() - 1.0
    return Parts(
        Examples(x[:, : config.examples], y[:, : config.examples]),
        Examples(x[:, config.examples :], y[:, config.examples :]),
        informative,
    )


def friedman(x: Tensor) -> Tensor:
    """10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5."""
    one, two, three, four, five = x[..., :_INFORMATIVE].unbind(-1)
    return 10.0 * (math.pi * one * two).sin() + 20.0 * (three - 0.5).square() + 10.0 * four + 5.0 * five


class TwoPhases:
    """Both networks and their learner; halfway, small factors become zeros and the penalty ends."""

    averages_gradients = True  # over ranks

    def __init__(self, setting: Selection, total_updates: int) -> None:
        config, device, seeds = setting.config, setting.device, len(setting.seeds)
        self.halfway, self.updates = total_updates // 2, 0
        self.strength = torch.full((seeds,), config.strength, device=device)
        self.mask = torch.ones(seeds, 1, config.inputs, device=device)

        def networks() -> nn.ModuleDict:
            sizes = (config.inputs, 64, 64, 1)
            return nn.ModuleDict({"plain": mlp(sizes), "gated": nn.Sequential(Factors(config.inputs), *mlp(sizes))})

        self.learner = Learner(
            networks,
            self._loss,
            config,
            total_updates,
            setting.seeds,
            device,
            penalty=lambda named: self.strength * named[_FACTORS].abs().sum(dim=1),
        )

    def _loss(self, network: Forward, batch: Examples, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        losses = {
            name: (network(inputs, part=name).squeeze(-1) - batch.targets).square().mean(dim=1)
            for name, inputs in (("plain", batch.inputs), ("gated", batch.inputs * self.mask))
        }
        return losses["plain"] + losses["gated"], {f"loss/{name}": loss for name, loss in losses.items()}, state

    @property
    def factors(self) -> Tensor:
        """``[S, F]``, those that are taken for zero as zeros."""
        named = self.learner.network.named(self.learner.network.parameters)
        return named[_FACTORS] * self.mask.squeeze(1)

    def update(self, batch: Examples) -> dict[str, Tensor]:
        if self.updates == self.halfway:
            sizes = self.factors.abs()
            self.mask.copy_((sizes >= _SMALL * sizes.amax(dim=1, keepdim=True)).unsqueeze(1))
            self.strength.zero_()
        self.updates += 1
        return self.learner.update(batch)

    def __call__(self, inputs: Tensor, part: str) -> Tensor:
        """Outputs ``[S, N]`` of one of the two networks."""
        return self.learner(inputs * self.mask if part == "gated" else inputs, part=part).squeeze(-1)

    def state_dict(self) -> dict[str, Any]:
        own = {"updates": self.updates, "strength": self.strength, "mask": self.mask}
        return {**own, "learner": self.learner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
        self.updates = state["updates"]


def make_source(setting: Selection) -> Batches[Examples]:
    train = Examples(*(tensor.to(setting.device) for tensor in setting.data.train))
    return Batches(passes(train, setting.seeds, setting.config.batch_size).batch, setting.config.steps)


def evaluate(learner: TwoPhases, setting: Selection, split: Split) -> dict[str, np.ndarray]:
    """Both errors and their ratio, and how many inputs are kept, of all and of those that say nothing.

    There is no validation set, as nothing is chosen by one: on the way the errors are those of the training set.
    """
    examples = setting.data.test if split == "test" else setting.data.train
    inputs, targets = (tensor.to(setting.device) for tensor in examples)
    errors = {part: (learner(inputs, part) - targets).square().mean(dim=1) for part in ("plain", "gated")}
    kept = learner.mask.squeeze(1) > 0.0
    informative = torch.arange(kept.shape[1], device=kept.device) < setting.data.informative
    found = {f"mse_{part}": error for part, error in errors.items()}
    found |= {"ratio": errors["gated"] / errors["plain"], "exact_support": (kept == informative).all(dim=1).float()}
    found |= {"kept": kept.float().sum(dim=1), "kept_noise": (kept & ~informative).float().sum(dim=1)}
    return {name: value.cpu().numpy() for name, value in found.items()}


def report(trained: Trained[SelectionConfig, Parts]) -> Facts:
    """Draw the factors of all seeds; return by how many standard errors the two-phase network is better."""
    factors = trained.learner.factors.abs().cpu().numpy()
    with figure(trained.folder / "factors.png", 7.0, 3.2) as (_, axes):
        axis = axes[0, 0]
        for row in factors:
            axis.plot(np.arange(1, len(row) + 1), row, ".", color="#0072b2", alpha=0.5, markersize=4)
        axis.set_xlabel(f"input; those after {trained.setting.data.informative} say nothing")
        axis.set_ylabel("size of its factor")
        axis.set_title("What the L1 layer keeps, all seeds", fontsize="medium", loc="left")
    values = evaluate(trained.learner, trained.setting, "test")
    gain = values["mse_plain"] - values["mse_gated"]
    facts: Facts = {"mean_gain": float(gain.mean())}
    if len(gain) > 1:
        facts["gain_in_standard_errors"] = float(gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain))))
        facts["gain_in_deviations_over_seeds"] = float(gain.mean() / gain.std(ddof=1))
    return facts


EXPERIMENTS = [
    Experiment(
        name="l1-layer",
        task="The five inputs of a hundred that matter, by an L1 layer and a second training without the others",
        data="made up",
        target=Target("exact_support", 1.0),
        minutes=1,
        config=SelectionConfig(),
        load=load,
        make_source=make_source,
        make_learner=TwoPhases,
        evaluate=evaluate,
        report=report,
        tested="last",
    ),
    Experiment(
        name="l1-layer-tumours",
        task="Tumours by 30 numbers among 70 that say nothing, by an L1 layer and a second training",
        data="scikit-learn's breast cancer",
        target=Target("ratio", 1.0, higher_is_better=False),
        minutes=1,
        config=SelectionConfig(examples=400),
        load=load_tumours,
        make_source=make_source,
        make_learner=TwoPhases,
        evaluate=evaluate,
        report=report,
        tested="last",
    ),
]
