"""Presets that are trained with, results of runs as tables, and trained agents as single files.

rlsuite zoo list                                    # agents, environments and their presets
rlsuite zoo results runs/A runs/B --out results.md  # a table and results.json; one written before may be named too
rlsuite zoo pack runs/A                             # A.zip: the agent, its score and a model card, without pickle
rlsuite zoo unpack A.zip                            # a run that can be evaluated, watched and exported
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Results:
    """Write the scores of runs as a table, and as a JSON file beside it."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs that were evaluated, or of sweeps of them; a results.json written before, whose rows are kept."""
    out: Path = Path("results.md")
    """File to write."""


@dataclasses.dataclass(frozen=True)
class Pack:
    """Write a trained agent into one file."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """File to write; by default the run's name with .zip, here."""


@dataclasses.dataclass(frozen=True)
class Unpack:
    """Make a run of a packed agent."""

    file: tyro.conf.Positional[Path]
    """File that ``zoo pack`` wrote."""
    runs: Path = Path("runs")
    """Folder in which the run is made."""
    name: str | None = None
    """Name of the run; by default that of the file."""


def main(arguments: list[str]) -> int:
    first, *rest = arguments or ["--help"]
    if first in ("-h", "--help"):
        return command.usage(__doc__, "COMMAND --help lists what it takes.")
    commands: dict[str, Callable[[list[str]], None]] = {
        "list": _list,
        "results": _results,
        "pack": _pack,
        "unpack": _unpack,
    }
    name = first.removeprefix("--") if first == "--list" else first
    if name not in commands:
        from agents.runs.registry import nearest

        raise ValueError(nearest("command of zoo", name, list(commands)))
    commands[name](rest)
    return 0


def _list(rest: list[str]) -> None:
    from agents.runs.zoo import presets

    if rest:
        raise ValueError(f"zoo list takes no options, and was given {' '.join(rest)}")
    rows = [("agent", "preset", "env steps", "environments"), *presets()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip())


def _results(rest: list[str]) -> None:
    options = command.parse(Results, rest, "results")
    from agents.runs.zoo import write_results

    written = write_results(options.runs, options.out)
    print(f"{written} runs in {options.out} and {options.out.with_suffix('.json')}")


def _pack(rest: list[str]) -> None:
    options = command.parse(Pack, rest, "pack")
    from agents.runs.run import open_run
    from agents.runs.zoo import pack

    out = options.out or Path(f"{options.run.resolve().name}.zip")
    pack(open_run(options.run), out)
    print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB); on another machine: {command.program()} unpack {out.name}")


def _unpack(rest: list[str]) -> None:
    options = command.parse(Unpack, rest, "unpack")
    from agents.runs.zoo import unpack

    folder = unpack(options.file, options.runs, options.name)
    print(command.as_typed(f"{folder}: rlsuite evaluate {folder} --checkpoint best"))
