"""Single bits of integers below ``2**32``."""

from torch import Tensor


def lowest(number: Tensor) -> Tensor:
    """Only the lowest bit that is set, or none."""
    return number & -number


def highest(number: Tensor) -> Tensor:
    """Only the highest bit that is set, or none."""
    filled = number
    for distance in (1, 2, 4, 8, 16):
        filled = filled | (filled >> distance)
    return filled ^ (filled >> 1)
