"""The progress of a run in training: position, speed and latest values."""

import math
from collections import deque
from collections.abc import Mapping

import numpy as np

from rlsuite.tracking.record import Axis, Clock, Values
from rlsuite.tracking.text import count_text

_PACE_WINDOW_SECONDS = 20.0


class Course:
    """A long series in few points: each is the mean of as many values, twice as many whenever there are too many."""

    def __init__(self, most: int = 128) -> None:
        self.points: list[float] = []
        self._most, self._each = most, 1  # points at most; values a point
        self._open: list[float] = []  # values of the next point

    def append(self, value: float) -> None:
        self._open.append(value)
        if len(self._open) < self._each:
            return
        self.points.append(sum(self._open) / self._each)
        self._open = []
        if len(self.points) == self._most:
            self.points = [(a + b) / 2 for a, b in zip(self.points[::2], self.points[1::2], strict=True)]
            self._each *= 2


class Progress:
    """The state behind the progress display.

    Args:
        total: where the run ends, counted in ``axis``; env steps are those of one seed.
        headlines: the metrics to show and what to call them, such as ``{"train/return": "return"}``.
        num_seeds: S.
        axis: what ``total`` counts.
    """

    def __init__(self, total: int, headlines: Mapping[str, str], num_seeds: int = 1, axis: Axis = "env_steps") -> None:
        self.total = total
        self.headlines = dict(headlines)
        self.num_seeds = num_seeds
        self.axis: Axis = axis
        self.clock = Clock(env_steps=0, updates=0, wall_seconds=0.0)
        self.latest: dict[str, np.ndarray] = {}  # of each headline, the finite values over seeds
        self.courses = {name: Course() for name in headlines}  # of their means, over the whole run
        self.time_fractions: dict[str, float] = {}  # by section, as in the metrics time/<section>_fraction
        self._pace: deque[Clock] = deque()

    def move(self, clock: Clock) -> None:
        self.clock = clock
        if self.done:  # before the first step a compiler may be at work, which says nothing of those to come
            self._pace.append(clock)
        while len(self._pace) > 2 and clock.wall_seconds - self._pace[1].wall_seconds > _PACE_WINDOW_SECONDS:
            self._pace.popleft()

    def take(self, values: Values) -> None:
        for name, value in values.items():
            finite = np.atleast_1d(np.asarray(value, dtype=np.float64))
            finite = finite[np.isfinite(finite)]
            if finite.size == 0:
                continue
            if name in self.headlines:
                self.latest[name] = finite
                self.courses[name].append(float(finite.mean()))
            elif name.startswith("time/") and name.endswith("_fraction"):
                section = name.removeprefix("time/").removesuffix("_fraction")
                self.time_fractions[section] = float(finite.mean())

    @property
    def done(self) -> int:
        return getattr(self.clock, self.axis)

    @property
    def place(self) -> str:
        """Return the position of the run as text, such as ``16.9k of 50.0k env steps``."""
        each = " a seed" if self.num_seeds > 1 else ""
        return f"{count_text(self.done):>5} of {count_text(self.total)} {self.axis.replace('_', ' ')}{each}"

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / max(1, self.total))

    def per_second(self, count: Axis) -> float:
        """Env steps or updates of all seeds a second, lately; NaN where nothing is known yet."""
        if len(self._pace) < 2:
            return math.nan
        first, last = self._pace[0], self._pace[-1]
        seconds = last.wall_seconds - first.wall_seconds
        done = self.num_seeds * (getattr(last, count) - getattr(first, count))
        return done / seconds if seconds > 0 else math.nan

    @property
    def seconds_left(self) -> float:
        """Return the seconds left at the present speed; infinite while that is 0 or unknown."""
        pace = self.per_second(self.axis)
        return self.num_seeds * max(0, self.total - self.done) / pace if pace > 0 else math.inf
