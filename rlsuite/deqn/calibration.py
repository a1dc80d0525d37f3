"""Calibrations: the checks that they share, and changes to them."""

import ast
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

C = TypeVar("C")
_SYMBOLS = {  # of the parameters, as papers write them
    "alpha": "capital_share",
    "beta": "discount",
    "delta": "depreciation",
    "gamma": "risk_aversion",
    "rho": "persistence",
    "sigma": "volatility",
}

_BOUNDS = {  # exclusive bounds, by the name a parameter has in every model
    "discount": (0.0, 1.0),
    "capital_share": (0.0, 1.0),
    "persistence": (-1.0, 1.0),
    "risk_aversion": (0.0, float("inf")),
    "technology": (0.0, float("inf")),
}


def check(calibration: Any) -> None:
    """Refuse parameters outside their domain.

    Raises:
        ValueError: names the parameter, its value and what it must be.
    """
    for field in dataclasses.fields(calibration):
        value = getattr(calibration, field.name)
        if field.name in _BOUNDS:
            low, high = _BOUNDS[field.name]
            require(low < value < high, f"{field.name} must lie strictly between {low:g} and {high:g}, not {value:g}")
        if field.name == "depreciation":
            require(0 <= value <= 1, f"depreciation must lie between 0 and 1, not {value:g}")
        if field.name == "volatility":
            require(value >= 0, f"volatility is a standard deviation and cannot be negative, but it is {value:g}")


def require(holds: bool, message: str) -> None:
    """Raises:
    ValueError: with the message, where it does not hold.
    """
    if not holds:
        raise ValueError(message)


def parse(text: str) -> dict[str, Any]:
    """The values in ``risk_aversion=4,sigma=.02``; several of one parameter stand in parentheses.

    Raises:
        ValueError: it is no list of ``name=value``.
    """
    try:
        call = ast.parse(f"set({text})", mode="eval").body  # the values are written as Python's keyword arguments
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            raise ValueError
        return {_SYMBOLS.get(str(part.arg), str(part.arg)): ast.literal_eval(part.value) for part in call.keywords}
    except (ValueError, SyntaxError):
        raise ValueError(f"--set takes name=value,name=value with numbers, but {text!r} is not so") from None


def changed(calibration: C, values: Mapping[str, Any]) -> C:
    """The calibration with other values, which may come from JSON.

    Raises:
        ValueError: names a parameter that it does not have, or a value that is impossible.
    """
    kinds, given = get_type_hints(type(calibration)), {}
    own = {field.name: getattr(calibration, field.name) for field in dataclasses.fields(calibration)}  # type: ignore[arg-type]
    for name, value in values.items():
        require(name in own, f"there is no parameter {name!r}: known are {', '.join(own)}")
        given[name] = _tuples(value)
        wanted = "a whole number" if kinds[name] is int else "a number"
        wanted = f"like {own[name]!r}" if isinstance(own[name], tuple) else wanted
        require(_fits(given[name], kinds[name]), f"{name} must be {wanted}, not {value!r}")
    return dataclasses.replace(calibration, **given)  # type: ignore[type-var]


def _tuples(value: Any) -> Any:
    """The value with tuples for lists, as calibrations are hashed."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value has the type of an annotation; whole numbers do for fractional ones."""
    if get_origin(kind) is not tuple:
        is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    first, *others = get_args(kind)
    if not isinstance(value, tuple) or not value:
        return False
    entries = [first] * len(value) if others == [...] else [first, *others]
    return len(entries) == len(value) and all(map(_fits, value, entries))
