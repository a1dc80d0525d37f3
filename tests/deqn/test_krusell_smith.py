"""Households with uninsured unemployment: the economy's own mechanics, its reference, and a short training."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch

from rlsuite import random
from rlsuite.deqn import certificate, path, registry
from rlsuite.deqn.calibration import parse
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.model import Distance, Policy, PolicyFunction, residuals
from rlsuite.deqn.models import krusell_smith
from rlsuite.deqn.models.krusell_smith import Calibration, KrusellSmith
from rlsuite.deqn.path import EconomyPath
from rlsuite.deqn.references import krusell_smith as reference
from rlsuite.deqn.solver import EquilibriumNet


@pytest.fixture(scope="module")
def model() -> KrusellSmith:
    built = registry.build("krusell-smith")
    assert isinstance(built, KrusellSmith)
    return built


@pytest.fixture(scope="module")
def coarse() -> reference.Solution:
    return reference.solve(
        Calibration(),
        grid_points=60,
        histogram_points=300,
        periods=500,
        discarded=150,
        moments=4,
        tolerance=1e-4,
        household_tolerance=1e-4,
    )


def untrained(model: KrusellSmith):
    def decide(state: torch.Tensor) -> Policy:
        return model.head(state.new_zeros(*state.shape[:-1], model.nodes.numel(), 2), state)

    return decide


def test_chances_are_those_of_the_paper() -> None:
    """den Haan, Judd and Juillard (2010), table 2; unemployment depends on the regime alone."""
    own = np.array(Calibration().chances).reshape(4, 4)
    paper = [
        [0.525, 0.35, 0.03125, 0.09375],
        [0.038889, 0.836111, 0.002083, 0.122917],
        [0.09375, 0.03125, 0.291667, 0.583333],
        [0.009115, 0.115885, 0.024306, 0.850694],
    ]
    np.testing.assert_allclose(own, paper, atol=5e-7)
    np.testing.assert_allclose(own.sum(axis=1), 1, atol=1e-12)
    for z, now in enumerate((0.10, 0.04)):
        for s, then in enumerate((0.10, 0.04)):
            flow = np.array([now, 1 - now]) @ own[2 * z : 2 * z + 2, 2 * s : 2 * s + 2]
            np.testing.assert_allclose(flow / flow.sum(), [then, 1 - then], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stay_unemployed": ((1.0, 1.0), (1.0, 1.0))}, "no chance to lose a job"),
        ({"unemployment": (0.1, 0.0)}, "unemployment must lie"),
        ({"benefits": 1.0}, "benefits must lie"),
        ({"depreciation": 0.0}, "households would hold 275"),
    ],
)
def test_impossible_calibrations_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration(**change)


def test_the_lottery_keeps_mass_and_mean(model: KrusellSmith) -> None:
    state = model.initial_state(torch.tensor([1]), 3)
    histogram = state[..., 2:].unflatten(-1, (2, -1))
    goals = 150 * random.uniform(torch.tensor(2), *histogram.shape).double()
    moved = model._lottery(histogram, goals)
    torch.testing.assert_close(moved.sum(dim=-1), histogram.sum(dim=-1))
    torch.testing.assert_close(moved @ model.bins, (histogram * goals).sum(dim=-1))


def test_a_step_moves_savings_into_capital_and_jobs_with_the_regime(model: KrusellSmith) -> None:
    state = model.initial_state(torch.tensor([3]), 8)
    policy = untrained(model)(state)
    following = model.step(state, policy, torch.tensor([1.0, 0.0]).double())
    unemployed, employed = following[..., 2:].unflatten(-1, (2, -1)).sum(dim=-1).unbind(-1)
    torch.testing.assert_close(unemployed, torch.full_like(unemployed, 0.10))
    torch.testing.assert_close(employed, torch.full_like(employed, 0.90))
    # Goods market: output and what is left of capital are consumed or saved.
    gross_return, incomes = model.prices(state)
    histogram = state[..., 2:].unflatten(-1, (2, -1))
    resources = gross_return * model.capital(state) + (histogram.sum(dim=-1) * incomes).sum(dim=-1)
    ln_free = policy["free_consumption"].log().unflatten(-1, (2, -1)) @ model._to_bins
    wealth = gross_return[..., None, None] * model.bins + incomes.unsqueeze(-1)
    consumed = (histogram * torch.minimum(ln_free.exp(), wealth)).sum(dim=(-1, -2))
    torch.testing.assert_close(model.capital(following) + consumed, resources)


def test_prices_are_those_of_the_calibration(model: KrusellSmith) -> None:
    state = model.initial_state(torch.tensor(4), 6)
    gross_returns, incomes = model.prices(state)
    for row, gross_return, income in zip(state, gross_returns, incomes, strict=True):
        expected = model.calibration.prices(int(row[1]), model.capital(row).item())
        assert gross_return.item() == pytest.approx(expected[0])
        assert income.tolist() == pytest.approx(expected[1])


def test_states_move_to_the_capital_asked_for(model: KrusellSmith) -> None:
    state = model.initial_state(torch.tensor(5), 4)
    goals = torch.log(torch.tensor([[30.0], [35.0], [40.0], [45.0]]).double())
    moved = model.moved(state, goals)
    torch.testing.assert_close(model.coordinates(moved), goals, rtol=1e-5, atol=0)
    torch.testing.assert_close(moved.sum(dim=-1), state.sum(dim=-1))


def test_interpolation_is_exact_for_cubics_and_masses_are_kept(model: KrusellSmith) -> None:
    def cubic(capital: torch.Tensor) -> torch.Tensor:
        at = torch.log1p(capital / krusell_smith._NODE_SCALE)
        return 1 - at + 0.3 * at**2 - 0.1 * at**3

    capital = 180 * random.uniform(torch.tensor(6), 2, 50).double()
    values = cubic(model.nodes).expand(3, 2, -1)
    found = krusell_smith._interpolated(values, capital)
    torch.testing.assert_close(found, cubic(capital).expand(3, 2, 2, 50))
    state = model.initial_state(torch.tensor(7), 5)
    weights = torch.stack([model.weights(state)[name] for name in ("unemployed", "employed")], dim=-1)
    torch.testing.assert_close(weights.flatten(1).mean(dim=1), torch.ones(5).double())


def test_gradients_run_through_the_mean_of_the_distribution(model: KrusellSmith) -> None:
    state, shock = model.initial_state(torch.tensor(8), 2), torch.tensor([0.0, 1.0]).double()
    direction = random.normal(torch.tensor(9), model.nodes.numel(), 2).double()

    def capital(size: torch.Tensor) -> torch.Tensor:
        policy = model.head((size * direction).expand(2, -1, -1), state)
        return model.capital(model.step(state, policy, shock)).sum()

    size = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(capital(size), size)
    step = torch.tensor(1e-4).double()
    torch.testing.assert_close(gradient, (capital(step) - capital(-step)) / (2 * step), rtol=1e-4, atol=0)


def test_reference_on_a_coarse_grid(coarse: reference.Solution) -> None:
    """Rules as den Haan, Judd and Juillard's participants report them, about; the full grids take a minute."""
    assert coarse.r_squared > 0.9999
    assert coarse.forecast_error[1] < 0.01
    forecasts = coarse.rules @ [1, np.log(39.65)]
    assert forecasts == pytest.approx([0.12355 + 0.96565 * np.log(39.65), 0.13802 + 0.96318 * np.log(39.65)], abs=2e-3)
    simulated = coarse.simulate(np.zeros(20, dtype=np.int64), coarse.start(np.zeros(1, dtype=np.int64)))
    assert simulated.histogram.sum() == pytest.approx(1)
    assert simulated.histogram.sum(axis=1) == pytest.approx([0.1, 0.9])
    assert (np.diff(simulated.capital[5:]) < 0).all(), "capital falls in times that stay bad"


def test_the_references_households_obey_the_models_equations(coarse: reference.Solution, model: KrusellSmith) -> None:
    """The two methods share no code: the net's residuals are small for the other's policy."""

    def decide(state: torch.Tensor) -> Policy:
        rows = []
        for row in state.flatten(0, -2):
            regime, capital = int(row[1]), model.capital(row).item()
            rows.append(
                np.concatenate([coarse.household(regime, job, capital, model.nodes.numpy()) for job in range(2)])
            )
        return {"free_consumption": torch.from_numpy(np.stack(rows)).view(*state.shape[:-1], -1)}

    state = model.initial_state(torch.tensor(9), 4)
    found, weights = residuals(model, decide, state), model.weights(state)
    weighted = torch.stack([found[name] * weights[name] for name in ("unemployed", "employed")])
    assert weighted.abs().mean() < 2e-3
    torch.testing.assert_close(found["together"], weighted.mean(dim=(0, -1)))
    wrong = {name: 1.02 * value for name, value in decide(state).items()}
    assert wrong["free_consumption"].shape == (4, 2 * model.nodes.numel())


TINY = SolverConfig(
    hidden=(6,), tracks=4, adam_updates=8, polish_updates=2, polish_states=4, polish_refresh_updates=1, box_share=0.5
)


def train(learner: EquilibriumNet, source: EconomyPath, updates: int) -> None:
    for _ in range(updates):
        source.collect()
        learner.update(source.sample())


def build(model: KrusellSmith) -> tuple[EquilibriumNet, EconomyPath]:
    learner = EquilibriumNet(model, TINY, [2])
    return learner, EconomyPath(model, learner.policy, TINY, [2])


def test_a_short_training_lowers_the_loss_and_resumes_exactly(
    model: KrusellSmith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "_SETTLING_PERIODS", 1)
    monkeypatch.setattr(path, "_SPACING_PERIODS", 1)
    straight = build(model)
    state = model.initial_state(torch.tensor([10]), 8)
    before = straight[0].marquardt.loss(straight[0].parameters, state).item()
    train(*straight, 10)
    assert straight[0].marquardt.loss(straight[0].solution, state).item() < 0.5 * before
    first, second = build(model), build(model)
    train(*first, 9)
    for part, saved in zip(second, [copy.deepcopy(part.state_dict()) for part in first], strict=True):
        part.load_state_dict(saved)
    train(*second, 1)
    assert torch.equal(second[0].solution, straight[0].solution)
    assert torch.equal(second[1].state, straight[1].state)


def test_other_calibrations_are_economies_too() -> None:
    calibration = dataclasses.replace(Calibration(), benefits=0.4, depreciation=0.05)
    built = KrusellSmith(calibration)
    registry.check(built, "krusell-smith")


def test_certificates_count_errors_by_weight() -> None:
    errors = np.array([1e-2, 1e-4])
    found = certificate._summary(errors, np.array([0.02, 1.98]))
    assert 10 ** found["mean"] == pytest.approx(0.01 * 1e-2 + 0.99 * 1e-4)
    assert 10 ** found["p90"] == pytest.approx(1e-4)
    assert 10 ** found["max"] == pytest.approx(1e-2)
    assert 10 ** certificate._summary(errors, np.array([1e-5, 2.0]))["max"] == pytest.approx(1e-4)


def test_a_path_of_capital_far_from_the_reference_fails(
    model: KrusellSmith, coarse: reference.Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Households who consume 2 % too much let capital fall."""
    monkeypatch.setattr(krusell_smith, "_PATH_PERIODS", 60)
    monkeypatch.setitem(model.__dict__, "reference", coarse)
    distances = model.distances(lambda s: {k: 1.02 * v for k, v in untrained(model)(s).items()})
    report = {"distances": {name: distance._asdict() for name, distance in distances.items()}}
    report |= {
        "infeasible_states": 0,
        "infeasible_box_states": 0,
        "stability": {"spectral_radius": 0.9, "spread": 0.0, "promised_spread": 0.0},
        "euler_log10": {"per_equation": {}},
        "box_euler_log10": {"per_equation": {}},
        "complementarity": {},
        "clearing_max": None,
        "policy_error": None,
        "reference": None,
    }
    failures = certificate._failures(model, report)
    assert len(failures) == 3
    assert all("capital" in failure for failure in failures)


def test_parameters_that_are_tables_can_be_set() -> None:
    given = parse("stay_unemployed=((.6,.25),(.75,.3)), delta=.03")
    assert given == {"stay_unemployed": ((0.6, 0.25), (0.75, 0.3)), "depreciation": 0.03}
    stored = json.loads(json.dumps(given))  # lists, as in a run's folder
    built = registry.build("krusell-smith", None, stored)
    assert built.calibration == dataclasses.replace(Calibration(), **given)
    for text in ("stay_unemployed=(.6,.25)", "productivity=(.9,1,1.1)", "productivity=1", "unemployment=('a',.1)"):
        with pytest.raises(ValueError, match=r"^\w+ must be like \("):
            registry.build("krusell-smith", None, parse(text))


def test_a_reference_that_gives_up_is_reported(model: KrusellSmith, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(policy: PolicyFunction) -> dict[str, Distance]:
        raise RuntimeError("no convergence")

    monkeypatch.setattr(model, "distances", give_up)
    found = certificate._distances(model, untrained(model))
    assert found["distances"] == {}
    assert found["reference"]["fault"].startswith("RuntimeError: no convergence")
