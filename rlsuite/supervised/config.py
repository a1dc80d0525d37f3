"""Options of a supervised run. Imports no torch, so that ``--help`` is quick."""

from dataclasses import dataclass
from typing import Literal

from rlsuite.configuration import Count, Positive, Seed, check, check_seeds


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """A registered experiment, how long it is trained, and where."""

    experiment: str
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    seeds: Count = 1
    seed: Seed = 0
    device: str = "cpu"
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"

    def __post_init__(self) -> None:
        check(self)
        check_seeds(self.seed, self.seeds)
