"""Examples of large error shown more often, by the sum tree that prioritised replay draws transitions with.

One point in a hundred belongs to the second class, so that a network that draws points evenly sees it now and then.
Another one draws each point in proportion to the probability that it last gave to the wrong class. Both begin with the
same weights and take the same steps.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.replay.sum_tree import SumTree
from rlsuite.supervised.backpropagation import Network, descend
from rlsuite.supervised.by_hand import ByHand, Tensors
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import curves
from rlsuite.supervised.source import Batches, made_up
from rlsuite.tracking.jsonl import read_metrics

_STREAM = 47
_POINTS, _RARE = 5_000, 100  # one in so many is rare
_LEAST = 0.01  # added to every error, so that each point is drawn now and then
_NETWORK = Network((2, 16, 2), hidden="relu", output="softmax")
_REACHED = 0.8
_WAYS = ("evenly", "hard")


@dataclass(frozen=True, kw_only=True)
class HardConfig(RunConfig):
    epochs: Count = 40
    steps: Count = 50
    """Steps an epoch."""
    seeds: Count = 10
    batch_size: Count = 16
    """Examples a step."""
    learning_rate: Positive = 0.05
    """Length of a step, as a multiple of the gradient."""


class Points(NamedTuple):
    """Points ``[S, N, 2]`` and what is wanted of them ``[S, N, 2]``, a 1 for the class."""

    inputs: Tensor
    targets: Tensor


class Parts(NamedTuple):
    train: Points
    test: Points


Hard = Setting[HardConfig, Parts]


def points(keys: Tensor) -> Points:
    """A cloud about zero, and a small one at its edge."""
    is_rare = torch.arange(_POINTS) % _RARE == 0
    places = random.normal(keys, _POINTS, 2)
    places = torch.where(is_rare.unsqueeze(1), 2.0 + 0.4 * places, places)
    targets = torch.stack([~is_rare, is_rare], dim=1).float()
    return Points(places, targets.expand(len(keys), -1, -1))


def load(config: HardConfig) -> Parts:
    seeds = torch.arange(config.seed, config.seed + config.seeds)
    return Parts(*(points(random.key(seeds, _STREAM, part)) for part in range(2)))


def make_source(setting: Hard) -> Batches[Tensor]:
    """Numbers in [0, 1) ``[S, B]`` to draw points by."""
    config = setting.config
    return made_up(lambda keys: random.uniform(keys, config.batch_size), setting.seeds, config.steps)


def make_learner(setting: Hard, total_updates: int) -> ByHand[Tensor]:
    train, seeds = setting.data.train, len(setting.seeds)
    networks = {way: _NETWORK.start(setting.seeds) for way in _WAYS}
    tree = SumTree(seeds, _POINTS)
    tree.set(torch.arange(_POINTS).expand(seeds, -1), torch.ones(seeds, _POINTS))
    step, rows = descend(_NETWORK, setting.config.learning_rate), torch.arange(seeds).unsqueeze(1)

    def learn(tensors: Tensors, shares: Tensor) -> Tensors:
        losses = {}
        for way, chosen in (("evenly", (shares * _POINTS).long()), ("hard", tree.find(shares))):
            batch = Points(*(tensor[rows, chosen] for tensor in train))
            losses[f"loss/{way}"] = step(networks[way], batch)["loss/train"]
        # Of the last batch, by the network after its step.
        outputs = _NETWORK.signals(networks["hard"], batch.inputs)[-1]
        tree.set(chosen, 1.0 - (outputs * batch.targets).sum(dim=2) + _LEAST)
        return losses | {"loss/train": losses["loss/evenly"]}

    named = {f"{way}.{name}": tensor for way, own in networks.items() for name, tensor in own.items()}
    return ByHand(named | {f"tree.{depth}": level for depth, level in enumerate(tree.levels)}, learn)


def evaluate(learner: ByHand[Tensor], setting: Hard, split: Split) -> dict[str, np.ndarray]:
    """The mean over both classes of the share that is told right, for both ways of drawing."""
    inputs, targets = setting.data.test if split == "test" else setting.data.train
    found = {}
    for way in _WAYS:
        own = {name.removeprefix(f"{way}."): tensor for name, tensor in learner.tensors.items()}
        hits = _NETWORK.signals(own, inputs)[-1].argmax(dim=2) == targets.argmax(dim=2)
        shares = (hits.unsqueeze(2) * targets).sum(dim=1) / targets.sum(dim=1)
        found[f"balanced_accuracy_{way}"] = shares.mean(dim=1).numpy()
    return found


def report(trained: Trained[HardConfig, Parts]) -> Facts:
    """Draw both learning curves; return the number of updates that each takes to a balanced accuracy of 0.8."""
    metrics = read_metrics(trained.folder / "metrics.jsonl")
    series = {way: metrics[f"validation/balanced_accuracy_{way}"] for way in _WAYS}
    curves(
        trained.folder / "drawing.png",
        {way: (own.updates, own.values.mean(axis=0)) for way, own in series.items()},
        x_label="updates",
        y_label="balanced accuracy, mean over seeds",
        title=f"One point in {_RARE} is of the second class",
    )
    taken = {way: [_first(own.updates, values) for values in own.values] for way, own in series.items()}
    return {"updates_to_0.8": taken}


def _first(updates: np.ndarray, values: np.ndarray) -> int | None:
    reached = np.flatnonzero(values >= _REACHED)
    return int(updates[reached[0]]) if len(reached) else None


EXPERIMENTS = [
    Experiment(
        name="hard-examples",
        task="Points of large error are drawn more often, by the sum tree of prioritised replay",
        data="made up",
        target=Target("balanced_accuracy_hard", 0.8),
        minutes=0.2,
        config=HardConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )
]
