"""Quantiles: their loss, their tests, Engel's lines beside linear programming, and the risk of a made-up market."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_runs import check_small_run

from rlsuite import random
from rlsuite.supervised.data.files import at_hand
from rlsuite.supervised.data.series import OIL, SP500, Series, log_returns, oil, sp500, windows
from rlsuite.supervised.experiments import value_at_risk
from rlsuite.supervised.quantiles import check_levels, coverage, pinball
from rlsuite.supervised.registry import find


def test_the_pinball_loss_is_least_at_the_quantile():
    outcomes = random.normal(random.key(torch.tensor(0)), 4_001)
    levels = torch.tensor([0.1, 0.99])
    best = torch.quantile(outcomes, levels)
    least = pinball(best.expand(len(outcomes), -1), outcomes, levels).mean(dim=0)
    for moved in (best + 0.1, best - 0.1):
        assert (pinball(moved.expand(len(outcomes), -1), outcomes, levels).mean(dim=0) > least).all()


def test_falling_short_of_a_high_quantile_is_dear():
    losses = pinball(torch.zeros(2, 1), torch.tensor([1.0, -1.0]), torch.tensor([0.99]))
    assert losses.squeeze().tolist() == pytest.approx([0.99, 0.01])


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_levels_outside_are_refused(level):
    with pytest.raises(ValueError, match="must be more than 0 and less than 1, not"):
        check_levels([0.5, level])
    with pytest.raises(ValueError, match="must be more than 0"):
        find("value-at-risk").load(dataclasses.replace(find("value-at-risk").config, levels=(level,)))


def test_levels_must_rise():
    with pytest.raises(ValueError, match=r"must rise, not be 0\.9 0\.5"):
        check_levels([0.9, 0.5])


@pytest.mark.parametrize("level", [0.05, 0.95])
def test_coverage_is_accepted_where_it_is_right_and_rejected_where_it_is_not(level):
    draws = random.uniform(random.key(torch.tensor(1)), 2_000).numpy()
    right = coverage(draws < level, level)
    assert right.kupiec > 0.05 and right.christoffersen > 0.05
    assert coverage(draws < level + (0.02 if level < 0.5 else -0.02), level).kupiec < 0.05


def test_hits_that_follow_each_other_are_rejected():
    hits = np.arange(2_000) % 100 < 5  # the right share, in clusters
    found = coverage(hits, 0.05)
    assert found.kupiec > 0.9 and found.christoffersen < 1e-6


def test_kupiec_is_the_likelihood_ratio_of_the_binomial():
    hits = np.arange(250) < 6
    expected = 2.0 * (6 * np.log(6 / 250 / 0.01) + 244 * np.log(244 / 250 / 0.99))
    from scipy.stats import chi2

    assert coverage(hits, 0.01).kupiec == pytest.approx(chi2.sf(expected, 1))


def test_prices_without_logarithms_are_named():
    series = Series("barrels", ["monday", "tuesday", "friday"], np.array([1.0, -36.98, 0.0]))
    with pytest.raises(ValueError, match=r"barrels has the price -36\.98 on tuesday: logarithms need positive ones"):
        log_returns(series)


def test_a_series_shorter_than_a_window_is_refused():
    assert windows(np.arange(4.0), 3).tolist() == [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    with pytest.raises(ValueError, match="a series of 4 values is shorter than a window of 5"):
        windows(np.arange(4.0), 5)


def test_series_are_the_known_ones():
    if not all(map(at_hand, (SP500, OIL))):
        pytest.skip("the series are not at hand, and tests download nothing")
    assert len(sp500().values) == 5_105 and sp500().dates[0] == "2000-01-03"
    with pytest.raises(ValueError, match=r"oil has the price -36\.98 on 2020-04-20"):
        log_returns(oil())


def test_engels_lines_are_those_of_linear_programming(tmp_path):
    pytest.importorskip("statsmodels", reason="Engel's data come with statsmodels")
    folder = check_small_run("engel", tmp_path, epochs=3, steps=250)
    lines = json.loads((folder / "evaluation.json").read_text())["lines"]
    published = {"0.1": (110.14, 0.4018), "0.5": (81.482, 0.5602), "0.9": (67.35, 0.6863)}
    for level, line in published.items():
        assert lines[level]["statsmodels"] == pytest.approx(line, rel=1e-4)
        assert lines[level]["descent"] == pytest.approx(line, rel=2e-3)


def market(days=1_500):
    """A market whose moves are large for some months, and small for some."""
    moves = random.normal(random.key(torch.tensor(2)), days).numpy() * np.where(np.arange(days) // 75 % 2, 0.02, 0.005)
    return Series("market", [str(day) for day in range(days)], 100.0 * np.exp(moves.cumsum()))


def test_risk_follows_the_market(tmp_path, monkeypatch):
    monkeypatch.setattr(value_at_risk, "sp500", market)
    folder = check_small_run("value-at-risk", tmp_path, epochs=15, seeds=2, decay="constant")
    values = json.loads((folder / "evaluation.json").read_text())["values"]
    assert max(values["loss_ratio"]) < 0.95 and min(values["tests_passed"]) >= 5


def test_value_at_risk_is_learned_on_the_first_days_and_chosen_by_the_share_that_is_asked_for():
    config = dataclasses.replace(find("value-at-risk").config, examples=300, validation_fraction=0.25)
    data = value_at_risk.days(log_returns(market()), config)
    days = [len(part.returns) for part in data[:3]]
    assert days[1] / sum(days) == pytest.approx(0.25, abs=0.01)
    assert value_at_risk.make_source(value_at_risk.Setting(config, data, range(1), torch.device("cpu"))).an_epoch == 1
    with pytest.raises(ValueError, match="--validation-fraction 0 leaves no days"):
        value_at_risk.days(log_returns(market()), dataclasses.replace(config, validation_fraction=0.0))


def test_no_forecast_knows_its_day(monkeypatch):
    """What the market does from a day on changes no forecast until that day."""
    config = dataclasses.replace(find("value-at-risk").config, seeds=1)
    one, other = market(), market()
    other.values[-100:] *= np.exp(np.linspace(0.05, 5.0, 100))
    found = []
    for series in (one, other):
        data = value_at_risk.days(log_returns(series), config)
        setting = value_at_risk.Setting(config, data, range(1), torch.device("cpu"))
        found.append(value_at_risk.forecasts(value_at_risk.make_learner(setting, 1), setting, "test"))
    # The deviation of all returns, which scales an input, is that of the training days only.
    torch.testing.assert_close(found[0][:, :-99], found[1][:, :-99])
    assert not torch.allclose(found[0][:, -98:], found[1][:, -98:])
