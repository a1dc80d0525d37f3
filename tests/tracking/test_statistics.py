import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, trim_mean

from rlsuite.tracking.statistics import _RESAMPLES, _resampling_weights, aggregate_curve, bootstrap_interval, iqm

scores_lists = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(scores_lists)
@settings(deadline=None, max_examples=50)
def test_iqm_is_the_quarter_trimmed_mean(scores: list[float]) -> None:
    assert iqm(scores) == pytest.approx(trim_mean(scores, 0.25), rel=1e-9, abs=1e-6)


def test_iqm_by_hand() -> None:
    assert iqm([100.0, 2.0, 3.0, -50.0]) == 2.5
    assert iqm([1.0, 2.0, 6.0]) == 3.0
    np.testing.assert_array_equal(iqm([[1.0, 10.0], [3.0, 30.0]], axis=0), [2.0, 20.0])
    assert np.isnan(iqm([1.0, np.nan, 2.0, 3.0]))


def test_interval_covers_the_truth_as_often_as_promised() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = bootstrap_interval(generator.normal(5.0, 1.0, size=30), np.mean, confidence=0.9)
        covered += low <= 5.0 <= high
    assert 80 <= covered <= 97


def test_interval_is_repeatable_and_ordered() -> None:
    scores = [3.0, 9.0, 1.0, 4.0, 7.0]
    low, high = bootstrap_interval(scores)
    assert min(scores) <= low < iqm(scores) < high <= max(scores)
    assert (low, high) == bootstrap_interval(scores)
    narrow_low, narrow_high = bootstrap_interval(scores, confidence=0.5)
    assert low < narrow_low < narrow_high < high


def test_interval_holds_percentiles_of_the_resamples() -> None:
    # One success among eight: resamples have 0 to 3 of them at most, hardly ever more.
    low, high = bootstrap_interval([0.0] * 7 + [100.0], np.mean)
    assert (low, high) == (0.0, 37.5)


@pytest.mark.parametrize("scores", [[500.0], [500.0] * 10])
def test_interval_of_scores_without_spread_has_no_width(scores: list[float]) -> None:
    assert bootstrap_interval(scores) == (500.0, 500.0)


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [[1.0, 2.0]]])
def test_interval_refuses_what_is_no_sample(scores: list) -> None:
    with pytest.raises(ValueError, match="at least one score"):
        bootstrap_interval(scores)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 10, 33])
def test_weights_give_the_iqm_of_each_resample(count: int) -> None:
    scores = np.sort(np.random.default_rng(1).normal(size=count))
    draws = np.random.default_rng(5).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    expected = [iqm(np.repeat(scores, drawn)) for drawn in draws]
    np.testing.assert_allclose(_resampling_weights(count, seed=5) @ scores, expected, atol=1e-12)


def test_curve_agrees_with_scipy_at_every_point() -> None:
    values = np.random.default_rng(2).normal(size=(12, 3)) * [1.0, 10.0, 100.0]
    middle, low, high = aggregate_curve(values)
    np.testing.assert_allclose(middle, iqm(values, axis=0))
    for point in range(3):
        reference = bootstrap((values[:, point],), iqm, n_resamples=20_000, method="percentile", rng=0)
        interval = reference.confidence_interval
        width = interval.high - interval.low
        assert low[point] == pytest.approx(interval.low, abs=0.08 * width)
        assert high[point] == pytest.approx(interval.high, abs=0.08 * width)


def test_curve_leaves_out_seeds_without_a_value() -> None:
    values = np.array([[np.nan, 1.0, 1.0], [np.nan, np.nan, 3.0], [np.nan, 2.0, 8.0]])
    middle, low, high = aggregate_curve(values)
    np.testing.assert_array_equal(middle, [np.nan, 1.5, 4.0])
    np.testing.assert_array_equal(np.isnan(low), [True, False, False])
    assert 1.0 <= low[1] <= middle[1] <= high[1] <= 2.0
    alone = aggregate_curve(values[[0, 2], 1:2])
    assert (middle[1], low[1], high[1]) == tuple(part.item() for part in alone)


def test_curve_of_one_seed_is_that_seed() -> None:
    values = np.array([[3.0, np.inf, 5.0]])
    for line in aggregate_curve(values):
        np.testing.assert_array_equal(line, [3.0, np.nan, 5.0])


def test_curve_refuses_a_single_row() -> None:
    with pytest.raises(ValueError, match=r"\[seeds, points\]"):
        aggregate_curve([1.0, 2.0])
