"""A supervised experiment: data, a source of batches, a learner, an evaluation, and what is drawn at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch

from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.source import Batches
from rlsuite.training.device import usable_device
from rlsuite.training.worker import Learner

C = TypeVar("C", bound=RunConfig)
D = TypeVar("D")
Split = Literal["validation", "test"]
Facts = dict[str, Any]  # for evaluation.json


@dataclass(frozen=True)
class Target:
    """Goal of the experiment on the test set."""

    metric: str  # one of those that the experiment's ``evaluate`` returns
    value: float
    higher_is_better: bool = True

    def reached(self, values: np.ndarray) -> bool:
        """Whether the median over seeds is as good as the target."""
        median = float(np.median(values))
        return median >= self.value if self.higher_is_better else median <= self.value

    def __str__(self) -> str:
        return f"{self.metric.replace('_', ' ')} {'>=' if self.higher_is_better else '<='} {self.value:g}"


@dataclass(frozen=True)
class Setting(Generic[C, D]):
    """Everything that a learner and its source are made from."""

    config: C
    data: D
    seeds: range
    device: torch.device


@dataclass(frozen=True)
class Trained(Generic[C, D]):
    """A trained experiment: of each seed what was best on the validation set, or what there was at the end."""

    setting: Setting[C, D]
    learner: Any  # of the kind that the experiment makes
    folder: Path  # of the run, for figures


@dataclass(frozen=True)
class Command(Generic[C, D]):
    """Something to do with a trained run: ``supervised.py NAME RUN [options]``."""

    options: type[Any]  # a dataclass for the command line
    do: Callable[[Trained[C, D], Any], None]


@dataclass(frozen=True, kw_only=True)
class Experiment(Generic[C, D]):
    """An experiment; a file in ``rlsuite/supervised/experiments`` lists those it defines as ``EXPERIMENTS``.

    Attributes:
        name: on the command line.
        task: what is learned, in a line.
        data: the names of the data, for the list.
        target: see ``Target``.
        minutes: that it takes on 2 cores, about.
        config: the options with their defaults; its class may add options.
        load: the data, on the CPU. Raises ``ValueError`` where they are missing or damaged.
        make_source: where batches come from.
        make_learner: given also the number of updates in all; often ``rlsuite.supervised.learner.Learner``.
        evaluate: per-seed numbers ``[S]`` on a split, the target's metric among them. The test split is used once.
        look: called after each evaluation on the validation set, with the source; may write into the folder.
        report: draws figures into the run's folder, and returns facts for ``evaluation.json``.
        tested: of each seed what was best on the validation set, or the last.
        levels: horizontal lines to compare the learning curve with, by name.
        headlines: further metrics for the terminal, with what they are called.
        commands: what can be done with a trained run, by name.
    """

    name: str
    task: str
    data: str
    target: Target
    minutes: float
    config: C
    load: Callable[[C], D]
    make_source: Callable[[Setting[C, D]], Batches[Any]]
    make_learner: Callable[[Setting[C, D], int], Learner[Any]]
    evaluate: Callable[[Any, Setting[C, D], Split], dict[str, np.ndarray]]
    look: Callable[[Trained[C, D], Batches[Any]], None] | None = None
    report: Callable[[Trained[C, D]], Facts] = lambda trained: {}
    tested: Literal["best", "last"] = "best"
    levels: Callable[[Setting[C, D]], Mapping[str, float]] = lambda setting: {}
    headlines: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Command[C, D]] = field(default_factory=dict)

    def setting(self, config: C) -> Setting[C, D]:
        """The setting of a configuration, with its data.

        Raises:
            ValueError: the device is not usable here, or data are missing or damaged.
        """
        device = usable_device(config.device)
        return Setting(config, self.load(config), range(config.seed, config.seed + config.seeds), device)
