"""Options that a search may change: a range or a choice of values for each option. Imports neither torch nor Optuna."""

import math
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from agents.options import RunConfig
from agents.runs.registry import nearest
from rlsuite.configuration import Within, option
from rlsuite.option_groups import groups

_FACTOR = 10.0  # of the value that a search starts from, to both sides
_DIGITS = 3  # of a proposed number; what is trained is what the preset says
_NOT_SEARCHED = ("run", "evaluation", "system", "tracking")  # groups that say how to measure, not what to learn by


@dataclass(frozen=True)
class Parameter:
    """An option that a search may change, from ``low`` to ``high`` or among ``choices``."""

    name: str  # of the field
    differs_by_seed: bool
    choices: tuple[str, ...] = ()  # as typed; one with spaces is several words
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    is_whole: bool = False
    from_one: bool = False  # the range is that of 1 minus the option: discounts of 0.9 and 0.99 differ by a factor
    is_flag: bool = False

    @property
    def label(self) -> str:
        """Name of what the range is of."""
        name = self.name.replace("_", "-")
        return f"1 - {name}" if self.from_one else name

    def words(self, value: Any) -> list[str]:
        """The option with a proposed value, as the command line takes it."""
        if self.is_flag:
            return [option(self.name) if value == "true" else option(f"no_{self.name}")]
        return [option(self.name), *self._typed(value).split()]

    def _typed(self, value: Any) -> str:
        if self.choices:
            return str(value)
        if self.is_whole:
            return str(int(value))
        rounded = float(f"{value:.{_DIGITS}g}")
        return f"{1 - rounded if self.from_one else rounded:.6g}"

    def value_of(self, config: RunConfig) -> Any:
        """The value of a configuration where the search may propose it, else None."""
        own = getattr(config, self.name)
        if self.choices:
            typed = " ".join(map(str, own)) if isinstance(own, tuple) else str(own)
            typed = typed.lower() if self.is_flag else typed
            return typed if typed in self.choices else None
        number = own[0] if isinstance(own, tuple) else own
        if number is None:
            return None
        number = 1 - number if self.from_one else number
        return number if self.low <= number <= self.high else None


def search_space(config: RunConfig, searched: Sequence[str], named: Collection[str]) -> tuple[Parameter, ...]:
    """Options that may differ by seed, ten times to both sides of its value, and what is ``searched`` for.

    Args:
        config: the values that the search starts from.
        searched: ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log`` or ``NAME=VALUE,VALUE...``.
        named: options that the command line gives a value, and that are left as they are.

    Raises:
        ValueError: an option is not there, cannot be searched or has no such values; or nothing is left to search.
    """
    hints = get_type_hints(type(config), include_extras=True)
    found = {
        name: parameter
        for name in sorted(config.per_seed - {*named})
        if (parameter := _around(name, getattr(config, name), hints[name])) is not None
    }
    ranges = [_parsed(text, config, hints) for text in searched]
    for parameter in ranges:
        if [one.name for one in ranges].count(parameter.name) > 1:
            raise ValueError(f"{option(parameter.name)} is searched for twice: give it one range")
        if parameter.name in named:
            raise ValueError(f"{option(parameter.name)} has a value and is searched for: leave out one of them")
        found[parameter.name] = parameter
    if not found:
        raise ValueError("there is nothing to search: name options by --search NAME=LOW:HIGH")
    return tuple(found.values())


def _around(name: str, values: tuple[float, ...], hint: Any) -> Parameter | None:
    highest = min((bound.high for bound in get_args(hint) if isinstance(bound, Within)), default=math.inf)
    from_one = highest == 1 and values[0] > 0.5
    value = 1 - values[0] if from_one else values[0]
    if value <= 0:  # switched off
        return None
    low, high = float(f"{value / _FACTOR:.6g}"), min(float(f"{value * _FACTOR:.6g}"), highest)
    return Parameter(name, True, low=low, high=high, is_log=True, from_one=from_one)


def _parsed(text: str, config: RunConfig, hints: Mapping[str, Any]) -> Parameter:
    typed, equals, values = text.partition("=")
    name = typed.strip("-").replace("-", "_")
    if not equals or not values:
        raise ValueError(f"--search {text}: it is NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE...")
    searchable = [
        one
        for group, names in groups(type(config)).items()
        if group not in _NOT_SEARCHED
        for one in names
        if one != "env"
    ]
    if name not in searchable:
        raise ValueError(nearest("option to search for", typed, [one.replace("_", "-") for one in searchable]))
    kinds = _kinds(hints[name])
    if ":" not in values:
        choices = tuple(values.split(","))
        if len(set(choices)) < max(2, len(choices)):
            raise ValueError(f"--search {text}: a choice needs two values at least, and each once")
        if (is_flag := kinds == {bool}) and {*choices} != {"true", "false"}:
            raise ValueError(f"--search {text}: the choices are true,false")
        return Parameter(name, name in config.per_seed, choices, is_flag=is_flag)
    low, high, *scale = values.split(":")
    try:
        numbers = float(low), float(high)
    except ValueError:
        numbers = math.nan, math.nan
    ordered = -math.inf < numbers[0] < numbers[1] < math.inf
    if not kinds & {int, float} or scale not in ([], ["log"]) or not ordered:
        raise ValueError(f"--search {text}: a range is LOW:HIGH or LOW:HIGH:log, of an option that takes a number")
    if scale and numbers[0] <= 0:
        raise ValueError(f"--search {text}: a range by its logarithm begins above 0")
    is_whole = float not in kinds
    if is_whole and not all(number.is_integer() for number in numbers):
        raise ValueError(f"--search {text}: {option(name)} takes whole numbers")
    return Parameter(name, name in config.per_seed, (), *numbers, is_log=bool(scale), is_whole=is_whole)


def _kinds(hint: Any) -> set[type]:
    """The kinds of values that an option takes, where it takes one."""
    if get_origin(hint) is Annotated:
        inner = get_args(hint)[0]
        return {float} if get_origin(inner) is tuple and get_args(inner)[0] is float else _kinds(inner)
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*(_kinds(kind) for kind in get_args(hint)))
    return {hint} if isinstance(hint, type) else set()
