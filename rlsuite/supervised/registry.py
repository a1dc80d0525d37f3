"""All supervised experiments, by name: every file in ``rlsuite/supervised/experiments`` adds its own."""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from rlsuite.supervised import experiments
from rlsuite.supervised.experiment import Experiment


@functools.cache
def all_experiments() -> dict[str, Experiment[Any, Any]]:
    """The experiments in the order of their files' names."""
    found: dict[str, Experiment[Any, Any]] = {}
    for file in pkgutil.iter_modules(experiments.__path__):
        module = importlib.import_module(f"{experiments.__name__}.{file.name}")
        for experiment in getattr(module, "EXPERIMENTS", ()):
            assert experiment.name not in found, f"two experiments are called {experiment.name}"
            found[experiment.name] = experiment
    return found


def find(name: str) -> Experiment[Any, Any]:
    """The experiment of that name.

    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    known = all_experiments()
    if name not in known:
        raise ValueError(f"there is no experiment {name!r}: did you mean {nearest(name, known)!r}? 'list' shows all")
    return known[name]


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that is most like one that does not exist."""
    return difflib.get_close_matches(name, list(names), n=1, cutoff=0.0)[0]


def commands() -> set[str]:
    """Names of what can be done with trained runs."""
    return {name for experiment in all_experiments().values() for name in experiment.commands}
