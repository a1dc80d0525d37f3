"""Reference solutions against closed forms and against values computed elsewhere."""

import dataclasses

import numpy as np
import pytest
import torch

from rlsuite import random
from rlsuite.deqn.model import residuals
from rlsuite.deqn.models.consumption_saving import Calibration as SavingCalibration
from rlsuite.deqn.models.growth import Calibration, Growth
from rlsuite.deqn.models.irbc import Calibration as CountryCalibration
from rlsuite.deqn.models.irreversible_investment import Calibration as IrreversibleCalibration
from rlsuite.deqn.models.olg_benchmark import Calibration as GenerationsCalibration
from rlsuite.deqn.references import consumption_saving, log_linear, steady_state_olg, time_iteration
from rlsuite.deqn.simulation import simulate

# Consumption at (K*, 0), (0.8 K*, -2 sd), (1.2 K*, +2 sd), (1.2 K*, -2 sd), (0.8 K*, +2 sd).
_CAPITALS, _PRODUCTIVITIES = np.array([1, 0.8, 1.2, 1.2, 0.8]), np.array([0, -2, 2, -2, 2])


@pytest.mark.parametrize(
    ("name", "capital", "consumption"),
    [
        ("log", 6.366837, [1.310130, 1.065242, 1.572856, 1.354682, 1.256298]),
        ("crra-2", 6.366837, [1.307336, 1.090150, 1.534980, 1.303576, 1.305484]),
        ("crra-5", 6.366837, [1.295006, 1.115988, 1.468128, 1.263360, 1.325147]),
        ("quarterly", 48.299178, [3.072537, 2.625691, 3.505659, 3.388252, 2.728158]),
    ],
)
def test_growth(name: str, capital: float, consumption: list[float]) -> None:
    calibration = Growth.calibrations[name]
    assert calibration.capital == pytest.approx(capital, abs=1e-6)
    solution = time_iteration.solve(calibration, grid=(25, 70), tolerance=1e-8)
    found, _ = solution(np.log(_CAPITALS * calibration.capital), _PRODUCTIVITIES * calibration.productivity_sd)
    np.testing.assert_allclose(found, consumption, atol=2e-6)


def test_growth_with_full_depreciation_has_the_closed_form() -> None:
    calibration = Calibration(depreciation=1.0)
    solution = time_iteration.solve(calibration, grid=(25, 80), tolerance=1e-11)
    generator = np.random.default_rng(0)
    ln_capital = np.log(calibration.capital) + 0.2 * generator.standard_normal(500)
    productivity = calibration.productivity_sd * generator.standard_normal(500)
    found, _ = solution(ln_capital, productivity)
    share = 1 - calibration.capital_share * calibration.discount
    np.testing.assert_allclose(found, share * np.exp(productivity + calibration.capital_share * ln_capital), rtol=1e-9)


def test_growth_reference_has_tiny_euler_errors_and_the_known_distribution() -> None:
    model = Growth(Calibration())
    key = random.key(torch.tensor(0), 1)
    path = simulate(model, model.reference_policy, model.initial_state(key, 2000), key, 80)[-1]
    errors = residuals(model, model.reference_policy, path, fine=True)["euler"].abs()
    assert errors.mean() < 1e-8
    capital, consumption = torch.exp(path[:, 0]), model.reference_policy(path)["consumption"]
    assert capital.mean().item() == pytest.approx(6.460, abs=0.06)
    assert capital.std().item() == pytest.approx(0.865, abs=0.06)
    assert consumption.mean().item() == pytest.approx(1.3226, abs=0.01)


def test_irreversible_investment() -> None:
    calibration = IrreversibleCalibration()
    assert calibration.capital == pytest.approx(3.53288, abs=1e-5)
    solution = time_iteration.solve(calibration, calibration.least_investment, grid=(31, 150), tolerance=1e-8)
    ln_capital = np.log(np.array([1, 0.9, 1.1, 1.1]) * calibration.capital)
    productivity = np.array([0, -2, -2, 2]) * calibration.productivity_sd
    consumption, multiplier = solution(ln_capital, productivity)
    np.testing.assert_allclose(consumption, [1.162984, 1.035540, 1.130019, 1.250866], atol=2e-6)
    # The published multipliers are in units of utility, ours over marginal utility.
    np.testing.assert_allclose(
        multiplier * consumption**-calibration.risk_aversion, [0, 0.077710, 0.063419, 0], atol=2e-6
    )


def test_floor_that_never_binds_changes_nothing() -> None:
    calibration = IrreversibleCalibration(floor_share=0.0, risk_aversion=1.0)
    free = time_iteration.solve(calibration, grid=(15, 60), tolerance=1e-9)
    bound = time_iteration.solve(calibration, 0.0, grid=(15, 60), tolerance=1e-9)
    ln_capital = np.log(calibration.capital) + np.linspace(-0.1, 0.1, 9)
    np.testing.assert_allclose(bound(ln_capital, 0 * ln_capital)[0], free(ln_capital, 0 * ln_capital)[0], rtol=1e-9)


def test_time_iteration_says_when_it_does_not_converge() -> None:
    with pytest.raises(RuntimeError, match="did not converge"):
        time_iteration.solve(Calibration(), grid=(9, 30), max_iterations=2)


def test_consumption_saving() -> None:
    solution = consumption_saving.solve(SavingCalibration(), grid=(45, 250), tolerance=1e-6)
    wealth = np.array([1, 1.1, 1.2, 1.5, 2, 3, 5])
    np.testing.assert_allclose(
        solution(wealth, 0 * wealth), [1, 1.05863, 1.09051, 1.15966, 1.24643, 1.38444, 1.60965], atol=1.5e-4
    )
    poor = np.array([0.67, 1, 2])
    np.testing.assert_allclose(solution(poor, np.full(3, -0.4)), [0.67, 0.82547, 1.02832], atol=1.5e-4)


def test_benchmark_generations_in_their_steady_state() -> None:
    calibration = GenerationsCalibration()
    labour = calibration.labour
    assert [labour[a] for a in (0, 5, 15, 23, 28, 40, 55)] == pytest.approx(
        [0.6, 0.847844, 1.197742, 1.337702, 1.362, 1.042659, 0.641636], abs=1e-6
    )
    assert sum(labour) == pytest.approx(57.776646, abs=1e-6)
    assert calibration.mean_depreciation == pytest.approx(0.082561, abs=1e-6)
    found = steady_state_olg.solve(calibration)
    assert found.residual < 1e-12
    assert found.aggregate_capital == pytest.approx(141.472939, abs=1e-5)
    assert found.gross_return == pytest.approx(1.077718, abs=1e-6)
    assert found.wage == pytest.approx(0.915745, abs=1e-6)
    assert found.bond_price == pytest.approx(0.937567, abs=1e-6)
    assert found.bond.sum() == pytest.approx(0, abs=1e-10)
    assert (found.capital_multiplier > 1e-9).sum() == 2
    assert (found.collateral_multiplier > 1e-9).sum() == 14
    assert found.capital.max() == pytest.approx(4.429, abs=1e-3)
    assert found.consumption[[0, -1]] == pytest.approx([0.549, 1.390], abs=1e-3)


def test_benchmark_with_fewer_ages_keeps_its_accuracy() -> None:
    found = steady_state_olg.solve(GenerationsCalibration(ages=12, discount=0.95 ** (56 / 12)))
    assert found.residual < 1e-12
    assert (found.capital >= 0).all()
    assert (found.collateral * found.collateral_multiplier).max() < 1e-12


def test_countries_to_first_order() -> None:
    solution = log_linear.solve(CountryCalibration())
    np.testing.assert_allclose(solution.capital, [[0.92103, 0.06452], [0.06452, 0.92103]], atol=1e-5)
    np.testing.assert_allclose(solution.productivity, [[0.10521, -0.06133], [-0.06133, 0.10521]], atol=1e-5)
    np.testing.assert_allclose(solution.price_capital, [-0.42841] * 2, atol=2e-5)
    np.testing.assert_allclose(solution.price_productivity, [-0.20869] * 2, atol=2e-5)


@pytest.mark.parametrize("countries", [2, 4, 10])
def test_eigenvalues_depend_on_the_mean_elasticity_only(countries: int) -> None:
    eigenvalues = np.sort(np.linalg.eigvals(log_linear.solve(CountryCalibration.of(countries)).capital).real)
    assert eigenvalues[-1] == pytest.approx(0.98556, abs=2e-5)
    np.testing.assert_allclose(eigenvalues[:-1], 0.85651, atol=2e-5)


def test_one_country_is_growth_with_adjustment_costs() -> None:
    country = CountryCalibration(substitution=(1.0,))
    assert log_linear.solve(country).capital.item() == pytest.approx(0.98086, abs=2e-5)
    same = Calibration(depreciation=0.01, persistence=0.95, volatility=1e-4, technology=country.technology)
    solution = time_iteration.solve(same, grid=(5, 60), tolerance=1e-8)
    ln_capital = np.array([-1e-3, 1e-3])
    consumption, _ = solution(ln_capital, np.zeros(2))
    following = np.log(country.technology * np.exp(0.36 * ln_capital) + 0.99 * np.exp(ln_capital) - consumption)
    slope = np.diff(following) / np.diff(ln_capital)
    assert log_linear.solve(dataclasses.replace(country, adjustment_cost=0.0)).capital.item() == pytest.approx(
        slope[0], abs=1e-4
    )
