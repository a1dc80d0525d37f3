"""Quantiles: the loss that they minimise, and tests of whether a share of the outcomes lies below them.

Of a forecast q of the quantile at the level a and an outcome y the pinball loss is

    a max(y - q, 0) + (1 - a) max(q - y, 0)

Its expectation is least where y < q with the probability a (Koenker and Bassett, 1978): at the level .99 an outcome
above the forecast is 99 times as dear as one below.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import xlogy
from scipy.stats import chi2
from torch import Tensor


def check_levels(levels: Sequence[float]) -> None:
    """Raises ``ValueError`` where levels are not inside (0, 1), or do not rise."""
    for level in levels:
        if not 0.0 < level < 1.0:
            raise ValueError(f"the level of a quantile must be more than 0 and less than 1, not {level:g}")
    if not levels or list(levels) != sorted(set(levels)):
        raise ValueError(f"levels of quantiles must rise, not be {' '.join(f'{level:g}' for level in levels)}")


def pinball(forecasts: Tensor, outcomes: Tensor, levels: Tensor) -> Tensor:
    """The loss ``[..., Q]`` of forecasts ``[..., Q]`` of the quantiles at levels ``[Q]`` of outcomes ``[...]``."""
    error = outcomes.unsqueeze(-1) - forecasts
    return torch.maximum(levels * error, (levels - 1.0) * error)


class Coverage(NamedTuple):
    """Share of outcomes below a quantile, and the probabilities of what was seen if it was right."""

    share: float
    kupiec: float
    christoffersen: float


def coverage(below: np.ndarray, level: float) -> Coverage:
    """Test whether outcomes, in the order of time, were below a quantile (bool ``[T]``) as often as they should be.

    Kupiec (1995) tests the share, Christoffersen (1998) also whether hits are independent of the hit before: both are
    likelihood ratios, with one and two degrees of freedom. At levels above a half hits are the rare outcomes above.
    """
    hits, rate = (below, level) if level <= 0.5 else (~below, 1.0 - level)
    share = hits.mean()
    of_share = 2.0 * (_likelihood(hits, share) - _likelihood(hits, rate))
    after_none, after_hit = hits[1:][~hits[:-1]], hits[1:][hits[:-1]]
    apart = _likelihood(after_none, _mean(after_none)) + _likelihood(after_hit, _mean(after_hit))
    of_order = 2.0 * (apart - _likelihood(hits[1:], _mean(hits[1:])))
    together = max(of_share, 0.0) + max(of_order, 0.0)
    return Coverage(float(below.mean()), float(chi2.sf(max(of_share, 0.0), 1)), float(chi2.sf(together, 2)))


def _mean(hits: np.ndarray) -> float:
    return float(hits.mean()) if hits.size else 0.0


def _likelihood(hits: np.ndarray, rate: float) -> float:
    """The logarithm of the likelihood of independent hits."""
    count = int(hits.sum())
    value = float(xlogy(count, rate) + xlogy(hits.size - count, 1.0 - rate))
    return value if not math.isnan(value) else -math.inf
