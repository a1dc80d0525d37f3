"""What every registered economy must do, and what single ones must."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
import torch

from rlsuite import random
from rlsuite.deqn import registry
from rlsuite.deqn.box import Box
from rlsuite.deqn.model import Model, Policy, expectation, residuals, stack_residuals
from rlsuite.deqn.models import brock_mirman, growth, irbc, irreversible_investment, olg_6, olg_benchmark
from rlsuite.deqn.simulation import simulate

ALL = [(name, calibration) for name in registry.names() for calibration in registry.find(name).calibrations]
SMALL = [pair for pair in ALL if pair not in (("irbc", "countries-50"), ("olg-benchmark", "ages-56"))]


def key(*seeds: int) -> torch.Tensor:
    return random.key(torch.tensor(seeds), 5)


def box_state(model: Model, key: torch.Tensor, count: int) -> torch.Tensor:
    """States of the box around those that paths start from."""
    start = model.initial_state(key, count)
    return Box.around(model, start).spread(model, start, key)


def random_policy(model: Model, size: float = 0.3):
    """A smooth policy of random weights."""
    weights = size * random.normal(torch.tensor(7), model.num_features, model.num_outputs).double()

    def decide(state: torch.Tensor) -> Policy:
        return model.head(torch.tanh(model.features(state) @ weights), state)

    return decide


@pytest.fixture(params=ALL, ids=["/".join(pair) for pair in ALL])
def any_model(request: pytest.FixtureRequest) -> Model:
    return registry.build(*request.param)


def test_contract(any_model: Model) -> None:
    model, policy = any_model, random_policy(any_model)
    for draw in (model.initial_state, partial(box_state, model)):
        state = draw(key(0, 1), 16)
        assert state.shape == (2, 16, len(model.state_names))
        assert state.dtype == torch.float64
        assert torch.equal(draw(key(1), 16)[0], state[1]), "seed 1 of 2 draws what seed 1 draws alone"
    state = model.initial_state(key(0, 1), 16)
    found = residuals(model, policy, state)
    assert tuple(found) == model.equation_names
    alone = residuals(model, policy, state[1:])
    for name, residual in found.items():
        assert residual.shape[:2] == (2, 16)
        assert residual.isfinite().all(), name
        torch.testing.assert_close(alone[name][0], residual[1], rtol=1e-10, atol=1e-12)
    assert set(model.euler_curvature) <= set(model.equation_names)
    assert 0 < model.discount < 1
    assert len(model.aggregates(state)) == 2
    following = model.step(state, policy(state), model.shocks.draw(state, key(0, 1)))
    assert following.shape == state.shape
    assert model.feasible(state, policy(state)).shape == (2, 16)


def test_heads_are_feasible_and_complementary_for_random_weights(any_model: Model) -> None:
    model, policy = any_model, random_policy(any_model)
    state = model.initial_state(key(0), 64)
    decision = policy(state)
    assert model.feasible(state, decision).all()
    for slack, multiplier in model.complementarity(state, decision).values():
        assert slack.min() >= 0
        assert multiplier.min() >= 0
        assert (slack * multiplier).max() == 0
    excess = model.clearing(state, decision)
    assert excess is None or excess.abs().max() < 1e-12


def test_expectations_under_vmap_match_the_batch(any_model: Model) -> None:
    model, policy = any_model, random_policy(any_model)
    state = model.initial_state(key(0), 4)[0]
    batch = stack_residuals(residuals(model, policy, state), 1)
    one = torch.func.vmap(lambda s: stack_residuals(residuals(model, policy, s.unsqueeze(0)), 1).squeeze(0))(state)
    torch.testing.assert_close(one, batch, rtol=1e-9, atol=1e-12)


def test_silent_shocks_lead_to_rest(any_model: Model) -> None:
    state = any_model.initial_state(key(0), 4)[0]
    silent = any_model.shocks.silent(state)
    _, weights = any_model.shocks.quadrature(state, fine=True)
    assert silent.shape == any_model.shocks.draw(state, torch.tensor(0)).shape[-1:]
    torch.testing.assert_close(weights.sum(dim=0), torch.ones_like(weights.sum(dim=0)))


def test_one_policy_call_serves_all_nodes() -> None:
    model = registry.build("growth")
    calls = []

    def counting(state: torch.Tensor) -> Policy:
        calls.append(tuple(state.shape))
        return model.head(state.new_zeros(*state.shape[:-1], 1), state)

    state = model.initial_state(key(0, 1), 16)
    residuals(model, counting, state)
    assert calls == [(2, 16, 2), (2, 16 * 5, 2)]
    residuals(model, counting, state, fine=True)
    assert calls[-1] == (2, 16 * 15, 2)


def test_nodes_meet_their_own_states_and_weights() -> None:
    """An expectation computed state by state and node by node, without any broadcasting."""
    model = registry.build("olg-benchmark", "ages-12")
    policy, state = random_policy(model), model.initial_state(key(0), 3)[0]
    decision = policy(state)
    expected = expectation(model, policy, state, decision)(
        lambda s, p: s[..., 10] * p["capital"][..., 4] + model.prices(s)[0]
    )
    for i in range(3):
        total = 0.0
        for z in range(4):
            shock = torch.eye(4).double()[z]
            one = model.step(state[i : i + 1], {k: v[i : i + 1] for k, v in decision.items()}, shock)
            value = one[0, 10] * policy(one)["capital"][0, 4] + model.prices(one)[0][0]
            total += (state[i, :4] @ model.shocks.matrix)[z] * value
        assert expected[i].item() == pytest.approx(total.item(), rel=1e-12)


# Brock-Mirman


def test_brock_mirman_closed_form() -> None:
    model = registry.build("brock-mirman")
    state = box_state(model, key(0), 500)
    assert model.calibration.savings_rate == pytest.approx(0.3564)
    assert model.calibration.capital == pytest.approx(0.199482, abs=1e-6)
    assert residuals(model, model.reference_policy, state, fine=True)["euler"].abs().max() < 1e-12


@pytest.mark.parametrize("factor", [0.9, 1.01, 1.3])
def test_constant_savings_rate_has_a_known_error_everywhere(factor: float) -> None:
    model = registry.build("brock-mirman")
    rate = factor * model.calibration.savings_rate
    state = box_state(model, key(0), 100)
    error = residuals(model, lambda s: {"savings_rate": torch.full_like(s[..., 0], rate)}, state)["euler"]
    torch.testing.assert_close(error, torch.full_like(error, factor - 1), rtol=0, atol=1e-12)


def test_brock_mirman_value_solves_its_bellman_equation() -> None:
    model = registry.build("brock-mirman")
    state = box_state(model, key(0), 100)
    decision = model.reference_policy(state)
    tomorrow = expectation(model, model.reference_policy, state, decision, fine=True)(
        lambda s, p: model.reference_value(s)
    )
    torch.testing.assert_close(
        model.reward(state, decision) + model.discount * tomorrow, model.reference_value(state), rtol=1e-12, atol=1e-11
    )
    origin = torch.zeros(1, 2).double()
    slopes = [model.reference_value(origin + d) - model.reference_value(origin) for d in torch.eye(2).double()]
    assert model.reference_value(origin).item() == pytest.approx(-101.199304, abs=1e-6)
    assert [slope.item() for slope in slopes] == pytest.approx([0.559354, 14.254680], abs=1e-6)


def test_brock_mirman_distribution() -> None:
    model = registry.build("brock-mirman")
    path = simulate(model, model.reference_policy, model.initial_state(key(0), 4000), key(0), 60)[-1]
    assert path[..., 0].mean().item() == pytest.approx(-1.61203, abs=0.008)
    assert path[..., 0].std().item() == pytest.approx(0.13766, abs=0.005)
    assert torch.corrcoef(path[0].T)[0, 1].item() == pytest.approx(0.89, abs=0.01)


# Overlapping generations


def test_olg_6_closed_form() -> None:
    model = registry.build("olg-6")
    assert model.calibration.savings_rates == pytest.approx(
        (0.659999, 0.639393, 0.605211, 0.543379, 0.411765), abs=1e-6
    )
    assert model.steady_capital.tolist() == pytest.approx([0.4167, 0.1816, 0.0749, 0.0278, 0.0078], abs=1e-4)
    path = simulate(model, model.reference_policy, model.initial_state(key(0), 4000), key(0), 40)[-1]
    assert residuals(model, model.reference_policy, path)["euler"].abs().max() < 1e-12
    capital, (gross_return, wage) = path[0, :, 4:], model.prices(path[0])
    assert capital.mean(dim=0).tolist() == pytest.approx([0.41564, 0.18226, 0.07471, 0.02737, 0.00758], rel=0.01)
    assert gross_return.mean().item() == pytest.approx(0.6869, abs=0.01)
    assert wage.mean().item() == pytest.approx(0.6298, abs=0.003)


def test_olg_6_errors_of_one_age_saving_too_much() -> None:
    model = registry.build("olg-6")
    path = simulate(model, model.reference_policy, model.initial_state(key(0), 4000), key(0), 40)[-1]
    own = [0.0300, 0.0282, 0.0257, 0.0222, 0.0171]
    before = [-0.0177, -0.0153, -0.0119, -0.0070]
    for age in range(5):
        factor = torch.ones(5).double()
        factor[age] = 1.01

        def policy(state: torch.Tensor, factor: torch.Tensor = factor) -> Policy:
            return {"savings": factor * model.reference_policy(state)["savings"]}

        error = residuals(model, policy, path)["euler"][0].mean(dim=0)
        assert error[age].item() == pytest.approx(own[age], abs=2e-4)
        if age > 0:
            assert error[age - 1].item() == pytest.approx(before[age - 1], abs=2e-4)


def test_benchmark_at_rest_is_in_equilibrium() -> None:
    """With one regime for ever, the steady state solves the model's own equations."""
    calibration = olg_benchmark.Calibration(
        ages=12, discount=0.95 ** (56 / 12), productivity=(1.0, 1.0), depreciations=(0.08, 0.08)
    )
    model = olg_benchmark.BenchmarkOLG(calibration)
    steady = model.steady_state
    state = torch.cat([model.shocks.stationary(), torch.tensor([*steady.capital, *steady.bond])]).unsqueeze(0)
    policy = lambda s: model.head(s.new_zeros(*s.shape[:-1], model.num_outputs), s)  # noqa: E731
    for residual in residuals(model, policy, state).values():
        assert residual.abs().max() < 1e-9
    torch.testing.assert_close(
        model.consumption(state, policy(state))[0], torch.from_numpy(steady.consumption), rtol=1e-9, atol=1e-9
    )


# International business cycle


def test_countries_share_risk_exactly() -> None:
    model = registry.build("irbc", "countries-4")
    decision = random_policy(model)(model.initial_state(key(0), 500))
    ln_consumption = torch.log(model.consumption(decision))[0]
    elasticity = torch.tensor(model.calibration.substitution).double()
    ratio = ln_consumption.var(dim=0) / ln_consumption.var(dim=0)[0]
    # Up to the country's own level, which is constant.
    torch.testing.assert_close(ratio, (elasticity / elasticity[0]) ** 2, rtol=1e-9, atol=1e-9)


def test_countries_with_the_same_capital_and_productivity_are_the_same() -> None:
    model = registry.build("irbc", "countries-4")
    policy, state = random_policy(model), model.initial_state(key(0), 50)
    order = torch.tensor([2, 0, 3, 1])
    moved = torch.cat([state[..., order], state[..., 4 + order]], dim=-1)
    there, here = policy(moved)["next_capital"], policy(state)["next_capital"][..., order]
    torch.testing.assert_close(there, here, rtol=1e-12, atol=1e-12)


def test_price_uses_up_the_resources_and_carries_its_derivative() -> None:
    model = registry.build("irbc")
    raw = torch.zeros(1, 8, 2, 1, dtype=torch.float64, requires_grad=True)
    state = model.initial_state(key(0), 8)

    def resources_left(raw: torch.Tensor) -> torch.Tensor:
        decision = model.head(raw, state)
        return model._resources(state, decision["next_capital"]) - model.consumption(decision).sum(dim=-1)

    left = resources_left(raw)
    assert left.abs().max() < 1e-12
    (slope,) = torch.autograd.grad(left.sum(), raw)
    assert slope.abs().max() < 1e-10


# Bad input


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: brock_mirman.Calibration(discount=1.0), "discount must lie strictly between 0 and 1, not 1"),
        (lambda: growth.Calibration(volatility=-0.01), "volatility is a standard deviation and cannot be negative"),
        (lambda: growth.Calibration(persistence=1.0), "persistence"),
        (lambda: growth.Calibration(depreciation=1.5), "depreciation must lie between 0 and 1"),
        (lambda: growth.Calibration(risk_aversion=0.0), "risk_aversion"),
        (lambda: irreversible_investment.Calibration(floor_share=1.2), "floor_share"),
        (lambda: olg_6.Calibration(depreciations=(0.5,)), "one value a regime"),
        (lambda: olg_benchmark.Calibration(ages=3), "ages must be at least 6"),
        (lambda: irbc.Calibration(substitution=(0.5, -1.0)), "substitution must be positive"),
    ],
)
def test_impossible_calibrations_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'growth'"):
        registry.build("grwoth")
    with pytest.raises(ValueError, match="did you mean 'crra-5'"):
        registry.build("growth", "crra5")
    with pytest.raises(ValueError, match="there is no model file"):
        registry.build("nowhere.py")


def _user_model(tmp_path: Path, change: tuple[str, str]) -> str:
    source = Path(brock_mirman.__file__).read_text()
    assert change[0] in source
    path = tmp_path / "mine.py"
    path.write_text(source.replace(*change))
    return str(path)


def test_a_file_of_the_users_own_is_a_model(tmp_path: Path) -> None:
    model = registry.build(_user_model(tmp_path, ('"lecture"', '"mine"')), "mine")
    assert model.equation_names == ("euler",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('return {"euler":', 'return {"eular":'), r"missing \['euler'\], undeclared \['eular'\]"),
        (('equation_names = ("euler",)', 'equation_names = ("euler", "budget")'), r"missing \['budget'\]"),
        (('euler_curvature = {"euler": 1.0}', 'euler_curvature = {"eular": 1.0}'), "euler_curvature must name some of"),
        (("num_features, num_outputs = 2, 1", "num_features, num_outputs = 3, 1"), "features is"),
        (('state_names = ("ln_capital", "productivity")', 'state_names = ("ln_capital",)'), "initial_state is"),
        (("def residuals(", "def residues("), "does not define residuals"),
        (("class BrockMirman(SingleAgent)", "class BrockMirman(object)"), "must define exactly one Model"),
        (("import math", "import maths"), "cannot be imported"),
        (("expect(value_of_saving), 1.0", "0 * expect(value_of_saving), 1.0"), "not finite at the starting states"),
    ],
)
def test_a_wrong_model_file_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.build(_user_model(tmp_path, change))


def test_starts_outside_the_economy_are_refused(tmp_path: Path) -> None:
    change = ("self.consumption(state, policy) > 0", "self.consumption(state, policy) > 1e9")
    with pytest.raises(ValueError, match="starts outside the feasible set"):
        registry.build(_user_model(tmp_path, change))


def test_calibrations_are_json_values() -> None:
    for name in registry.names():
        for calibration in registry.find(name).calibrations.values():
            json.dumps(dataclasses.asdict(calibration))


def test_plans_of_one_country_bend_where_another_reaches_its_bound() -> None:
    plan = torch.tensor([[0.5, 0.2], [0.5, -0.2], [0.1, -0.2], [-0.3, -0.2]]).double()
    bent = irbc._bent(plan, torch.full_like(plan, -1.0))
    torch.testing.assert_close(bent[:2], torch.tensor([[0.5, 0.2], [0.3, -0.2]]).double())
    # The first would be brought below its bound by what the second cannot disinvest, and so bends the second's plan.
    torch.testing.assert_close(bent[2], torch.tensor([-0.1, -0.3]).double())
    model = registry.build("irbc", "countries-2-binding")
    assert model.num_outputs == 3
    assert registry.build("irbc", "countries-2").num_outputs == 1


def test_expectations_of_two_countries_are_exact_for_their_shocks() -> None:
    rule = irbc._of_two_countries(2, 5)
    both = rule.nodes[:, :2] + rule.nodes[:, 2:]
    assert rule.weights.sum().item() == pytest.approx(1)
    torch.testing.assert_close(rule.weights @ both, torch.zeros(2).double(), atol=1e-12, rtol=0)
    covariance = torch.einsum("q,qi,qj->ij", rule.weights, both, both)
    torch.testing.assert_close(covariance, torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double())
    assert rule.weights @ (both[:, 0] - both[:, 1]) ** 8 == pytest.approx(105 * 2**4)
