"""Execution, hedging and trading against their formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from envs import black_scholes, price_paths
from envs.almgren_chriss import Market
from envs.core import State
from envs.execution import Execution
from envs.hedging import Hedging
from envs.trading import Trading
from rlsuite import random


def _play(dynamics: object, policy: Callable[[State], Tensor], state: State, keys: Tensor, steps: int):
    """The last state, and the rewards ``[steps, N]``."""
    rewards = []
    for step in range(steps):
        state, reward, terminated = dynamics.transition(state, policy(state), random.fold(keys, step + 1))
        assert bool((terminated == (step == steps - 1)).all())
        rewards.append(reward)
    return state, torch.stack(rewards)


def _keys(paths: int) -> Tensor:
    return random.key(torch.arange(paths))


# --- execution


def test_the_closed_form_sells_all_and_beats_every_other_schedule() -> None:
    rng = np.random.default_rng(0)
    for risk_aversion in (0.0, 1e-7, 1e-6, 1e-4):
        market = Market(steps=8, risk_aversion=risk_aversion)
        best = market.best_holdings()
        assert best[0] == market.shares
        assert best[-1] == 0.0
        assert (np.diff(best) < 0.0).all()
        for size in (1e-4, 1e-2):
            other = best.copy()
            other[1:-1] += size * market.shares * rng.normal(size=7)
            # The half spread counts every share that is traded, bought ones too: no schedule here buys.
            assert market.objective(other) > market.objective(best)


def test_the_figures_of_the_papers_example() -> None:
    """Almgren and Chriss (2001), section 4: kappa is about .61 a day at a risk aversion of 1e-6."""
    market = Market(steps=5)
    best = market.best_holdings() / market.shares
    kappa = 0.6068
    np.testing.assert_allclose(best, np.sinh(kappa * np.arange(5, -1, -1)) / np.sinh(5 * kappa), atol=2e-4)


def test_without_risk_aversion_the_same_is_sold_in_every_step() -> None:
    np.testing.assert_allclose(np.diff(Market(steps=4, risk_aversion=0.0).best_holdings()), -250_000.0)


@pytest.mark.parametrize("name", ["closed form", "evenly", "at once"])
def test_rewards_add_up_to_the_objective_and_shortfalls_have_its_mean_and_variance(name: str) -> None:
    dynamics = Execution(steps=6)
    market, keys = dynamics.market, _keys(20_000)
    state, rewards = _play(dynamics, dynamics.references()[name], dynamics.initial(keys), keys, 6)
    schedule = {
        "closed form": market.best_holdings(),
        "evenly": market.shares * np.linspace(1.0, 0.0, 7),
        "at once": np.array([market.shares] + [0.0] * 6),
    }[name]
    unit = 100.0 / (market.shares * market.price)
    assert rewards.sum(dim=0) == pytest.approx(-unit * market.objective(schedule))
    shortfall = -dynamics.outcomes(state)["P&L"]
    deviation = unit * market.variance(schedule) ** 0.5
    assert float(shortfall.mean()) == pytest.approx(
        unit * market.mean(schedule), abs=4 * deviation / 20_000**0.5 + 1e-9
    )
    assert float(shortfall.std()) == pytest.approx(deviation, rel=0.03, abs=1e-9)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1"):
        Execution(steps=0)
    with pytest.raises(ValueError, match="risk aversion"):
        Execution(risk_aversion=-1.0)
    with pytest.raises(ValueError, match="must be positive"):
        Hedging(volatility=0.0)
    with pytest.raises(ValueError, match="not from 0.5 to 1"):
        Trading(low=0.5)
    with pytest.raises(ValueError, match="prices must be gbm"):
        Trading(prices="silver")
    with pytest.raises(ValueError, match="split must be train or test"):
        Trading(split="validation")


# --- hedging


def test_black_and_scholes_at_the_money_and_at_the_end() -> None:
    """Half a year from its end, at a volatility of 20 %; and the payoff when no time is left."""
    spot = torch.tensor([42.0, 39.0], dtype=torch.float64)
    later = torch.full_like(spot, 0.2 * 0.5**0.5)
    # By numerical integration over the log-normal price.
    draws = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    weights = torch.exp(-draws.square() / 2)
    weights = weights / weights.sum()
    ends = spot.unsqueeze(1) * torch.exp(later.unsqueeze(1) * draws - later.unsqueeze(1) ** 2 / 2)
    wanted = ((ends - 40.0).clamp(min=0.0) * weights).sum(dim=1)
    torch.testing.assert_close(black_scholes.value(spot, 40.0, later), wanted, rtol=1e-6, atol=1e-6)
    step = 1e-4
    slope = (black_scholes.value(spot + step, 40.0, later) - black_scholes.value(spot - step, 40.0, later)) / (2 * step)
    torch.testing.assert_close(black_scholes.delta(spot, 40.0, later), slope, rtol=1e-6, atol=1e-6)
    over = torch.zeros_like(spot)
    torch.testing.assert_close(black_scholes.value(spot, 40.0, over), torch.tensor([2.0, 0.0], dtype=torch.float64))


def test_profits_are_trades_costs_premium_and_payoff() -> None:
    """What the account changes by, step by step, adds up to what a seller has who counts money only at the end."""
    dynamics = Hedging(steps=5, cost=0.01)
    keys = _keys(50)
    positions = random.uniform(random.fold(keys, 99), 5).double()
    state = dynamics.initial(keys)
    cash = black_scholes.value(state["price"], 100.0, torch.full_like(state["price"], 0.2 * (1 / 12) ** 0.5))
    held = torch.zeros_like(cash)
    for step in range(5):
        traded = (positions[:, step] - held) * state["price"]
        cash, held = cash - traded - 0.01 * traded.abs(), positions[:, step]
        state, _, _ = dynamics.transition(state, positions[:, step, None], random.fold(keys, step + 1))
    cash = cash + 0.99 * held * state["price"] - (state["price"] - 100.0).clamp(min=0.0)
    torch.testing.assert_close(dynamics.outcomes(state)["P&L"], cash, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("name", ["delta", "no hedge"])
def test_without_costs_returns_average_to_the_variance_of_the_final_profit(name: str) -> None:
    dynamics = Hedging(risk_aversion=2.0)
    keys = _keys(40_000)
    state, rewards = _play(dynamics, dynamics.references()[name], dynamics.initial(keys), keys, 20)
    profit = dynamics.outcomes(state)["P&L"]
    assert abs(float(profit.mean())) < 4 * float(profit.std()) / 200.0
    assert float(-rewards.sum(dim=0).mean()) == pytest.approx(2.0 * float(profit.var()), rel=0.05)


def test_lelands_delta_costs_less_than_delta_and_is_delta_without_costs() -> None:
    assert black_scholes.with_costs(0.2, 0.0, 1 / 240) == 0.2
    assert list(Hedging().references()) == ["delta", "no hedge"]
    dynamics = Hedging(cost=0.005)
    keys = _keys(4_000)
    means = {
        name: float(_play(dynamics, policy, dynamics.initial(keys), keys, 20)[1].sum(dim=0).mean())
        for name, policy in dynamics.references().items()
    }
    assert means["Leland's delta"] > means["delta"] > means["no hedge"]


# --- trading


def test_nothing_is_seen_or_earned_before_its_day() -> None:
    """Whatever the days after today are, all until today's close is the same; the day after differs."""
    dynamics = Trading("mean-reverting", cost=0.001)
    keys = _keys(20)
    actions = 2.0 * random.uniform(random.fold(keys, 7), 63) - 1.0
    today = 30
    other = dynamics.initial(keys)
    changed = other["returns"].clone()
    changed[:, 60 + today :] = changed[:, 60 + today :].flip(1) * 3.0 + 0.01
    ways = [dynamics.initial(keys), other | {"returns": changed}]
    for step in range(today + 1):
        seen = [dynamics.observe(state) for state in ways]
        assert torch.equal(*seen)
        assert torch.equal(*(dynamics.outcomes(state)["P&L, %"] for state in ways))
        stepped = [dynamics.transition(state, actions[:, step, None], keys) for state in ways]
        ways = [state for state, _, _ in stepped]
        assert torch.equal(stepped[0][1], stepped[1][1]) == (step < today)
    assert not torch.equal(*(dynamics.observe(state) for state in ways))


def test_an_account_by_hand() -> None:
    dynamics = Trading(cost=0.01, days=3)
    state = dynamics.initial(_keys(1))
    gains = np.log([1.1, 0.5, 2.0])
    state["returns"][0, 60:] = torch.from_numpy(gains)
    # Half of 1 in the asset: cash 0.5 - 0.005, shares 0.5; it is worth 1.045 after a rise by a tenth.
    state, reward, _ = dynamics.transition(state, torch.tensor([[0.5]]), _keys(1))
    assert float(reward) == pytest.approx(100 * np.log(1.045))
    assert float(dynamics.observe(state)[0, -3]) == pytest.approx(0.55 / 1.045)
    # All sold short at a price of 1.1: shares from 0.5 to -0.95, the price then halves.
    state, _, _ = dynamics.transition(state, torch.tensor([[-1.0]]), _keys(1))
    wealth = 1.045 - 0.01 * 1.1 * 1.45 + 0.95 * 0.55
    assert float(state["cash"] + state["shares"] * state["price"]) == pytest.approx(wealth)
    # Bought back: out of the market, only the trade costs.
    state, _, terminated = dynamics.transition(state, torch.tensor([[0.0]]), _keys(1))
    wealth_after = wealth - 0.01 * 0.55 * 0.95
    assert float(dynamics.outcomes(state)["P&L, %"]) == pytest.approx(100 * (wealth_after - 1))
    assert float(state["worst"]) == pytest.approx(1 - wealth_after / wealth)
    assert bool(terminated)


def test_positions_stay_within_their_limits_and_holding_earns_what_the_price_does() -> None:
    dynamics = Trading(low=0.0, high=1.0, cost=0.0)
    keys = _keys(10)
    state, _, _ = dynamics.transition(dynamics.initial(keys), torch.full((10, 1), -5.0), keys)
    assert float(state["shares"].abs().max()) == 0.0
    state, rewards = _play(dynamics, dynamics.references()["buy and hold"], dynamics.initial(keys), keys, 63)
    torch.testing.assert_close(rewards.sum(dim=0), 100.0 * state["price"].log())


def test_simulated_prices_follow_their_laws() -> None:
    keys = _keys(4_000)
    drawn = price_paths.Brownian(drift=0.5, volatility=0.3).draw(keys, 60)
    assert float(drawn.mean()) == pytest.approx((0.5 - 0.045) / 252, abs=3e-4)
    assert float(drawn.std()) == pytest.approx(0.3 / 252**0.5, rel=0.01)
    law = price_paths.MeanReverting(half_life=10.0, scale=0.01)
    levels = law.draw(keys, 60).cumsum(dim=1)
    moved = levels[:, 20:] - levels[:, :-20]
    # The variance of a move over 20 days: twice the stationary one, less what is kept of it.
    kept = 0.5**0.1
    stationary = 0.01**2 / (1 - kept**2)
    assert float(moved.var()) == pytest.approx(2 * stationary * (1 - kept**20), rel=0.05)


def test_real_series_are_split_by_date_and_walked_through_once() -> None:
    values = np.arange(1_000.0)
    train = price_paths.Real(values, warm_up=60, days=80, split="train")
    drawn = train.draw(_keys(500), 80)
    assert float(drawn.max()) < 800
    assert bool((drawn.diff(dim=1) == 1.0).all())
    test = price_paths.Real(values, warm_up=60, days=80, split="test")
    walked = test.all(80)
    # The days that count are those after the split, each once; those before are the past of the first episode.
    assert walked[:, 60:].flatten().tolist() == list(range(800, 1_000))
    assert test.scale == train.scale == pytest.approx(values[:800].std())
    with pytest.raises(ValueError, match="too few for testing"):
        price_paths.Real(values[:95], warm_up=60, days=80, split="test")
