"""Means, deviations and tails of what was earned on the same paths in several ways, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

_RESAMPLES = 1_000
_TAIL = 0.05


@dataclass(frozen=True)
class Estimate:
    """A statistic of a sample, and its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g}\n{self.low:.4g} .. {self.high:.4g}"


@dataclass(frozen=True)
class Summary:
    """Of a sample: mean, standard deviation, and the mean of its lowest twentieth."""

    mean: Estimate
    deviation: Estimate
    cvar: Estimate


class Resamples:
    """Counts ``[R, N]`` of how often each of N paths is drawn in R resamples, the same for all that is compared.

    Args:
        paths: N.
        seed: of the draws.
    """

    def __init__(self, paths: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._counts = rng.multinomial(paths, np.full(paths, 1.0 / paths), size=_RESAMPLES).astype(np.float32)

    def summary(self, values: np.ndarray) -> Summary:
        return Summary(self.mean(values), self.deviation(values), self.cvar(values))

    def mean(self, values: np.ndarray) -> Estimate:
        return _estimate(values.mean(), self._means(values))

    def deviation(self, values: np.ndarray) -> Estimate:
        centred = values - values.mean()
        variance = self._means(centred**2) - self._means(centred) ** 2
        return _estimate(centred.std(), np.sqrt(variance.clip(min=0.0)))

    def cvar(self, values: np.ndarray) -> Estimate:
        """The mean of the lowest twentieth."""
        ordered = np.sort(values)
        tail = max(_TAIL * len(values), 1.0)

        def lowest(counts: np.ndarray) -> np.ndarray:
            filled = np.cumsum(counts, axis=-1).clip(max=tail)
            return np.diff(filled, axis=-1, prepend=0.0) @ ordered / tail

        return _estimate(lowest(np.ones(len(values))), lowest(self._counts[:, np.argsort(values)]))

    def _means(self, values: np.ndarray) -> np.ndarray:
        return self._counts @ values / len(values)


def _estimate(value: np.ndarray, resampled: np.ndarray) -> Estimate:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))
