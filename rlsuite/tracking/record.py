"""The metrics that a run reports in training, and the interface of their writers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

Status = Literal["finished", "interrupted", "failed"]
Axis = Literal["env_steps", "updates"]  # the count of a clock that curves are drawn over

Values = Mapping[str, "float | np.ndarray"]
"""Metrics by name (``train/return``, ``loss/td``, ``time/learn_fraction``): floats, or arrays [S], one value a seed."""


@dataclass(frozen=True)
class Clock:
    """The position of a run. A resumed run continues its counts."""

    env_steps: int  # of one seed
    updates: int  # optimiser steps of one seed
    wall_seconds: float  # spent in the run, without the time between an interruption and its resumption


class Writer(Protocol):
    """A destination of metrics, such as a file or a display."""

    def log(self, clock: Clock, values: Values) -> None:
        """Take in metrics. Clocks never go back; the names may differ from call to call."""
        ...

    def video(self, clock: Clock, name: str, path: Path) -> None:
        """Take in a finished video file."""
        ...

    def summary(self, values: Mapping[str, Any]) -> None:
        """Take in the results of the whole run: JSON values, paths, arrays [S] of one value a seed."""
        ...

    def sync(self) -> None:
        """Write buffered metrics to disk, because a checkpoint is about to rely on them.

        Raises:
            OSError: it cannot be.
        """
        ...

    def close(self, status: Status) -> None:
        """Let go of files and connections. Nothing is reported afterwards."""
        ...
