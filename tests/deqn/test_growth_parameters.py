"""Growth with its parameters as states: the family, its training, and estimation on it."""

import dataclasses

import pytest
import torch

from rlsuite import random
from rlsuite.deqn import estimation, registry
from rlsuite.deqn.calibration import parse
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.model import Policy, residuals
from rlsuite.deqn.models import growth
from rlsuite.deqn.models.growth_parameters import PARAMETERS, GrowthParameters
from rlsuite.deqn.path import EconomyPath
from rlsuite.deqn.references import time_iteration
from rlsuite.deqn.solver import EquilibriumNet

TRUTH = {"risk_aversion": 4.0, "discount": 0.98, "depreciation": 0.05, "persistence": 0.9, "volatility": 0.02}
KEY = torch.tensor(3)


@pytest.fixture(scope="module")
def model() -> GrowthParameters:
    built = registry.build("growth-parameters")
    assert isinstance(built, GrowthParameters)
    return built


@pytest.fixture(scope="module")
def solved(model: GrowthParameters) -> time_iteration.Solution:
    return time_iteration.solve(growth.Calibration(**TRUTH), grid=(15, 50), tolerance=1e-7)


def row() -> torch.Tensor:
    return torch.tensor([TRUTH[name] for name in PARAMETERS], dtype=torch.float64)


def test_equations_are_those_of_growth_with_these_parameters(model: GrowthParameters) -> None:
    one = growth.Growth(growth.Calibration(**TRUTH))
    state = model.near_steady_state(KEY, row().expand(16, 5))

    def share(state: torch.Tensor) -> torch.Tensor:
        return 0.2 + 0.01 * torch.tanh(state[..., 0]) + 0.1 * state[..., 1]

    def decide(state: torch.Tensor) -> Policy:
        resources = model.output(state) + model.undepreciated(state)
        return {"consumption": share(state) * resources, "next_capital": (1 - share(state)) * resources}

    def decide_one(state: torch.Tensor) -> Policy:
        resources = one.resources(state)
        return {"consumption": share(state) * resources, "next_capital": (1 - share(state)) * resources}

    torch.testing.assert_close(
        residuals(model, decide, state)["euler"], residuals(one, decide_one, state[:, :2])["euler"]
    )
    following = model.step(state, decide(state), torch.ones(16, 1).double())
    torch.testing.assert_close(
        following[:, :2], one.step(state[:, :2], decide_one(state[:, :2]), torch.ones(16, 1).double())
    )
    assert torch.equal(following[:, 2:], state[:, 2:])


def test_the_first_order_solution_has_second_order_errors(model: GrowthParameters) -> None:
    def first_order(state: torch.Tensor) -> Policy:
        return model.head(state.new_zeros(*state.shape[:-1], 1), state)

    drawn = model.initial_state(KEY, 200)
    largest = []
    for size in (0.02, 0.01):
        calm = drawn.clone()
        calm[:, 6] *= size
        state = model.moved(calm, model.coordinates(drawn))
        largest.append(residuals(model, first_order, state)["euler"].abs().max().item())
    assert largest[1] < 0.3 * largest[0], "a quarter of the error at half the risk"
    assert largest[1] < 1e-5


def test_draws_stay_in_their_ranges_and_training_reaches_past_them(model: GrowthParameters) -> None:
    own, wider = model.initial_state(KEY, 4000)[:, 2:], model.training_state(KEY, 4000)[:, 2:]
    for column, name in enumerate(PARAMETERS):
        low, high = getattr(model.calibration, name)
        assert low <= own[:, column].min() < own[:, column].max() <= high
        assert wider[:, column].min() < low < high < wider[:, column].max()
    assert (wider[:, [1, 3]] < 1).all()
    state = model.initial_state(KEY, 50)
    torch.testing.assert_close(model.moved(state, model.coordinates(state)), state)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma=(3,2)", "risk_aversion must be a range from low to high"),
        ("beta=(.9,1.1)", "discount must lie strictly between 0 and 1"),
        ("sigma=(0,.1)", "volatility must be positive"),
        ("gamma=4", r"risk_aversion must be like \(1.0, 10.0\), not 4"),
    ],
)
def test_ranges_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.build("growth-parameters", None, parse(text))


def test_paths_start_anew_with_other_parameters(model: GrowthParameters) -> None:
    config = SolverConfig(hidden=(4,), tracks=12, restart_periods=4, adam_updates=100)
    learner = EquilibriumNet(model, config, [1])
    path = EconomyPath(model, learner.policy, config, [1])
    before = path.state[0, :, 2:].clone()
    for period in range(4):
        path.collect()
        changed = (path.state[0, :, 2:] != before).any(dim=1)
        assert changed.sum() == 3 * (period + 1)
    never = dataclasses.replace(config, restart_periods=0)
    path = EconomyPath(model, learner.policy, never, [1])
    for _ in range(4):
        path.collect()
    assert torch.equal(path.state[0, :, 2:], before)


def test_a_short_training_comes_near_to_time_iteration(
    model: GrowthParameters, solved: time_iteration.Solution
) -> None:
    config = SolverConfig(
        hidden=(8, 8),
        tracks=128,
        restart_periods=20,
        adam_updates=30,
        polish_updates=5,
        polish_states=256,
        polish_refresh_updates=5,
    )
    learner = EquilibriumNet(model, config, [2])
    path = EconomyPath(model, learner.policy, config, [2])
    untrained = model._distance(learner.network.policy_of_one(learner.solution[0].clone()), row(), solved).mean()
    for _ in range(config.adam_updates + config.polish_updates):
        path.collect()
        learner.update(path.sample())
    trained = model._distance(learner.network.policy_of_one(learner.solution[0]), row(), solved).mean()
    assert trained < min(0.3 * untrained, 2e-3)


def test_the_true_parameters_lie_in_most_confidence_regions(
    model: GrowthParameters, solved: time_iteration.Solution
) -> None:
    """The data and the policy are both time iteration's here, at whose other parameters first order must do."""
    data = estimation.observe(model, solved, samples=10, periods=80)

    def first_order(state: torch.Tensor) -> Policy:
        return model.head(state.new_zeros(*state.shape[:-1], 1), state)

    known = {name: value for name, value in TRUTH.items() if name != "volatility"}
    found = estimation.estimate(model, first_order, data, ("volatility",), known, paths=30)
    assert found.contain(TRUTH).double().mean() >= 0.7
    assert found.values.mean().item() == pytest.approx(0.02, rel=0.1)
    assert not found.contain({"volatility": 0.03}).any()
    assert (found.standard_errors > 0).all()
    with pytest.raises(ValueError, match="either known or unknown"):
        estimation.estimate(model, first_order, data, ("volatility",), TRUTH)


def test_moments_are_those_of_their_definitions() -> None:
    series = random.normal(KEY, 3, 500, 2).double().cumsum(dim=1)
    found = estimation.moments(series)
    share, growth_rates = series[..., 1] - series[..., 0], series.diff(dim=1)
    torch.testing.assert_close(found[:, 0], share.mean(dim=1))
    torch.testing.assert_close(found[:, 1].exp(), share.std(dim=1))
    torch.testing.assert_close(found[:, 2:4].exp(), growth_rates.std(dim=1))
    correlation = torch.stack([torch.corrcoef(one.T)[0, 1] for one in growth_rates])
    torch.testing.assert_close(found[:, 4].tanh(), correlation, rtol=1e-2, atol=1e-2)
