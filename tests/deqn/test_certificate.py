"""Certificates tell right policies from wrong ones."""

import functools
import io
import json
import math

import pytest
import torch
from rich.console import Console

from rlsuite import random
from rlsuite.deqn import certificate, dynamics, registry
from rlsuite.deqn.box import Box, reach
from rlsuite.deqn.certificate import certify
from rlsuite.deqn.certificate_table import print_certificate
from rlsuite.deqn.model import Expect, Model, Policy, PolicyFunction
from rlsuite.deqn.models.brock_mirman import BrockMirman, Calibration
from rlsuite.deqn.preferences import consumption_error, consumption_loss, utility
from rlsuite.deqn.run import combine
from rlsuite.deqn.simulation import simulate


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer states and paths than people get: what is tested is what is done with them."""
    monkeypatch.setattr(certificate, "_KEPT_PERIODS", 3)
    monkeypatch.setattr(certificate, "_TRACKS", 32)
    monkeypatch.setattr(certificate, "_BURN_IN_PERIODS", 50)
    monkeypatch.setattr(certificate, "_CUT", 1e-3)
    monkeypatch.setattr(certificate, "stability", functools.partial(dynamics.stability, periods=400))
    monkeypatch.setattr(certificate, "_REACH_STATES", 1000)
    whole = dynamics.den_haan_marcet
    monkeypatch.setattr(certificate, "den_haan_marcet", lambda *given: whole(*given, paths=20, periods=100, burn_in=20))


def scaled(model: Model, name: str, factor: float) -> PolicyFunction:
    def decide(state: torch.Tensor) -> Policy:
        found = model.reference_policy(state)
        assert found is not None
        return {name: factor * found[name]}

    return decide


def test_the_closed_form_passes_with_nothing_to_complain_about() -> None:
    model = registry.build("olg-6")
    report = certify(model, scaled(model, "savings", 1.0))
    assert report["passed"]
    assert report["failures"] == []
    assert report["euler_log10"]["max"] < -14
    assert list(report["euler_log10"]["per_equation"]) == ["euler"]
    assert list(report["euler_log10"]["per_component"]) == [f"euler[{h}]" for h in range(1, 6)]
    assert report["policy_error"]["savings"]["max"] == 0
    assert report["infeasible_states"] == 0
    assert report["stability"]["spectral_radius"] < 1
    assert report["den_haan_marcet"]["reason"] == "the equations hold shock by shock"
    json.dumps(report, allow_nan=False)


def test_errors_are_the_known_ones_of_a_wrong_savings_rate() -> None:
    model = registry.build("brock-mirman")
    report = certify(model, scaled(model, "savings_rate", 1.01))
    assert not report["passed"]
    for statistic in ("mean", "median", "p90", "p99", "p999", "max", "mean_of_log10"):
        assert report["euler_log10"][statistic] == pytest.approx(-2, abs=1e-9)
        assert report["box_euler_log10"][statistic] == pytest.approx(-2, abs=1e-9)
    assert report["policy_error"]["savings_rate"]["max"] == pytest.approx(0.01, rel=1e-9)
    assert any("euler: mean error is 10^-2.00, the target 10^-5.50" in text for text in report["failures"])
    assert any("savings_rate is up to 1.0e-02 from the reference" in text for text in report["failures"])
    assert report["stability"]["spectral_radius"] == pytest.approx(0.36)  # of capital, which the policy moves


@pytest.mark.parametrize(("factor", "loss"), [(0.9, 4.2e-3), (0.99, 4.3e-5), (0.999, 4.3e-7)])
def test_welfare_loss_of_a_wrong_savings_rate(factor: float, loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "_CUT", 1e-8)
    model = BrockMirman(Calibration(discount=0.96))
    rate, best = factor * 0.36 * 0.96, 0.36 * 0.96
    slope = best / (1 - best)
    exact = 1 - math.exp(math.log((1 - rate) / (1 - best)) + slope * math.log(rate / best))
    policies = (scaled(model, "savings_rate", factor), scaled(model, "savings_rate", 1.0))
    found = certificate._welfare(model, *policies, torch.tensor(1))
    assert found["consumption_loss"] == pytest.approx(exact, rel=0.15)
    assert exact == pytest.approx(loss, rel=0.2)


def test_an_infeasible_policy_fails_whatever_its_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.build("olg-6")
    monkeypatch.setattr(type(model), "feasible", lambda self, state, policy: state[..., 0] == 0)
    report = certify(model, scaled(model, "savings", 1.0))
    assert not report["passed"]
    assert 0 < report["infeasible_states"] < report["states"]
    assert "states are infeasible, as regime_1 = 1" in report["failures"][0]


def test_an_unstable_policy_fails() -> None:
    model = registry.build("growth")

    def hoarding(state: torch.Tensor) -> Policy:
        following = torch.exp(1.01 * state[..., 0] - 0.01 * math.log(model.calibration.capital))
        return {"consumption": model.resources(state) - following, "next_capital": following}

    found = dynamics.stability(model, hoarding, torch.tensor(0), periods=60)
    assert found.spectral_radius == pytest.approx(1.01, abs=1e-3)
    assert found.spread > 1e-2
    report = certify(model, lambda s: {"consumption": model.resources(s), "next_capital": s[..., 0].exp() * 1e9})
    assert not report["passed"]
    json.dumps(report["failures"])


def test_a_policy_that_explodes_is_reported_and_not_raised() -> None:
    model = registry.build("growth")
    nothing = lambda s: {"consumption": s[..., 0] * float("nan"), "next_capital": s[..., 0] * float("nan")}  # noqa: E731
    report = certify(model, nothing)
    assert not report["passed"]
    assert report["infeasible_states"] == report["states"]
    assert "euler_log10" not in report
    print_certificate(combine([report], [0]) | {"title": "growth (log)"}, Console(file=io.StringIO()))


@pytest.mark.slow
def test_forecast_errors_of_a_true_policy_cannot_be_forecast() -> None:
    model = registry.build("growth", "quarterly")
    key = random.key(torch.tensor(2), 9)
    fair = dynamics.den_haan_marcet(model, model.reference_policy, key, paths=300, periods=400, burn_in=100)
    assert fair.reason is None
    assert fair.below_5_percent == pytest.approx(0.05, abs=0.04)
    assert fair.above_95_percent == pytest.approx(0.05, abs=0.05)

    def greedy(state: torch.Tensor) -> Policy:
        found = model.reference_policy(state)
        consumption = found["consumption"] * 1.03
        return {"consumption": consumption, "next_capital": model.resources(state) - consumption}

    unfair = dynamics.den_haan_marcet(model, greedy, key, paths=100, periods=400, burn_in=100)
    assert unfair.above_95_percent > 0.5


class Labour(BrockMirman):
    """Brock and Mirman's economy with a choice of hours that has a first-order condition of its own: hours are 1."""

    equation_names = ("euler", "labour")

    def residuals(self, state: torch.Tensor, policy: Policy, expect: Expect) -> dict[str, torch.Tensor]:
        return super().residuals(state, policy, expect) | {"labour": policy["labour"] - 1}


@pytest.mark.parametrize("hours", [1.0, 1.69])
def test_equations_without_expectations_are_judged_too(hours: float) -> None:
    model = Labour(Calibration())
    euler = scaled(model, "savings_rate", 1.0)
    report = certify(model, lambda s: euler(s) | {"labour": torch.full_like(s[..., 0], hours)})
    assert report["euler_log10"]["per_equation"]["euler"]["max"] < -14
    assert report["passed"] == (hours == 1)
    assert any("labour: largest error is 10^-0.16" in text for text in report["failures"]) == (hours != 1)


def test_a_policy_that_is_wrong_where_no_path_leads_fails() -> None:
    model = registry.build("brock-mirman")

    def decide(state: torch.Tensor) -> Policy:
        ln_capital, productivity = model.features(state).unbind(-1)
        rate = torch.full_like(ln_capital, model.calibration.savings_rate)
        return {"savings_rate": torch.where((ln_capital > 1.5) & (productivity < -1.5), (1 + rate) / 2, rate)}

    report = certify(model, decide)
    assert report["euler_log10"]["max"] < -14
    assert [text.split(" is ")[0] for text in report["failures"]] == [
        "euler: 99 % error in the box",
        "euler: largest error in the box",
    ]


def test_one_bad_age_among_many_good_ones_fails() -> None:
    model = registry.build("olg-6")
    factor = torch.tensor([1, 1, 1, 1, 1 + 1e-3]).double()
    report = certify(model, lambda s: {"savings": factor * model.reference_policy(s)["savings"]})
    assert any("euler: largest error is" in text for text in report["failures"])


@pytest.mark.parametrize("name", ["brock-mirman", "olg-6"])
def test_paths_stay_in_the_box_around_them(name: str) -> None:
    model = registry.build(name)
    policy = model.reference_policy
    key = random.key(torch.tensor(3), 1)
    visited = simulate(model, policy, model.initial_state(key, 400), key, 60)[-1]
    box = reach(model, policy, visited, random.key(key, 1), 20_000)
    around = Box.around(model, visited)
    centre, deviation = (f(model.coordinates(visited), dim=0) for f in (torch.mean, torch.std))
    assert (around.high >= centre + 4.5 * deviation).all()
    assert (around.low <= centre - 4.5 * deviation).all()
    later = model.coordinates(simulate(model, policy, visited, random.key(key, 2), 40).flatten(0, 1))
    assert ((box.low <= later) & (later <= box.high)).all()
    spread = model.coordinates(box.spread(model, visited, key))
    assert ((box.low - 1e-9 <= spread) & (spread <= box.high + 1e-9)).all()
    assert (spread.std(dim=0) > 2 * deviation).all()


def test_a_box_is_widened_by_what_longer_paths_see() -> None:
    model = registry.build("growth")
    visited = torch.zeros(4, 2).double()
    box = reach(model, lambda s: {"next_capital": torch.exp(s[..., 0] + 1)}, visited, torch.tensor(0), 12)
    assert box.high[0] == 3


def test_slow_economies_are_not_taken_for_unstable_ones() -> None:
    model = BrockMirman(Calibration(persistence=0.999))
    report = certify(model, scaled(model, "savings_rate", 1.0))
    assert report["passed"], report["failures"]


def test_parameters_among_the_states_do_not_count_as_unstable() -> None:
    model = BrockMirman(Calibration(persistence=0.0))
    step = model.step
    model.step = lambda *given: torch.stack([step(*given)[..., 0], given[0][..., 1]], dim=-1)  # productivity for ever
    found = dynamics.stability(model, scaled(model, "savings_rate", 1.0), torch.tensor(0), periods=60)
    assert found.spectral_radius == pytest.approx(0.36)
    assert found.spread < 1e-12


def test_paths_that_hardly_meet_are_allowed_to_take_their_time() -> None:
    model = registry.build("growth")

    def slow(state: torch.Tensor) -> Policy:
        following = torch.exp(0.999 * state[..., 0])
        return {"consumption": model.resources(state) - following, "next_capital": following}

    found = dynamics.stability(model, slow, torch.tensor(0), periods=200)
    assert found.spread == pytest.approx(found.promised_spread, rel=0.01)
    assert found.spread > 1e-2


def test_nested_expectations_are_not_tested_by_forecast_errors() -> None:
    model = registry.build("growth")
    linear = model.residuals

    def nested(state: torch.Tensor, policy: Policy, expect: Expect) -> dict[str, torch.Tensor]:
        risk = expect(lambda s, p: p["consumption"] ** 2) / expect(lambda s, p: p["consumption"]) ** 2
        return {name: (1 + value) * risk - 1 for name, value in linear(state, policy, expect).items()}

    def policy(state: torch.Tensor) -> Policy:  # any will do
        consumption = 0.2 * model.resources(state)
        return {"consumption": consumption, "next_capital": model.resources(state) - consumption}

    few = {"paths": 20, "periods": 30, "burn_in": 10}
    assert dynamics.den_haan_marcet(model, policy, torch.tensor(0), **few).reason is None
    model.residuals = nested
    reason = dynamics.den_haan_marcet(model, policy, torch.tensor(0), **few).reason
    assert reason == "an equation is not linear in its expectations"


def test_a_reference_that_finds_no_solution_is_reported_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.build("brock-mirman")

    def fails(state: torch.Tensor) -> Policy:
        raise RuntimeError("did not converge")

    monkeypatch.setattr(model, "reference_policy", fails)
    report = certify(model, lambda s: {"savings_rate": torch.full_like(s[..., 0], model.calibration.savings_rate)})
    assert report["passed"]
    assert "did not converge" in report["reference"]["fault"]
    assert report["policy_error"] is None


def test_a_reference_tells_what_it_covers_and_judges_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.build("brock-mirman")
    right = model.reference_policy
    monkeypatch.setattr(model, "reference_covers", lambda s: s[..., 1] > 0)
    monkeypatch.setattr(
        model, "reference_policy", lambda s: {"savings_rate": torch.where(s[..., 1] > -0.1, 0.3564, 0.5)}
    )
    report = certify(model, right)
    assert report["reference"]["coverage"] == pytest.approx(0.5, abs=0.2)
    assert report["policy_error"]["savings_rate"]["max"] < 1e-6


def test_several_seeds_pass_together_or_not_at_all() -> None:
    model = registry.build("olg-6")
    good = certify(model, scaled(model, "savings", 1.0), seed=4)
    bad = certify(model, scaled(model, "savings", 1.001), seed=5)
    both = combine([good, bad], [4, 5])
    assert not both["passed"]
    assert both["seed"] == 5
    assert both["euler_log10"] == bad["euler_log10"]
    assert [row["passed"] for row in both["per_seed"]] == [True, False]
    console = Console(width=120, record=True, file=io.StringIO())
    print_certificate(both | {"title": "olg-6 (krueger-kubler)"}, console)
    text = console.export_text()
    for piece in ("worst seed (5)", "median seed", "spectral radius", "savings error", "not passed (1 of 2 seeds)"):
        assert piece in text


def test_preferences() -> None:
    consumption = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    assert utility(consumption, 1.0).tolist() == pytest.approx([math.log(0.5), 0, math.log(2)])
    assert utility(consumption, 2.0).tolist() == pytest.approx([-2, -1, -0.5])
    # Marginal values 2 % too high under risk aversion 2: consumption is off by 1 %.
    assert consumption_error(torch.tensor(1.01**-2), 2.0).item() == pytest.approx(0.01, rel=1e-4)
    for gamma in (1.0, 3.0):
        best = utility(torch.tensor(1.0, dtype=torch.float64), gamma).item() / 0.1
        less = utility(torch.tensor(0.98, dtype=torch.float64), gamma).item() / 0.1
        assert consumption_loss(less, best, 0.9, gamma) == pytest.approx(0.02, rel=1e-9)
