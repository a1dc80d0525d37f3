"""Elo ratings of players from the results of their games, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

_SCALE = 400.0 / np.log(10.0)  # a difference of 400 stands for odds of ten to one
_ROUNDS, _STEP = 2_000, 1e-6
_RESAMPLES = 500


@dataclass(frozen=True)
class Ratings:
    """Ratings of K players and their 95 % intervals, ``[K]`` each; those of the first are 0."""

    rating: np.ndarray
    low: np.ndarray
    high: np.ndarray


def ratings(won: np.ndarray, drawn: np.ndarray) -> Ratings:
    """The likeliest ratings, and intervals by resampling the games of each pair.

    Every pair that has played is given one draw more, so that who wins all games is not infinitely better.

    Args:
        won: ``[K, K]``, games that a row's player won against a column's.
        drawn: ``[K, K]``, games without a winner, the same both ways.
    """
    rng = np.random.default_rng(0)
    results = np.stack([won, drawn, won.T], axis=-1).astype(np.int64)
    games = results.sum(axis=-1)
    upper = np.triu(games > 0, 1)
    resampled = np.zeros((_RESAMPLES, *results.shape))
    for row, column in np.argwhere(upper):
        odds = results[row, column] / games[row, column]
        counts = rng.multinomial(games[row, column], odds, size=_RESAMPLES)
        resampled[:, row, column], resampled[:, column, row] = counts, counts[:, ::-1]
    played = (upper | upper.T).astype(np.float64)
    points = np.concatenate([results[None], resampled]) @ np.array([1.0, 0.5, 0.0]) + 0.5 * played
    fitted = _fitted(points, games + played)
    low, high = np.quantile(fitted[1:], [0.025, 0.975], axis=0)
    return Ratings(fitted[0], low, high)


def _fitted(points: np.ndarray, games: np.ndarray) -> np.ndarray:
    """Ratings ``[R, K]`` by which players get the points ``[R, K, K]`` they have (Hunter, 2004)."""
    strength = np.ones(points.shape[:2])
    total = points.sum(axis=2)
    for _ in range(_ROUNDS):
        met = games / (strength[:, :, None] + strength[:, None, :])
        better = total / met.sum(axis=2)
        better /= better[:, :1]
        done = np.abs(np.log(better / strength)).max() < _STEP
        strength = better
        if done:
            break
    return _SCALE * np.log(strength)
