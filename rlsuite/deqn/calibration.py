"""Checks that calibrations share."""

import dataclasses
from typing import Any

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
