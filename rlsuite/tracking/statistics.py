"""Scores over seeds: the interquartile mean, performance profiles and bootstrap intervals.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", NeurIPS 2021.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

ENOUGH_SEEDS = 5  # for an interval that covers about as much as it says
_RESAMPLES = 2_000


def iqm(scores: ArrayLike, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean of what is left after the lowest and the highest quarter of the scores are cut.

    A quarter of n scores is rounded down, so with fewer than four scores this is the plain mean. The axis is reduced.
    NaN scores make the result NaN.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=axis)
    count = ordered.shape[axis]
    cut = count // 4
    middle = np.take(ordered, range(cut, count - cut), axis=axis).mean(axis=axis)
    has_nan = np.isnan(np.take(ordered, -1, axis=axis))  # NaN is sorted last, where the cut would hide it
    return np.where(has_nan, np.nan, middle)[()]


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Callable[..., np.ndarray] = iqm,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of scores [S], one score a seed.

    Args:
        scores: finite numbers [S].
        statistic: ``iqm``, ``numpy.mean`` or another function of ``(scores, axis)``.
        confidence: coverage of the interval, between 0 and 1.
        seed: the same seed gives the same interval.

    Fewer scores than ``ENOUGH_SEEDS`` give an interval that is too narrow: of three it is from the lowest to the
    highest, which has the true mean of normal scores in it in three of four cases.

    One score, or scores that are all equal, give an interval of zero width. That is what resampling them yields, not
    a sign of certainty: where S is 1 nothing is known about the spread.

    Raises:
        ValueError: there are no scores, or some are not finite.
    """
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError("a bootstrap interval needs a list of at least one score, all of them finite")
    if sample.min() == sample.max():
        return float(sample[0]), float(sample[0])
    from scipy.stats import bootstrap  # takes a second to import

    interval = bootstrap(
        (sample,),
        statistic,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def aggregate_curve(
    values: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IQM over seeds at every point of a learning curve, with pointwise percentile bootstrap bands.

    Args:
        values: [S, T], one row a seed. A seed without a finite value at a point (no episode has ended yet) is left out
            there.
        confidence, seed: see ``bootstrap_interval``.

    Returns:
        iqm, low, high: [T] each, NaN where no seed has a value.
    """
    curves = np.asarray(values, dtype=np.float64)
    if curves.ndim != 2:
        raise ValueError(f"learning curves must have shape [seeds, points], not {list(curves.shape)}")
    present = np.isfinite(curves)
    ordered = np.sort(np.where(present, curves, np.nan), axis=0)  # NaN goes last
    counts = present.sum(axis=0)
    tails = (1 - confidence) / 2
    middle, low, high = np.full((3, curves.shape[1]), np.nan)
    # The number of seeds present is the same nearly everywhere, so this is one pass, or a few at the start of a curve.
    for count in np.unique(counts[counts > 0]):
        columns = counts == count
        scores = ordered[:count, columns]
        resampled = _resampling_weights(int(count), seed) @ scores
        middle[columns] = iqm(scores, axis=0)
        low[columns], high[columns] = np.quantile(resampled, [tails, 1 - tails], axis=0)
    return middle, low, high


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of ``scores`` [S] above each of ``thresholds`` [T], with pointwise percentile bootstrap bands.

    Returns:
        share, low, high: [T] each, between 0 and 1.
    """
    above = np.asarray(scores, dtype=np.float64)[:, None] > np.asarray(thresholds)[None]
    tails = (1 - confidence) / 2
    low, high = np.quantile(_resamples(len(above), seed) @ above / len(above), [tails, 1 - tails], axis=0)
    return above.mean(axis=0), low, high


def _resamples(count: int, seed: int) -> np.ndarray:
    """The number of times that each resample draws each of ``count`` scores, [resamples, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)


def _resampling_weights(count: int, seed: int) -> np.ndarray:
    """Weights [resamples, count] that turn sorted scores into the IQM of each resample.

    A resample draws every score a random number of times. Its IQM needs no sorting of its own: laid out in order, the
    copies of score k fill the places from c[k-1] to c[k], and those between the two cuts count. As the draws know
    nothing of the scores, the same weights serve every point of a curve.
    """
    cut = count // 4
    filled = np.clip(np.cumsum(_resamples(count, seed), axis=1), cut, count - cut)
    return np.diff(filled, axis=1, prepend=cut) / (count - 2 * cut)
