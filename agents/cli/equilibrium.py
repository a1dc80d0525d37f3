"""Solve an economy with a deep equilibrium net, and prove the solution with a certificate.

rlsuite equilibrium MODEL [options]          a registered model, or a Python file that defines one
rlsuite equilibrium --resume runs/NAME       goes on exactly where a run stopped
rlsuite equilibrium certify runs/NAME        examines a finished run again
rlsuite equilibrium compare MODEL            beside reinforcement learning and dynamic programming
rlsuite equilibrium list                     the models and their calibrations
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from agents.cli import command
from rlsuite.deqn.config import SolverConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a run, beside those of its solver."""

    calibration: str | None = None
    """Name of a calibration; by default the model's first."""
    set: str = ""
    """Other values of its parameters, as risk_aversion=4,sigma=.02; several of one as (.25,1)."""
    seeds: int = 1
    """Number of seeds to solve at once."""
    seed: int = 0
    """The first seed; the others count up from it."""
    device: str = "cpu"
    """cpu or cuda."""
    name: str | None = None
    """Name of the run and of its folder; by default made from the model and the time."""
    runs: str = "runs"
    """Folder that holds the runs."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Weights & Biases; auto is online where a key is configured, else offline."""
    solver: tyro.conf.OmitArgPrefixes[SolverConfig] = dataclasses.field(default_factory=SolverConfig)
    """Options of the solver; by default those tuned for the model."""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        return command.usage(__doc__, "MODEL --help lists the options.")
    first, *rest = arguments
    if first == "list":
        from rlsuite.deqn.run import list_models

        list_models()
        return 0
    if first in ("certify", "--resume"):
        return go_on(first, rest)
    if first == "compare":
        return compare(rest)
    return solve(first, rest)


def go_on(what: str, arguments: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Chosen:
        run: tyro.conf.Positional[Path]
        """Folder of the run."""
        checkpoint: Literal["last", "previous"] = "last"
        """Checkpoint to resume from: last, or previous if last is damaged."""

    options = command.parse(Chosen, arguments, what)

    from rlsuite.deqn.run import certify_run, resume

    return (certify_run if what == "certify" else resume)(options.run, options.checkpoint)


def solve(model: str, arguments: list[str]) -> int:
    from rlsuite.deqn import registry
    from rlsuite.deqn.calibration import parse

    known = _value("--calibration", arguments), parse(_value("--set", arguments) or "")
    tuned = Options(solver=registry.tuned(model, *known))
    options = command.parse(Options, arguments, model, tuned, __doc__)

    from rlsuite.deqn.run import solve

    chosen = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name not in ("solver", "set")
    }
    return solve(model, **chosen, config=options.solver, parameters=parse(options.set))


def compare(arguments: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Compare:
        model: tyro.conf.Positional[str]
        """brock-mirman, growth or krusell-smith-household."""
        seed: int = 0
        """Seed of every method that uses random numbers."""
        runs: str = "runs"
        """Folder that holds the runs."""
        wandb: Literal["auto", "online", "offline", "disabled"] = "disabled"
        """Weights & Biases, for a run a method."""

    options = command.parse(Compare, arguments, "compare")

    from agents.runs.economies import compare

    return compare(options.model, options.seed, options.runs, options.wandb)


def _value(option: str, arguments: list[str]) -> str | None:
    """The value of an option that chooses the defaults of the solver, and so is read before the others."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == option and (equals or place + 1 < len(arguments)):
            return value if equals else arguments[place + 1]
    return None
