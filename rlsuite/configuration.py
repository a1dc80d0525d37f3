"""Configurations are dataclasses, and their annotations are the rules: types, choices and bounds, checked here.

Free of torch, so that ``--help`` is quick.
"""

import dataclasses
import logging
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rlsuite.option_groups import flat

log = logging.getLogger("rlsuite")

C = TypeVar("C")


@dataclass(frozen=True)
class Within:
    """The numbers that an option may take: from ``low`` (itself only where ``inclusive``) to ``high``."""

    low: float
    high: float = math.inf
    inclusive: bool = True

    def check(self, option: str, number: float) -> None:
        """Raises ``ValueError``, naming the option, where the number is outside."""
        if not (self.low < number or (self.inclusive and number == self.low)) or number > self.high:
            least = f"{'at least' if self.inclusive else 'more than'} {self.low:g}"
            most = "" if math.isinf(self.high) else f" and at most {self.high:,}"
            raise ValueError(f"{option} must be {least}{most}, not {number:,}")


LARGEST_SEED = 2**63 - 1  # random numbers are made from 64-bit integers
Count = Annotated[int, Within(1)]
Natural = Annotated[int, Within(0)]
Seed = Annotated[int, Within(0, LARGEST_SEED)]
Positive = Annotated[float, Within(0, inclusive=False)]
NotNegative = Annotated[float, Within(0)]
Fraction = Annotated[float, Within(0, 1)]
Widths = Annotated[tuple[int, ...], Within(1)]


def check(config: Any) -> None:
    """Refuse a dataclass with a value that its annotations exclude, wherever it comes from.

    Raises:
        ValueError: names the option, what it must be and what it is.
    """
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        _check(option(name), getattr(config, name), hint)


def check_seeds(first: int, seeds: int) -> None:
    """Raises ``ValueError`` where the last of ``seeds`` seeds from ``first`` on is too large."""
    if first + seeds - 1 > LARGEST_SEED:
        raise ValueError(f"--seed {first} is too large for --seeds {seeds}: the last would be beyond {LARGEST_SEED:,}")


def option(name: str) -> str:
    """Return the command-line option of a field."""
    return "--" + name.replace("_", "-")


def from_json(kind: type[C], values: Any, path: Path) -> C:
    """The dataclass that a file holds as a JSON object, its options in groups or not; lists become tuples.

    Raises:
        ValueError: names the file and what is wrong with it: unknown or missing names, types, choices, bounds.
    """
    complaint = f"{path} is damaged or of another version"
    if not isinstance(values, Mapping):
        raise ValueError(f"{complaint}: its configuration is {_shown(values)} instead of an object")
    try:
        values = flat(kind, values)
    except ValueError as error:
        raise ValueError(f"{complaint}: {error}") from None
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown, missing = [sorted(one - other) for one, other in ((set(values), set(fields)), (set(fields), set(values)))]
    if unknown:
        raise ValueError(f"{complaint}: it names {', '.join(map(repr, unknown))}, which this version does not know")
    no_default = dataclasses.MISSING
    required = [n for n in missing if fields[n].default is no_default and fields[n].default_factory is no_default]
    if required:
        raise ValueError(f"{complaint}: it lacks {', '.join(map(repr, required))}")
    if missing:
        log.warning(f"{path} does not say {', '.join(missing)}: taken as the default")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except ValueError as error:
        raise ValueError(f"{complaint}: {error}") from None


def _check(name: str, value: Any, hint: Any) -> None:
    bounds: list[Within] = []
    while get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        bounds += [note for note in notes if isinstance(note, Within)]
    if get_origin(hint) in (Union, types.UnionType):
        kinds = get_args(hint)
        if value is None and type(None) in kinds:
            return
        (hint,) = [kind for kind in kinds if kind is not type(None)]
        _check(name, value, hint)
    elif get_origin(hint) is Literal:
        if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in get_args(hint)):
            raise ValueError(f"{name} must be {_listed(get_args(hint))}, not {_shown(value)}")
    elif get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        if not isinstance(value, tuple) or (not value and kind is not str):  # of names there may be none
            raise ValueError(f"{name} needs at least one number, not {_shown(value)}")
        for entry in value:
            _check(name, entry, kind)
    elif get_origin(hint) is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name} must be names with values, not {_shown(value)}")
    elif hint in _KINDS:
        accepted, called = _KINDS[hint]
        if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
            raise ValueError(f"{name} must be {called}, not {_shown(value)}")
        if hint is float and not _is_finite(value):
            raise ValueError(f"{name} must be finite, not {value}")
    elif isinstance(hint, type) and not isinstance(value, hint):  # a dataclass, which checks itself
        raise ValueError(f"{name} must be a {hint.__name__}, not {_shown(value)}")
    for bound in bounds:
        for number in value if isinstance(value, tuple) else (value,):
            bound.check(name, number)


# Whole numbers do for fractional ones, as in JSON.
_KINDS: dict[Any, tuple[Any, str]] = {
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    bool: (bool, "true or false"),
    str: (str, "a text"),
}


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float holds
        return False


def _listed(choices: tuple[Any, ...]) -> str:
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
