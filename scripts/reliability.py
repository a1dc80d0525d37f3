"""Try to break rlsuite: kills, full disks, damaged files, wrong command lines, environments that fail, and more.

python scripts/reliability.py --minutes 30           every check, each for its share of the time
python scripts/reliability.py --only kills saves     some of them

Exit status 1 where a run differed from one left alone, or a traceback, a hang or a process left behind was seen.
"""

import dataclasses
import importlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from checkout import fail_kindly

if TYPE_CHECKING:
    from trials import Result

CHECKS = (
    "saves",
    "operations",
    "kills",
    "full_disks",
    "pipes",
    "sharing",
    "damage",
    "command_lines",
    "sick_environments",
    "wandb_faults",
)
_PACKAGES = ("torch", "gymnasium", "numpy", "safetensors", "wandb", "tyro")


@dataclasses.dataclass(frozen=True)
class Options:
    minutes: float = 10.0
    """Duration; each check has an equal share."""
    only: tuple[str, ...] = CHECKS
    """Checks to run."""
    seed: int = 0
    """Seed of all random choices."""
    json: Path | None = None
    """Write what was found to this file too."""
    table: Path | None = None
    """Write promises, trials and faults to this file, as the Markdown table of docs/reliability.md."""


def main(options: Options) -> int:
    unknown = sorted(set(options.only) - set(CHECKS))
    if unknown or not options.minutes > 0:
        raise ValueError(
            f"there is no check {unknown[0]!r}: there are {', '.join(CHECKS)}"
            if unknown
            else f"--minutes must be positive, not {options.minutes}"
        )
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "reliability"))

    from trials import run_check

    results = []
    ends = time.monotonic() + 60 * options.minutes
    for number, name in enumerate(options.only):
        folder = Path(tempfile.mkdtemp(prefix=f"reliability-{name}-"))
        seconds = (ends - time.monotonic()) / (len(options.only) - number)  # time left over by quicker checks is shared
        try:
            results.append(run_check(importlib.import_module(name), seconds, options.seed, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(line(results[-1]), flush=True)
    show(results)
    if options.table is not None:
        options.table.write_text(markdown(results))
    if options.json is not None:
        document = {
            "minutes": options.minutes,
            "seed": options.seed,
            "machine": {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()},
            "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
            "checks": [result.as_json() for result in results],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(any(result.faults for result in results))


def line(result: "Result") -> str:
    says = result.skipped and f"skipped: {result.skipped}"
    return f"{result.name}: {says or f'{result.trials} trials, {len(result.faults)} faults'} in {result.seconds:.0f} s"


def markdown(results: "list[Result]") -> str:
    """Promise, how it is tested, count, result."""
    rows = ["| promise | how it is tested | trials | result |", "|---|---|---|---|"]
    for result in results:
        outcome = f"{len(result.faults)} faults" if result.skipped is None else f"skipped: {result.skipped}"
        how = f"`{result.name}`: {result.how}"
        rows.append(f"| {result.promise} | {how} | {result.trials} | {outcome} |")
    return "\n".join(rows) + "\n"


def show(results: "list[Result]") -> None:
    """A table of counts, and below it what was found."""
    from rich.console import Console
    from rich.table import Table
    from trials import KINDS

    table = Table(title="what was found", title_justify="left")
    for column in ("check", "trials", *KINDS):
        table.add_column(column, justify="left" if column == "check" else "right")
    for result in results:
        trials = f"{result.trials}" if result.skipped is None else "skipped"
        table.add_row(result.name, trials, *(str(result.count(kind)) for kind in KINDS))
    for result in results:
        for number, fault in enumerate(result.faults, start=1):
            print(f"\n--- {result.name} {number}: {fault.kind}\n{fault.what}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    with fail_kindly():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
