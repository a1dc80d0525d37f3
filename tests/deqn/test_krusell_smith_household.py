"""One household in Krusell and Smith's economy: what it may spend, and its reference."""

import numpy as np
import pytest
import torch

from rlsuite.deqn import registry
from rlsuite.deqn.model import residuals
from rlsuite.deqn.models.krusell_smith import Calibration, KrusellSmith
from rlsuite.deqn.models.krusell_smith_household import KrusellSmithHousehold
from rlsuite.deqn.references import krusell_smith as reference


@pytest.fixture(scope="module")
def model() -> KrusellSmithHousehold:
    built = registry.build("krusell-smith-household")
    assert isinstance(built, KrusellSmithHousehold)
    # A smaller grid than its own, for speed.
    rules = np.array(built.calibration.rules)
    built.__dict__["_reference"] = reference.household(built.calibration, rules, grid_points=150, moments=4)
    return built


@pytest.fixture(scope="module")
def state(model: KrusellSmithHousehold) -> torch.Tensor:
    return model.initial_state(torch.tensor(3), 400)


def test_it_faces_the_prices_of_the_whole_economy(model: KrusellSmithHousehold) -> None:
    whole = KrusellSmith(Calibration())
    everyone = whole.initial_state(torch.tensor(0), 12)
    regime = everyone[:, :2]
    job = torch.tensor([1.0, 0.0]).double().expand(12, 2)
    one = torch.cat(
        [
            (regime.unsqueeze(-1) * job.unsqueeze(-2)).flatten(-2),
            torch.full((12, 1), 7.0).double(),
            whole.capital(everyone).log().unsqueeze(-1),
        ],
        dim=-1,
    )
    gross_return, income = whole.prices(everyone)
    torch.testing.assert_close(model._wealth(one), 7 * gross_return + income[:, 0])


def test_it_never_spends_more_than_it_has_and_the_rich_are_free_to(
    model: KrusellSmithHousehold, state: torch.Tensor
) -> None:
    poor = state.clone()
    poor[:, 4] = 0.0
    spent = model.save(torch.full((400,), 0.05).double(), poor)
    assert (spent["savings"] == 0).all()
    torch.testing.assert_close(spent["consumption"], model._wealth(poor))
    rich = state.clone()
    rich[:, 4] = 60.0
    half = model.save(torch.full((400,), 0.5).double(), rich)
    torch.testing.assert_close(half["consumption"], model._for_ever(rich))
    assert (half["savings"] > 50).all()


def test_aggregate_capital_follows_the_rule_of_the_regime(model: KrusellSmithHousehold, state: torch.Tensor) -> None:
    share = torch.full((400,), 0.5).double()
    following = model.step(state, model.save(share, state), model.shocks.draw(state, torch.tensor(0)))
    for regime, (a, b) in enumerate(model.calibration.rules):
        here = state[:, 2 * regime : 2 * regime + 2].sum(dim=1) == 1
        assert here.any()
        torch.testing.assert_close(following[here, 5], a + b * state[here, 5])


def test_the_reference_makes_small_errors_and_others_do_not(model: KrusellSmithHousehold, state: torch.Tensor) -> None:
    exact = model.reference_residuals(state)["euler"].abs()
    careless = residuals(model, lambda s: model.save(torch.full_like(s[:, 4], 0.45), s), state)["euler"].abs()
    assert exact.mean() < 1e-4
    assert careless.mean() > 1e-3


def test_a_household_without_savings_that_wants_more_makes_no_mistake(model: KrusellSmithHousehold) -> None:
    poor = model.initial_state(torch.tensor(0), 400)
    poor[:, 4] = 0.0
    poor = poor[(poor[:, 0] + poor[:, 2]) == 1]  # without a job
    policy = model.reference_policy(poor)
    assert (policy["savings"] == 0).any()
    error = model.reference_residuals(poor)["euler"]
    assert (error[policy["savings"] == 0] == 0).all()
    # Savings that it should not have are an error.
    saving = residuals(model, lambda s: model._spending(0.8 * model._wealth(s), s), poor)["euler"]
    assert (saving[policy["savings"] == 0] > 0.05).all()


@pytest.mark.slow
def test_rules_are_those_of_krusell_and_smiths_algorithm(model: KrusellSmithHousehold) -> None:
    np.testing.assert_allclose(model.calibration.rules, reference.solve(Calibration()).rules, atol=1e-6)
