"""Ratings against closed forms, and intervals that hold what they should."""

import numpy as np
import pytest

from rlsuite.tracking.elo import ratings


def test_two_players_have_the_ratings_of_their_odds() -> None:
    won, drawn = np.array([[0, 30], [60, 0]]), np.array([[0, 9], [9, 0]])
    found = ratings(won, drawn)
    # Points with one draw more: 30 + 4.5 + 0.5 and 60 + 4.5 + 0.5.
    assert found.rating == pytest.approx([0.0, 400 * np.log10(65 / 35)], abs=0.1)
    assert found.low[1] < found.rating[1] < found.high[1]
    assert found.low[0] == found.high[0] == 0.0
    few = ratings(won // 10, drawn // 9)
    assert few.high[1] - few.low[1] > 2 * (found.high[1] - found.low[1])


def test_players_are_rated_through_others_and_sure_wins_are_finite() -> None:
    won = np.array([[0, 0, 0], [50, 0, 0], [0, 50, 0]])
    found = ratings(won, np.zeros((3, 3)))
    step = 400 * np.log10(50.5 / 0.5)
    assert found.rating == pytest.approx([0.0, step, 2 * step], rel=0.01)


def test_intervals_hold_the_strength_by_which_games_were_drawn() -> None:
    rng, truth, within = np.random.default_rng(1), np.array([0.0, 100.0, 250.0]), []
    for _ in range(20):
        won = np.zeros((3, 3), np.int64)
        for first, second in ((0, 1), (0, 2), (1, 2)):
            chance = 1 / (1 + 10 ** ((truth[second] - truth[first]) / 400))
            won[first, second] = rng.binomial(60, chance)
            won[second, first] = 60 - won[first, second]
        found = ratings(won, np.zeros((3, 3)))
        within.append((found.low <= truth) & (truth <= found.high))
    assert np.mean(within, axis=0)[1:].min() >= 0.75
