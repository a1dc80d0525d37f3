"""Train a registered supervised experiment on the same run loop, networks and checkpoints as the agents.

rlsuite supervised digits-lenet [--seeds 3]
rlsuite supervised list
"""

import dataclasses
from typing import Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: tyro.conf.Positional[str]
    """Name of the experiment, or list."""
    seeds: int | None = None
    """Number of seeds to train as one program; by default 1."""
    seed: int | None = None
    """The first seed; by default 0."""
    epochs: int | None = None
    """Times through the data; by default the experiment's own."""
    batch_size: int | None = None
    """Examples an update, per seed; by default the experiment's own."""
    learning_rate: float | None = None
    """Learning rate of Adam; by default the experiment's own."""
    device: str | None = None
    """cpu or cuda; by default cpu."""
    name: str | None = None
    """Name of the run and of its folder."""
    runs: str = "runs"
    """Folder that holds the runs."""
    resume: bool = False
    """Go on with the run of that --name where it stopped, as it was started."""
    checkpoint: Literal["last", "previous"] = "last"
    """Checkpoint that --resume goes on from: last, or previous if last is damaged."""
    wandb: Literal["auto", "online", "offline", "disabled"] | None = None
    """Weights & Biases; auto, the default, is online where a key is configured, else offline."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, prog=command.program(), args=arguments, description=command.as_typed(__doc__))
    from rlsuite.supervised.run import list_experiments, train

    if options.experiment == "list":
        list_experiments()
        return 0
    return train(**vars(options))
