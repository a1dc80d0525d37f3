"""Format numbers for display: few digits and constant widths, so that values updated in place do not jump."""

import math

import numpy as np
from numpy.typing import ArrayLike


def count_text(count: float) -> str:
    """Three digits and a unit: 950, 31.0k, 1.25M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:  # 999.6 would be rounded to 1000
            scaled = count / size
            decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{decimals}f}{unit}"
    return f"{count:.0f}" if count >= 10 else f"{count:.2g}"


def rate_text(per_second: float) -> str:
    """Counts a second, without the unit of time; a dash where it is not known."""
    return "-" if math.isnan(per_second) else count_text(per_second)


def number_text(number: float) -> str:
    """A measured value: 12,345 or 213.4 or 9.37 or 0.0123 or 1.2e-05; a dash where there is none."""
    size = abs(number)
    if math.isnan(number):
        return "-"
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{number:.1e}"
    decimals = 0 if size >= 1e4 else 1 if size >= 100 else 2 if size >= 1 or size == 0 else 4
    return f"{number:,.{decimals}f}"


def range_text(values: ArrayLike) -> str:
    """Lowest to highest of many values: 98.00 .. 500.0."""
    array = np.asarray(values, dtype=np.float64)
    return f"{number_text(array.min())} .. {number_text(array.max())}"


def duration_text(seconds: float) -> str:
    """0:41, 1:07:41 or 2 d 03:07; a dash where it is not known."""
    if not math.isfinite(seconds):
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02}:{minute:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
