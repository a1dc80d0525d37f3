"""Measure speed and memory beside peers: ``scripts/benchmark.py`` of a checkout, which a wheel does not hold."""

import runpy
import sys

from agents.cli import command


def main(arguments: list[str]) -> int:
    if command.CHECKOUT is None:
        raise ValueError("benchmarks are part of the repository: run python scripts/benchmark.py in a checkout of it")
    folder = command.CHECKOUT / "scripts"
    sys.path.insert(0, str(folder))
    runpy.run_path(str(folder / "benchmark.py"), run_name="__main__")
    return 0
