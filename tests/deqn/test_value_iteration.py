"""Value iteration against closed forms, and against methods that know the Euler equations."""

import numpy as np
import pytest
import torch

from rlsuite import random
from rlsuite.deqn import registry, value_iteration
from rlsuite.deqn.models.brock_mirman import BrockMirman, Calibration
from rlsuite.deqn.simulation import simulate
from rlsuite.deqn.single_agent import SingleAgent
from rlsuite.deqn.value_iteration import Solution, solve


def visited(model: SingleAgent, solution: Solution) -> torch.Tensor:
    start = model.initial_state(torch.tensor(3), 100)
    return simulate(model, solution.policy, start, random.key(torch.tensor(4)), 60)[-10:].flatten(0, 1)


def test_brock_mirman_has_its_closed_form() -> None:
    model = registry.build("brock-mirman")
    assert isinstance(model, BrockMirman)
    solution = solve(model, grid=(12, 7))
    state = visited(model, solution)
    torch.testing.assert_close(solution.value_at(state), model.reference_value(state), rtol=0, atol=1e-9)
    torch.testing.assert_close(solution.policy(state), model.reference_policy(state), rtol=0, atol=1e-6)


def test_plain_iteration_contracts_by_the_discount_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_iteration, "_REFINEMENTS", 0)
    model = BrockMirman(Calibration(discount=0.8))
    plain = solve(model, grid=(6, 4), howard=False)
    changes = np.array(plain.changes)
    assert (changes[1:] < 0.8001 * changes[:-1]).all()
    np.testing.assert_allclose(changes[-20:] / changes[-21:-1], 0.8, atol=1e-3)
    improved = solve(model, grid=(6, 4))
    assert len(improved.changes) < 6
    torch.testing.assert_close(plain.value, improved.value, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "grid", "mean", "largest"),
    [
        pytest.param("growth", (20, 9), 2e-5, 2e-3, marks=pytest.mark.slow),
        pytest.param("consumption-saving", (36, 11), 5e-3, 0.05, marks=pytest.mark.slow),
    ],
)
def test_it_agrees_with_the_reference(name: str, grid: tuple[int, int], mean: float, largest: float) -> None:
    model = registry.build(name)
    assert isinstance(model, SingleAgent)
    solution = solve(model, grid=grid)
    state = visited(model, solution)
    reference = model.reference_policy(state)
    assert reference is not None
    error = (solution.policy(state)["consumption"] / reference["consumption"] - 1).abs()
    assert error.mean() < mean
    assert error.max() < largest


def test_what_cannot_be_solved_is_refused() -> None:
    model = registry.build("brock-mirman")
    assert isinstance(model, SingleAgent)
    with pytest.raises(RuntimeError, match="did not converge: still .* apart after 2 sweeps"):
        solve(model, grid=(8, 5), max_sweeps=2)
    model.state_names = ("ln_capital", "productivity", "weather")
    with pytest.raises(ValueError, match="two state columns, not ln_capital, productivity, weather"):
        solve(model)
