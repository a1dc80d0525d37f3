"""Calibrations: the checks that they share, and changes to them."""

import ast
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

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
        ValueError: says which part is no ``name=value``.
    """
    values = {}
    for part in filter(None, re.split(r",(?![^(]*\))", text)):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        try:
            values[_SYMBOLS.get(name, name)] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise ValueError(f"--set takes name=value,name=value with numbers, but {part!r} is not so") from None
        require(bool(equals), f"--set takes name=value,name=value, but {part!r} is not so")
    return values


def changed(calibration: C, values: Mapping[str, Any]) -> C:
    """The calibration with other values, which may come from JSON.

    Raises:
        ValueError: names a parameter that it does not have, or a value that is impossible.
    """
    own = {field.name: getattr(calibration, field.name) for field in dataclasses.fields(calibration)}  # type: ignore[arg-type]
    for name, value in values.items():
        require(name in own, f"there is no parameter {name!r}: known are {', '.join(own)}")
        kind = type(own[name])
        fits = isinstance(value, list | tuple) if kind is tuple else isinstance(value, int | float)
        fits = fits and (kind is not int or isinstance(value, int)) and not isinstance(value, bool)
        wanted = {tuple: "several numbers, as (0.5,1)", int: "a whole number"}.get(kind, "a number")
        require(fits, f"{name} must be {wanted}, not {value!r}")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return dataclasses.replace(calibration, **given)  # type: ignore[type-var]
