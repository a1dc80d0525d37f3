"""The learning curve of a run, read as it grows."""

from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.tracking.record import Clock
from rlsuite.tracking.statistics import aggregate_curve
from rlsuite.tracking.tail import Tail

_MOST_POINTS = 300  # of a drawn curve
_SCORES = ("evaluation/score", "train/return")  # the first that a run has is drawn, else the first of its losses
_LOSS = "loss/"


class LearningCurve:
    """The course of a run's score, or of its loss."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._last = Clock(0, 0, 0.0)
        self._points: dict[str, list[tuple[Clock, np.ndarray]]] = {}

    def news(self) -> dict[str, Any] | None:
        """The curve as a message for pages; None where it is as it was."""
        grown = False
        for clock, values in self._tail.new():
            if (clock.env_steps, clock.updates) < (self._last.env_steps, self._last.updates):
                self._points = {}  # the run went back to a checkpoint, and its file is read from the start
            self._last = clock
            for name in values:
                if name in _SCORES or name.startswith(_LOSS):
                    self._points.setdefault(name, []).append((clock, values[name]))
                    grown = True
        return self._message() if grown else None

    def _message(self) -> dict[str, Any]:
        name = next((name for name in _SCORES if name in self._points), next(iter(self._points)))
        points = self._points[name]
        points = points[:: -(-len(points) // _MOST_POINTS)] + points[-1:]
        unit = "env_steps" if any(clock.env_steps for clock, _ in points) else "updates"
        middle, low, high = aggregate_curve(np.stack([values for _, values in points], axis=1))
        return {
            "kind": "curve",
            "title": name,
            "unit": unit.replace("_", " "),
            "isLoss": name.startswith(_LOSS),  # its axis is logarithmic
            "at": [getattr(clock, unit) for clock, _ in points],
            "middle": middle,
            "low": low,
            "high": high,
            "seeds": len(points[0][1]),
        }
