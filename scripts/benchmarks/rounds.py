"""Timing two things in turn, so that a machine whose speed drifts is the same for both."""

import statistics
from collections.abc import Callable
from typing import Any


def alternate(ours: Callable[[], float], peer: Callable[[], float], rounds: int = 5) -> tuple[float, float, float]:
    """Medians of what both return, and of their ratio pair by pair; called A B A B ... after one round to warm up."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(rounds)]
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second), statistics.median(a / b for a, b in pairs)


def row(name: str, unit: str, peer: str, figures: tuple[float, float, float]) -> dict[str, Any]:
    value, peer_value, ratio = figures
    return {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
