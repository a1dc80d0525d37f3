"""Train a supervised experiment on the same run loop, networks and checkpoints as the agents.

rlsuite supervised list                      the experiments
rlsuite supervised NAME [options]            NAME --help lists them
rlsuite supervised --resume runs/RUN         goes on exactly where a run stopped; --resume --help
rlsuite supervised COMMAND runs/RUN          what an experiment offers for its trained networks, such as sample
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from agents.cli import command


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        return command.usage(__doc__)
    first, *rest = arguments
    if first == "--resume":
        return resume(rest)

    from rlsuite.supervised.registry import commands, find
    from rlsuite.supervised.run import list_experiments, train

    if first == "list":
        if rest:
            raise ValueError(f"list takes nothing else, not {' '.join(rest)!r}")
        list_experiments()
        return 0
    if first in commands():
        return do(first, rest)
    experiment = find(first)
    if "--resume" in rest:
        raise ValueError("--resume comes first, with the folder of the run: --resume runs/NAME")
    config = command.parse(type(experiment.config), rest, experiment.name, experiment.config)
    return train(experiment.name, config)


def resume(arguments: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Resume:
        run: tyro.conf.Positional[Path]
        """Folder of the run."""
        checkpoint: Literal["last", "previous"] = "last"
        """Checkpoint to resume from: last, or previous if last is damaged."""
        epochs: int | None = None
        """New length of the run; a falling learning rate goes on as in a run of that length."""
        minutes: float | None = None
        """Stop after this much training, earlier sessions included."""
        patience_epochs: int | None = None
        """Stop once no seed has improved for so many epochs."""
        device: str | None = None
        """Device to compute on from now on; by default the one that the run used."""
        wandb: Literal["auto", "online", "offline", "disabled"] | None = None
        """Weights & Biases; by default as before."""

    options = command.parse(Resume, arguments, "--resume")

    from rlsuite.supervised.run import resume

    changed = {name: value for name, value in vars(options).items() if name not in ("run", "checkpoint")}
    return resume(options.run, options.checkpoint, **changed)


def do(name: str, arguments: list[str]) -> int:
    """Run a command on a trained experiment; its own options follow the folder."""
    from rlsuite.supervised.registry import all_experiments
    from rlsuite.supervised.run import load, read

    offering = [experiment for experiment in all_experiments().values() if name in experiment.commands]
    if not arguments or arguments[0] in ("-h", "--help"):
        command.parse(offering[0].commands[name].options, ["--help"], f"{name} runs/RUN")
    folder, *rest = arguments
    experiment, _ = read(Path(folder))
    if name not in experiment.commands:
        able = ", ".join(one.name for one in offering)
        raise ValueError(f"{folder} is a run of {experiment.name}, which has no {name!r}: runs of {able} have")
    options = command.parse(experiment.commands[name].options, rest, f"{name} {folder}")
    experiment.commands[name].do(load(Path(folder)), options)
    return 0
