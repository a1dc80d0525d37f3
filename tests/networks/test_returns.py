"""Distributions of returns: projections and losses by hand, and by a second way of computing them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rlsuite.networks.returns import targets
from rlsuite.networks.returns.c51 import C51, project
from rlsuite.networks.returns.iqn import CosineEmbedding, ImplicitQuantiles
from rlsuite.networks.returns.model import Returns
from rlsuite.networks.returns.quantiles import QuantileRegression, midpoints, quantile_huber
from rlsuite.networks.returns.scalar import Scalar


def random_returns(*axes):
    torch.manual_seed(0)
    return Returns(4.0 * torch.randn(axes), torch.randn(axes).softmax(dim=-1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.25, [0, 0, 0.75, 0.25, 0]), (-2.0, [1, 0, 0, 0, 0]), (7.0, [0, 0, 0, 0, 1]), (-9.0, [1, 0, 0, 0, 0])],
)
def test_a_value_is_shared_by_the_two_atoms_beside_it(value, expected):
    support = torch.linspace(-2.0, 2.0, 5)
    assert project(Returns(torch.tensor([value]), torch.ones(1)), support).tolist() == pytest.approx(expected)


def test_the_projection_is_the_papers_loop():
    support, returns = torch.linspace(-3.0, 3.0, 7), random_returns(2, 3, 9)
    expected = torch.zeros(2, 3, 7)
    for place in range(6):  # algorithm 1 of the paper
        row, column = divmod(place, 3)
        for value, probability in zip(returns.value[row, column], returns.probability[row, column], strict=True):
            b = (value.clamp(-3.0, 3.0).item() + 3.0) / 1.0
            low, high = math.floor(b), math.ceil(b)
            expected[row, column, low] += probability * (high - b if high > low else 1.0)
            expected[row, column, high] += probability * (b - low)
    projected = project(returns, support)
    torch.testing.assert_close(projected, expected)
    torch.testing.assert_close(projected.sum(-1), torch.ones(2, 3))
    inside = Returns(returns.value.clamp(-3.0, 3.0), returns.probability)
    torch.testing.assert_close(Returns(support.expand(2, 3, 7), projected).mean, inside.mean)


def test_the_loss_of_c51_is_the_cross_entropy_to_the_projection_and_its_priority_the_divergence():
    model, outputs, target = C51(5, -2.0, 2.0), torch.randn(1, 4, 5), random_returns(1, 4, 3)
    each, priority = model.loss(outputs, target)
    wanted = project(target, model.support)[0]
    torch.testing.assert_close(each[0], F.cross_entropy(outputs[0], wanted, reduction="none"))
    divergence = F.kl_div(outputs[0].log_softmax(-1), wanted, reduction="none").sum(-1)
    torch.testing.assert_close(priority[0], divergence)
    by_hand = model.loss(torch.zeros(1, 1, 5), Returns(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)))[0]
    assert by_hand.item() == pytest.approx(math.log(5.0))


def test_the_quantile_huber_loss_by_hand():
    # Errors of the quantile 0 at level 0.25: -3 and 0.5, each half as likely; beyond 1 the loss is |x| - 1 / 2.
    target = Returns(torch.tensor([-3.0, 0.5]), torch.tensor([0.5, 0.5]))
    loss = quantile_huber(torch.zeros(1), torch.tensor([0.25]), target, 1.0)
    assert loss.item() == pytest.approx(0.5 * 0.75 * 2.5 + 0.5 * 0.25 * 0.125)
    plain = quantile_huber(torch.zeros(1), torch.tensor([0.25]), target, 0.0)
    assert plain.item() == pytest.approx(0.5 * 0.75 * 3.0 + 0.5 * 0.25 * 0.5)
    twice = quantile_huber(torch.zeros(1), torch.tensor([0.25]), target, 2.0)
    assert twice.item() == pytest.approx(0.5 * 0.75 * (3.0 - 1.0) + 0.5 * 0.25 * 0.125 / 2.0)


@pytest.mark.parametrize("limit", [0.0, 1.0, 0.3])
def test_the_quantile_huber_loss_is_the_sum_over_pairs(limit):
    torch.manual_seed(1)
    quantiles, levels, target = torch.randn(2, 5), torch.rand(2, 5), random_returns(2, 4)
    expected = torch.zeros(2)
    for row in range(2):
        for level, quantile in zip(levels[row], quantiles[row], strict=True):
            for value, probability in zip(target.value[row], target.probability[row], strict=True):
                u = float(value - quantile)
                size = (
                    abs(u)
                    if limit == 0
                    else (0.5 * u * u if abs(u) <= limit else limit * (abs(u) - 0.5 * limit)) / limit
                )
                expected[row] += probability * abs(float(level) - (u < 0)) * size
    torch.testing.assert_close(quantile_huber(quantiles, levels, target, limit), expected)


def test_quantiles_that_minimise_their_loss_are_those_of_the_target():
    model = QuantileRegression(4, 0.0)
    samples = torch.linspace(0.0, 1.0, 1001).square().view(1, 1, -1)  # the quantile at level a is a^2
    quantiles = torch.zeros(1, 1, 4, requires_grad=True)
    optimiser = torch.optim.Adam([quantiles], 0.03)
    for _ in range(100):
        optimiser.zero_grad()
        model.loss(quantiles, Returns(samples, torch.full_like(samples, 1 / 1001)))[0].sum().backward()
        optimiser.step()
    torch.testing.assert_close(quantiles.detach().flatten(), midpoints(4).square(), atol=0.03, rtol=0.0)


@pytest.mark.parametrize(("name", "function"), [("huber", F.huber_loss), ("mse", F.mse_loss)])
def test_a_scalar_learns_the_mean_of_its_target(name, function):
    outputs, target = torch.randn(1, 6, 1), random_returns(1, 6, 4)
    each, priority = Scalar(name).loss(outputs, target)
    mean = (target.value * target.probability).sum(-1)
    torch.testing.assert_close(each, function(outputs[..., 0], mean, reduction="none"))
    torch.testing.assert_close(priority, (outputs[..., 0] - mean).abs())


def test_levels_are_embedded_by_the_cosines_of_the_paper():
    embedding = CosineEmbedding(3, 2)
    with torch.no_grad():
        embedding.linear.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]]))
        embedding.linear.bias.zero_()
    waves = [1.0, math.cos(math.pi * 0.3), math.cos(2 * math.pi * 0.3)]
    expected = [max(0.0, waves[0] + 2 * waves[1] + 3 * waves[2]), max(0.0, -waves[2])]
    assert embedding(torch.tensor([0.3]))[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_levels_are_drawn_by_key_and_even_without():
    model, seen = ImplicitQuantiles(6, 4, 8, 1.0), torch.zeros(2, 3, 5)
    (drawn,), (again,) = (model.inputs(seen, torch.tensor([7, 8]), 1, 2) for _ in range(2))
    assert torch.equal(drawn, again) and drawn.shape == (2, 3, 6) and not torch.equal(drawn[0], drawn[1])
    assert model.inputs(seen)[0][1, 2].tolist() == [0.125, 0.375, 0.625, 0.875]


def test_an_implicit_quantile_network_gives_each_level_its_own_outputs():
    torch.manual_seed(0)
    model = ImplicitQuantiles(6, 4, 8, 1.0)
    network = model.network(nn.Linear(5, 7), 7, lambda inputs, numbers: nn.Linear(inputs, 3 * numbers))
    seen, levels = torch.randn(2, 5), torch.rand(2, 4)
    outputs = network(seen, levels).unflatten(-1, (3, 4))
    for k in range(4):
        torch.testing.assert_close(network(seen, levels[:, k : k + 1]), outputs[..., k])


def test_the_soft_target_is_that_of_munchausen_dqn():
    torch.manual_seed(0)
    q, temperature = torch.randn(1, 5, 3), 0.4
    log_policy = targets.soft_log_policy(q, temperature)
    policy = torch.softmax(q / temperature, dim=-1)
    returns = Returns(q.unsqueeze(-1), torch.ones(1, 5, 3, 1))
    soft = targets.of_soft_policy(returns, log_policy, temperature)
    torch.testing.assert_close(soft.mean, (policy * (q - temperature * policy.log())).sum(-1))
    torch.testing.assert_close(soft.mean, temperature * (q / temperature).logsumexp(-1))  # as is well known
    torch.testing.assert_close(soft.probability.sum(-1), torch.ones(1, 5))
    action = torch.tensor([[0, 1, 2, 0, 1]])
    bonus = targets.munchausen_bonus(log_policy, action, 0.9, -0.3)
    expected = 0.9 * (temperature * policy.gather(-1, action.unsqueeze(-1)).squeeze(-1).log()).clamp(-0.3, 0.0)
    torch.testing.assert_close(bonus, expected)


def test_the_best_action_is_that_of_the_preference():
    returns = random_returns(1, 2, 3, 4)
    found = targets.of_best(returns, torch.tensor([[[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]]))
    assert torch.equal(found.value[0, 0], returns.value[0, 0, 1])
    assert torch.equal(found.probability[0, 1], returns.probability[0, 1, 0])


def test_supports_that_are_none_are_refused():
    with pytest.raises(ValueError, match="a support goes from low to high, not from 2 to -2"):
        C51(5, 2.0, -2.0)
    with pytest.raises(ValueError, match="a support needs at least 2 atoms, not 1"):
        C51(1, -2.0, 2.0)
