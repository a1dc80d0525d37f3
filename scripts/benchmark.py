"""Measure speed and memory, side by side with peers in one run.

    python scripts/benchmark.py replay|atari|ddpg|envs|population [--json FILE]

Peers are compared with where they are installed: pip install -c constraints.txt -e ".[peers]"
"""

import dataclasses
import importlib
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import command
import tyro

BENCHMARKS = ("replay", "atari", "ddpg", "envs", "population")
_PACKAGES = ("torch", "gymnasium", "numpy", "ale-py", "stable-baselines3")


@dataclasses.dataclass(frozen=True)
class Options:
    name: tyro.conf.Positional[str]
    """What to measure: replay, atari, ddpg, envs or population."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(options: Options) -> None:
    if options.name not in BENCHMARKS:
        raise ValueError(f"there is no benchmark {options.name!r}; there are {', '.join(BENCHMARKS)}")
    rows = importlib.import_module(f"benchmarks.{options.name}").rows()
    _print(rows)
    if options.json is not None:
        document = {"rows": rows, "machine": _machine(), "versions": _versions()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for column in ("what", "rlsuite", "unit", "peer", "its figure", "ratio"):
        table.add_column(column, justify="left" if column in ("what", "unit", "peer") else "right")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['value']:,.4g}",
            row["unit"],
            str(row.get("peer") or ""),
            "" if row.get("peer_value") is None else f"{row['peer_value']:,.4g}",
            "" if row.get("ratio") is None else f"{row['ratio']:.2f}",
        )
    Console(highlight=False).print(table)


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    with command.fail_kindly():
        main(tyro.cli(Options, description=__doc__))
        sys.exit(0)
