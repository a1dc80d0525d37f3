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
from rlsuite.deqn.certificate import certify
from rlsuite.deqn.certificate_table import print_certificate
from rlsuite.deqn.model import Model, Policy, PolicyFunction
from rlsuite.deqn.models.brock_mirman import BrockMirman, Calibration
from rlsuite.deqn.preferences import consumption_error, consumption_loss, utility
from rlsuite.deqn.run import combine


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer states and paths than people get: what is tested is what is done with them."""
    monkeypatch.setattr(certificate, "_KEPT_PERIODS", 3)
    monkeypatch.setattr(certificate, "_TRACKS", 32)
    monkeypatch.setattr(certificate, "_BURN_IN_PERIODS", 50)
    monkeypatch.setattr(certificate, "_CUT", 1e-3)
    monkeypatch.setattr(certificate, "stability", functools.partial(dynamics.stability, periods=400))
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
    assert list(report["euler_log10"]["per_equation"]) == [f"euler[{h}]" for h in range(1, 6)]
    assert report["policy_error"]["savings"]["max"] == 0
    assert report["infeasible_states"] == 0
    assert report["stability"]["spectral_radius"] < 1
    assert report["den_haan_marcet"] is None  # the equation holds shock by shock
    json.dumps(report, allow_nan=False)


def test_errors_are_the_known_ones_of_a_wrong_savings_rate() -> None:
    model = registry.build("brock-mirman")
    report = certify(model, scaled(model, "savings_rate", 1.01))
    assert not report["passed"]
    for statistic in ("mean", "median", "p90", "p99", "p999", "max", "mean_of_log10"):
        assert report["euler_log10"][statistic] == pytest.approx(-2, abs=1e-9)
        assert report["box_euler_log10"][statistic] == pytest.approx(-2, abs=1e-9)
    assert report["policy_error"]["savings_rate"]["max"] == pytest.approx(0.01, rel=1e-9)
    assert any("mean Euler error is 10^-2.00, the target 10^-5.50" in text for text in report["failures"])
    assert any("savings_rate is up to 1.0e-02 from the reference" in text for text in report["failures"])
    assert report["stability"]["spectral_radius"] == pytest.approx(0.9)


@pytest.mark.parametrize(("factor", "loss"), [(0.9, 4.2e-3), (0.99, 4.3e-5), (0.999, 4.3e-7)])
def test_welfare_loss_of_a_wrong_savings_rate(factor: float, loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "_CUT", 1e-8)
    model = BrockMirman(Calibration(discount=0.96))
    rate, best = factor * 0.36 * 0.96, 0.36 * 0.96
    slope = best / (1 - best)
    exact = 1 - math.exp(math.log((1 - rate) / (1 - best)) + slope * math.log(rate / best))
    found = certificate._welfare(model, scaled(model, "savings_rate", factor), torch.tensor(1))
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
    print_certificate(combine([report], [0]) | {"model": "growth", "calibration": "log"}, Console(file=io.StringIO()))


def test_forecast_errors_of_a_true_policy_cannot_be_forecast() -> None:
    model = registry.build("growth", "quarterly")
    key = random.key(torch.tensor(2), 9)
    fair = dynamics.den_haan_marcet(model, model.reference_policy, key, paths=300, periods=400, burn_in=100)
    assert fair is not None
    assert fair.below_5_percent == pytest.approx(0.05, abs=0.04)
    assert fair.above_95_percent == pytest.approx(0.05, abs=0.05)

    def greedy(state: torch.Tensor) -> Policy:
        found = model.reference_policy(state)
        consumption = found["consumption"] * 1.03
        return {"consumption": consumption, "next_capital": model.resources(state) - consumption}

    unfair = dynamics.den_haan_marcet(model, greedy, key, paths=100, periods=400, burn_in=100)
    assert unfair is not None
    assert unfair.above_95_percent > 0.5


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
    print_certificate(both | {"model": "olg-6", "calibration": "krueger-kubler"}, console)
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
