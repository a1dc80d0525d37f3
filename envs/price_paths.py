"""Daily log returns of a traded price: laws that are known, and series of real prices.

All give log returns ``[N, days]`` of N stretches of days, and the deviation of a usual day.
"""

from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.supervised.data import series

Kind = Literal["gbm", "mean-reverting", "sp500", "oil", "gold"]
Split = Literal["train", "test"]
_YEAR = 252  # trading days
_TEST = 0.2  # share of the days of a series, at their end


class Paths(Protocol):
    scale: float
    """The deviation of a usual day."""

    def draw(self, key: Tensor, days: int) -> Tensor:
        """Log returns ``[N, days]`` for keys ``[N]``."""
        ...


class Brownian:
    """Geometric Brownian motion, with drift and volatility of a year."""

    def __init__(self, drift: float = 0.05, volatility: float = 0.2) -> None:
        self.scale = volatility / _YEAR**0.5
        self._mean = (drift - volatility**2 / 2.0) / _YEAR

    def draw(self, key: Tensor, days: int) -> Tensor:
        return self._mean + self.scale * random.normal(key, days).double()


class MeanReverting:
    """A price whose logarithm is drawn to a level: of a distance from it half is left after ``half_life`` days."""

    def __init__(self, half_life: float = 10.0, scale: float = 0.01) -> None:
        self.scale, self._kept = scale, 0.5 ** (1.0 / half_life)

    def draw(self, key: Tensor, days: int) -> Tensor:
        shocks = self.scale * random.normal(key, days + 1).double()
        first = shocks[:, :1] / (1.0 - self._kept**2) ** 0.5  # of the distribution that lasts
        times = torch.arange(days + 1, device=key.device)
        since = times.unsqueeze(0) - times.unsqueeze(1)  # [shock, day]
        weights = torch.where(since >= 0, self._kept ** since.clamp(min=0).double(), 0.0)
        return (torch.cat([first, shocks[:, 1:]], dim=1) @ weights).diff(dim=1)


class Real:
    """Stretches of a series, drawn at random or all that there are.

    Args:
        values: log returns ``[T]``, in the order of time.
        warm_up: days of a stretch before the first one that counts.
        split: whose days count: the first four fifths, or the others. The scale is that of the first.

    Raises:
        ValueError: the series is shorter than a stretch.
    """

    def __init__(self, values: np.ndarray, warm_up: int, days: int, split: Split) -> None:
        border = int((1.0 - _TEST) * len(values))
        self.scale = float(values[:border].std())
        first, last = (0, border) if split == "train" else (border - warm_up, len(values))
        self._values = torch.from_numpy(np.array(values[max(first, 0) : last]))
        self._starts = len(self._values) - days + 1
        if self._starts < 1:
            raise ValueError(f"{len(values):,} days are too few for {split}ing with stretches of {days}")
        self._apart = days - warm_up

    def draw(self, key: Tensor, days: int) -> Tensor:
        return self._from(random.integers(key, self._starts), days)

    def all(self, days: int) -> Tensor:
        """One stretch after the other; the days that count do not overlap, and a short last one is left out."""
        return self._from(torch.arange(0, self._starts, self._apart), days)

    def _from(self, starts: Tensor, days: int) -> Tensor:
        return self._values.to(starts.device)[starts.unsqueeze(1) + torch.arange(days, device=starts.device)]


def paths(kind: Kind, split: Split, warm_up: int, days: int) -> Paths:
    """The paths of a kind; ``split`` is without meaning for laws.

    Raises:
        ValueError: there is no such kind or split, or its file is missing.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, not {split!r}")
    match kind:
        case "gbm":
            return Brownian()
        case "mean-reverting":
            return MeanReverting()
        case "sp500":
            prices = series.sp500()
        case "oil":
            prices = _until_negative(series.oil())
        case "gold":
            prices = series.gold_index()
        case _:
            raise ValueError(f"prices must be gbm, mean-reverting, sp500, oil or gold, not {kind!r}")
    return Real(series.log_returns(prices).values, warm_up, days, split)


def _until_negative(prices: series.Series) -> series.Series:
    """The prices before the first that is not positive: oil's of 20 April 2020, of which there is no return."""
    bad = np.flatnonzero(prices.values <= 0.0)
    end = int(bad[0]) if bad.size else len(prices.values)
    return series.Series(prices.name, prices.dates[:end], prices.values[:end])
