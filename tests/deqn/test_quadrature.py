"""Rules against the moments of the normal distribution, chains against their definition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsuite import random
from rlsuite.deqn.quadrature import Chain, Gaussian, Quadrature, gauss_hermite, monomial_3, monomial_5


def moment(rule: Quadrature, *powers: int) -> float:
    values = torch.stack([rule.nodes[:, i] ** power for i, power in enumerate(powers)]).prod(dim=0)
    return float((rule.weights * values).sum())


def normal_moment(power: int) -> float:
    return 0.0 if power % 2 else float(math.prod(range(1, power, 2)))


@settings(deadline=None, max_examples=30)
@given(order=st.integers(2, 9), power=st.integers(0, 17))
def test_gauss_hermite_is_exact_to_its_degree(order: int, power: int) -> None:
    if power <= 2 * order - 1:
        assert moment(gauss_hermite(order), power) == pytest.approx(normal_moment(power), rel=1e-10, abs=1e-8)


@pytest.mark.parametrize("powers", [(0, 0, 0), (2, 0, 0), (0, 2, 0), (1, 1, 0), (3, 0, 0), (1, 2, 0)])
def test_degree_3_rule(powers: tuple[int, ...]) -> None:
    expected = math.prod(normal_moment(p) for p in powers)
    assert moment(monomial_3(3), *powers) == pytest.approx(expected, abs=1e-12)
    assert moment(monomial_3(3, rotated=True), *powers) == pytest.approx(expected, abs=1e-11)


def test_rotation_brings_the_fourth_moments_near_the_true_ones() -> None:
    rule = monomial_3(11, rotated=True)
    fourth = (rule.weights.unsqueeze(1) * rule.nodes**4).sum(dim=0)
    assert fourth.mean().item() == pytest.approx(3 * 11 / 13, rel=0.1)
    assert fourth.max() < 5
    assert float((rule.weights * torch.exp(0.1 * rule.nodes.sum(dim=1))).sum()) == pytest.approx(1.05654, abs=5e-4)


@pytest.mark.parametrize("powers", [(0, 0, 0), (2, 0, 0), (2, 2, 0), (4, 0, 0), (1, 1, 2), (5, 0, 0), (3, 2, 0)])
def test_degree_5_rule(powers: tuple[int, ...]) -> None:
    expected = math.prod(normal_moment(p) for p in powers)
    assert moment(monomial_5(3), *powers) == pytest.approx(expected, abs=1e-12)


def test_rules_in_eleven_dimensions_as_published() -> None:
    def expectation(rule: Quadrature) -> float:
        return float((rule.weights * torch.exp(0.1 * rule.nodes.sum(dim=1))).sum())

    assert moment(monomial_3(11), 4, *[0] * 10) == pytest.approx(11)
    assert moment(monomial_5(11), 4, *[0] * 10) == pytest.approx(3)
    assert expectation(monomial_3(11)) == pytest.approx(1.05551, abs=1e-5)
    assert expectation(monomial_5(11)) == pytest.approx(1.05653, abs=1e-5)
    assert len(monomial_3(11).weights) == 22
    assert len(monomial_5(11).weights) == 2 * 11**2 + 1


def test_product_rule_counts_and_covariance() -> None:
    rule = gauss_hermite(4, shocks=2)
    assert rule.nodes.shape == (16, 2)
    assert moment(rule, 2, 2) == pytest.approx(1.0)
    assert moment(rule, 1, 1) == pytest.approx(0.0, abs=1e-12)


def test_gaussian_draws_have_one_shock_a_column() -> None:
    shocks = Gaussian(gauss_hermite(3, 2), gauss_hermite(5, 2))
    key = random.key(torch.tensor([3, 4]), 0)
    draws = shocks.draw(torch.zeros(2, 20_000, 7, dtype=torch.float64), key)
    assert draws.shape == (2, 20_000, 2)
    assert draws.mean(dim=1).abs().max() < 0.03
    assert (draws.std(dim=1) - 1).abs().max() < 0.03
    alone = shocks.draw(torch.zeros(1, 20_000, 7, dtype=torch.float64), random.key(torch.tensor([4]), 0))
    assert torch.equal(alone[0], draws[1])


def test_chain_draws_and_sums_follow_its_matrix() -> None:
    matrix = [[0.5, 0.25, 0.25], [0.0, 0.1, 0.9], [1.0, 0.0, 0.0]]
    chain = Chain(matrix)
    state = torch.nn.functional.one_hot(torch.arange(3).repeat_interleave(20_000), 3).double()
    drawn = chain.draw(state, random.key(torch.tensor(1), 0))
    shares = torch.stack([part.mean(dim=0) for part in drawn.chunk(3)])
    assert torch.allclose(shares, chain.matrix, atol=0.015)
    nodes, weights = chain.quadrature(state, fine=False)
    assert torch.equal(nodes, torch.eye(3).double())
    assert torch.equal(weights[:, 0], chain.matrix[0])
    assert torch.equal(weights[:, -1], chain.matrix[2])


def test_chain_rests_in_its_stationary_distribution() -> None:
    chain = Chain([[0.5, 0.5], [0.2, 0.8]])
    assert torch.allclose(chain.stationary(), torch.tensor([2 / 7, 5 / 7]).double())
    assert torch.allclose(chain.stationary() @ chain.matrix, chain.stationary())


@pytest.mark.parametrize("matrix", [[[0.5, 0.4], [0.5, 0.5]], [[1.5, -0.5], [0.5, 0.5]]])
def test_chain_refuses_rows_that_are_no_distribution(matrix: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="each row of a transition matrix"):
        Chain(matrix)
