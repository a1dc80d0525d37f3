"""From a command line with lists of values to the runs of a sweep: agents x environments x settings.

``--env CartPole-v1,Acrobot-v1 --batch-size 32,64 --learning-rate 1e-3,3e-4 --seeds 10`` makes four runs. Options that
may differ by seed become one population: each run has both learning rates, with ten seeds each.
"""

import itertools
import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from agents.cli.train import parse
from agents.options import RunConfig
from agents.runs.registry import config_class, find

Words = list[tuple[str, list[str]]]  # options as typed, each with its values

_OF_THE_RUN = ("seed", "seeds")  # numbers of the run itself: other seeds are no other setting


@dataclass(frozen=True)
class Cell:
    """A run of a grid: its name, and how ``train`` is to be called."""

    name: str
    agent: str
    options: list[str]
    config: RunConfig


def grid(agents: str, words: list[str]) -> list[Cell]:
    """The runs that a command line names, each checked.

    Raises:
        ValueError: there is no such agent or environment, or an option cannot have its value.
    """
    cells = [cell for agent in agents.split(",") for cell in _of_agent(agent, paired(words))]
    names = [cell.name for cell in cells]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two runs of the sweep are the same, {twice}: name each value once")
    return cells


def paired(words: list[str]) -> Words:
    """Options as typed, each with the words that follow it.

    Raises:
        ValueError: the first word is no option.
    """
    found: Words = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append((name, [value] if equals else []))
        elif found:
            found[-1][1].append(word)
        else:
            raise ValueError(f"{word!r} is no option: after the agent come options, such as --env CartPole-v1")
    return found


def _of_agent(agent: str, words: Words) -> list[Cell]:
    kind = config_class(agent)
    hints, per_seed = get_type_hints(kind, include_extras=True), kind(env="").per_seed
    lists = {name: values[0].split(",") for name, values in words if len(values) == 1 and "," in values[0]}
    rows = {name: values for name, values in lists.items() if _field(name) in per_seed}
    runs = {
        name: values
        for name, values in lists.items()
        if name not in rows and _field(name) not in _OF_THE_RUN and _is_scalar(hints.get(_field(name)))
    }
    cells = []
    for values in itertools.product(*runs.values()):
        chosen = dict(zip(runs, values, strict=True))
        cells.append(
            _cell(agent, [(name, [chosen[name]] if name in chosen else own) for name, own in words], rows, runs)
        )
    return cells


def _cell(agent: str, words: Words, rows: dict[str, list[str]], runs: dict[str, list[str]]) -> Cell:
    """The run of a setting, with a population of all values of ``rows``; ``runs`` are the options that name it."""
    if rows:
        # Each seed must have a value: as many seeds for each combination, one combination after the other.
        first = [(name, values[0].split(",")[:1] if name in rows else values) for name, values in words]
        seeds = parse([agent, *flat(first)])[1].seeds
        combined = list(itertools.product(*rows.values()))
        per_seed = {
            name: ",".join(values[place] for values in combined for _ in range(seeds))
            for place, name in enumerate(rows)
        }
        words = [(name, [per_seed[name]] if name in per_seed else values) for name, values in words]
        words = [word for word in words if word[0] != "--seeds"] + [("--seeds", [str(seeds * len(combined))])]
    options = flat(words)
    config = parse([agent, *options])[1]
    parts = [find(agent).name, config.env]
    parts += [f"{name.strip('-')}-{values[0]}" for name, values in words if name in runs and name != "--env"]
    return Cell(re.sub(r"[^\w.+-]+", "-", "-".join(parts)), agent, options, config)


def flat(words: Words) -> list[str]:
    """The way back from ``paired``."""
    return [word for name, values in words for word in (name, *values)]


def _field(option: str) -> str:
    return option.strip("-").replace("-", "_")


def _is_scalar(hint: Any) -> bool:
    """Whether an option takes one number, text or choice, so that a list of them is several settings."""
    if get_origin(hint) is Annotated:
        return _is_scalar(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return all(kind is type(None) or _is_scalar(kind) for kind in get_args(hint))
    return hint in (int, float, str) or get_origin(hint) is Literal
