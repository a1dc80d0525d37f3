"""Measure speed and memory, side by side with peers in one run.

    python scripts/benchmark.py NAME [--json FILE], where NAME is replay, priorities, atari, ddpg, actor_critics, envs,
    population, recurrent, convolutions or gpu

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

import tyro
from checkout import fail_kindly

BENCHMARKS = (
    "replay",
    "priorities",
    "atari",
    "ddpg",
    "actor_critics",
    "envs",
    "population",
    "recurrent",
    "convolutions",
    "gpu",
)
_PACKAGES = ("torch", "gymnasium", "numpy", "ale-py", "stable-baselines3")


@dataclasses.dataclass(frozen=True)
class Options:
    name: tyro.conf.Positional[str]
    """Benchmark to run: replay, priorities, atari, ddpg, actor_critics, envs, population, recurrent, convolutions or
    gpu."""
    json: Path | None = None
    """Write the rows to this file too."""
    table: Path | None = None
    """Write the rows as a Markdown table to this file too."""
    minutes: float = 8.0
    """Minutes that gpu may take; measurements not begun by then are left out."""
    tiny: bool = False
    """Run gpu at a small size, to test that it works."""


def main(options: Options) -> None:
    if options.name not in BENCHMARKS:
        raise ValueError(f"there is no benchmark {options.name!r}; there are {', '.join(BENCHMARKS)}")
    measure = importlib.import_module(f"benchmarks.{options.name}").rows
    rows: list[dict[str, Any]] = []
    for row in measure(options.minutes, options.tiny) if options.name == "gpu" else measure():
        rows.append(row)
        _write(options, rows)  # the rows so far, in case the time ends
    _print(rows)


def _write(options: Options, rows: list[dict[str, Any]]) -> None:
    if options.json is not None:
        document = {"rows": rows, "machine": _machine(), "versions": _versions()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.table is not None:
        lines = ["| what | rlsuite | unit | peer or limit | its figure |", "|---|---|---|---|---|"]
        for row in rows:
            peer, figure = row.get("peer") or "", row.get("peer_value")
            if "limit" in row:
                peer, figure = "limit", row["limit"]
            shown = "" if figure is None else f"{figure:,.4g}"
            lines.append(f"| {row['name']} | {row['value']:,.4g} | {row['unit']} | {peer} | {shown} |")
        options.table.write_text("\n".join(lines) + "\n")


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
        "gpu": _gpu(),
    }


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    with fail_kindly():
        main(tyro.cli(Options, description=__doc__))
        sys.exit(0)
