"""Forecasts of demand and of gold at small size: what is known when, and errors beside those of simple rules."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_runs import check_small_run

from rlsuite import random
from rlsuite.networks.forking import ForkingForecaster
from rlsuite.networks.population import Population
from rlsuite.supervised.data.series import Series
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments import demand, gold
from rlsuite.supervised.experiments.demand import Goods, goods, inputs, outcomes
from rlsuite.supervised.registry import find

_SMALL = {"days": 35, "horizons": 8, "batch_size": 8, "examples": 80}


@pytest.fixture(autouse=True)
def few_goods(monkeypatch):
    monkeypatch.setattr(demand, "_EVALUATED", 20)


@pytest.mark.parametrize("options", [{}, {"future": False, "events": False}])
def test_demand_is_learned_and_drawn(options, tmp_path):
    folder = check_small_run("demand", tmp_path, seeds=2, **_SMALL, **options)
    assert (folder / "fans.png").exists()


def test_what_is_known_is_that_of_the_day_that_is_forecast():
    config = dataclasses.replace(find("demand").config, **_SMALL)
    days = config.days + config.horizons
    numbered = torch.arange(float(days)).expand(1, 1, days)
    batch = Goods(numbered, numbered.unsqueeze(-1).expand(1, 1, days, 8))
    past, known = inputs(batch, config)
    coming = outcomes(batch.demand, config.horizons)
    assert past.shape == (1, 1, 35, 9) and known.shape == (1, 1, 35, 8, 10)
    assert torch.equal(known[..., 2], coming)  # aligned
    for weeks, last in enumerate(known[0, 0, 25, :, :2].T):
        assert torch.equal(last, coming[0, 0, 25] - 7.0 * (torch.tensor([1.0] * 7 + [2.0]) + weeks))
    assert torch.equal(coming[0, 0, :, 0], past[0, 0, :, 0] + 1.0)


def test_hiding_takes_away_the_future_and_the_events():
    config = dataclasses.replace(find("demand").config, **_SMALL)
    batch = goods(random.key(torch.tensor([0])), 2, config.days + config.horizons)
    past, known = inputs(batch, dataclasses.replace(config, future=False))
    assert known.shape[-1] == 2 and past.shape[-1] == 9
    past, known = inputs(batch, dataclasses.replace(config, events=False))
    assert known.shape[-1] == 9 and past.shape[-1] == 8


def test_a_fork_sees_nothing_of_the_demand_to_come():
    torch.manual_seed(0)
    network = Population(lambda: ForkingForecaster(2, 1, 3, 2), [0, 1])
    past, known = torch.rand(2, 4, 6, 2), torch.rand(2, 4, 6, 3, 1)
    before = network(past, known)
    assert before.shape == (2, 4, 6, 3, 2)
    past[:, :, 4:] += 1.0
    after = network(past, known)
    torch.testing.assert_close(after[:, :, :4], before[:, :, :4])
    assert not torch.allclose(after[:, :, 4:], before[:, :, 4:])
    alone = Population(lambda: ForkingForecaster(2, 1, 3, 2), [1])
    torch.testing.assert_close(alone(past[1:], known[1:]), after[1:])


def test_the_naive_forecast_is_the_same_day_of_the_last_week():
    config = dataclasses.replace(find("demand").config, **_SMALL)
    days = config.days + config.horizons
    week = (torch.arange(days) % 7.0 + 1.0).expand(1, 3, days)
    held = Goods(week, torch.zeros(1, 3, days, 8))
    setting = Setting(config, {"validation": held, "test": held}, range(1), torch.device("cpu"))
    expected = outcomes(week[0], config.horizons)[:, 28:]
    torch.testing.assert_close(demand.naive(setting, "test"), expected.unsqueeze(-1).expand(-1, -1, -1, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 20}, "a series of 20 days is too short: --days must be more than 28"),
        ({"levels": (0.1, 0.9)}, r"--levels must have 0\.5 and 0\.9, which are compared, but lacks 0\.5"),
        ({"levels": (0.5, 1.5)}, "must be more than 0 and less than 1, not 1.5"),
    ],
)
def test_bad_options_of_demand_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find("demand").load(dataclasses.replace(find("demand").config, **options))


def prices(days=260, name="gold"):
    """Prices whose returns go on for a while: half of one comes again the next day."""
    noise = random.normal(random.key(torch.tensor(len(name))), days).double().numpy()
    returns = np.zeros(days)
    for day in range(1, days):
        returns[day] = 0.6 * returns[day - 1] + 0.01 * noise[day]
    return Series(name, [str(day) for day in range(days)], 300.0 * np.exp(returns.cumsum()))


@pytest.fixture
def made_up_gold(monkeypatch):
    monkeypatch.setattr(gold, "gold_daily", prices)
    monkeypatch.setattr(gold, "gold_index", prices)
    monkeypatch.setattr(gold, "silver", lambda: prices(name="silver"))


@pytest.mark.parametrize(
    ("name", "options"), [("gold-mlp", {"series": "index"}), ("gold-cnn", {}), ("gold-lstm", {"forecast": "prices"})]
)
def test_gold_is_forecast_and_drawn(name, options, tmp_path, made_up_gold):
    pytest.importorskip("statsmodels", reason="ARIMA comes with statsmodels")
    folder = check_small_run(name, tmp_path, epochs=6, seeds=2, window=8, decay="constant", **options)
    ratios = json.loads((folder / "evaluation.json").read_text())["ratios"]
    assert len(ratios) == 3
    for found in ratios.values():
        assert found["ci95"][0] <= found["ratio"] <= found["ci95"][1]
    autoregression = ratios["VAR(5)" if "series" in options else "AR(5) of returns"]
    assert autoregression["ci95"][1] < 1.0 and ratios["ARIMA(1, 1, 1)"]["ratio"] < 0.95


@pytest.mark.parametrize("forecast", ["returns", "prices"])
def test_networks_that_know_what_comes_make_no_error(forecast):
    """Forecasts are of the prices that they are compared with."""
    config = dataclasses.replace(find("gold-mlp").config, forecast=forecast, window=8)
    data = gold.steps(prices(), (), config)
    setting = Setting(config, data, range(1), torch.device("cpu"))

    class Oracle:
        seeds = torch.zeros(1)

        def __call__(self, seen):
            return data.test.coming.view(1, -1, 1)

    assert gold.evaluate(Oracle(), setting, "test")["ratio_to_persistence"][0] < 1e-3


def test_gold_is_learned_from_the_first_examples_and_chosen_by_the_share_that_is_asked_for():
    config = dataclasses.replace(find("gold-mlp").config, examples=70, validation_fraction=0.25)
    data = gold.steps(prices(400), (), config)
    assert len(data.validation.coming) == 100
    source = gold.make_source(Setting(config, data, range(1), torch.device("cpu")))
    assert source.an_epoch == 2
    drawn = torch.cat([source.sample().coming.flatten() for _ in range(2)])
    assert torch.isin(drawn, data.train.coming[:70]).all()


def test_the_walk_of_the_autoregression_is_that_of_least_squares():
    pytest.importorskip("statsmodels")
    config = dataclasses.replace(find("gold-mlp").config, window=8)
    data = gold.steps(prices(), (prices(name="silver"),), config)
    assert gold.autoregression(data).shape == data.test.coming.shape == gold.arima(data).shape
    returns = np.stack([np.diff(np.log(one.values)) for one in (data.prices, *data.others)], axis=1)
    known = len(returns) - len(data.test.coming)
    past = np.array([np.r_[1.0, returns[day - 5 : day][::-1].ravel()] for day in range(5, len(returns))])
    weights, *_ = np.linalg.lstsq(past[: known - 5], returns[5:known, 0], rcond=None)
    expected = data.prices.values[-len(data.test.coming) - 1 : -1] * np.exp(past[known - 5 :] @ weights)
    np.testing.assert_allclose(gold.autoregression(data), expected, rtol=1e-6)


def test_gold_that_is_too_short_or_below_zero_is_refused():
    config = find("gold-mlp").config
    with pytest.raises(ValueError, match="a series of 9 values is shorter than a window of 21"):
        gold.steps(prices(10), (), config)
    with pytest.raises(ValueError, match="60 prices is too short for windows of 20 steps, batches of 32 and"):
        gold.steps(prices(60), (), config)
    negative = prices()
    negative.values[100] = -1.0
    with pytest.raises(ValueError, match="gold has the price -1 on 100: logarithms need positive ones"):
        gold.steps(negative, (), config)
