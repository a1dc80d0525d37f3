import math

import numpy as np
import pytest
import torch
from small_runs import check_small_run, learned
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rlsuite.networks.averaging import Average
from rlsuite.supervised.experiments import optimisers, stochastic_rates
from rlsuite.supervised.experiments.optimisers import LogisticConfig, QuadraticConfig
from rlsuite.supervised.experiments.stochastic_rates import RatesConfig, inverse_power
from rlsuite.supervised.optimisers import SideBySide, TwoRateMomentum, WindowedAdagrad

GRADIENTS = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def stepped(make, gradients=GRADIENTS):
    """Parameters after each step along given gradients."""
    parameters = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    optimiser, path = make([parameters]), []
    for gradient in gradients:
        parameters.grad = gradient.clone()
        optimiser.step()
        path.append(parameters.detach().clone())
    return path


def test_an_average_is_torchs_own():
    model = torch.nn.Linear(3, 1, bias=False)
    expected = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    expected.update_parameters(model)  # the first is copied
    average = Average(model.weight.detach())
    for step in range(3):
        torch.nn.init.constant_(model.weight, float(step))
        expected.update_parameters(model)
        average.follow(model.weight.detach(), 0.1)
    torch.testing.assert_close(average.mean, expected.module.weight.detach())


def test_an_average_of_weighted_iterates_is_their_mean():
    iterates, weights = torch.randn(5, 2, 3), torch.tensor([3.0, 1.0, 2.0, 0.5, 4.0])
    average = Average(iterates[0])
    for iterate, share in zip(iterates, weights / weights.cumsum(0), strict=True):
        average.follow(iterate, share.expand(2))
    torch.testing.assert_close(average.mean, torch.einsum("t,tsp->sp", weights / weights.sum(), iterates))
    average.follow(iterates[1], torch.tensor([True, False]))  # copies the first seed's only
    assert torch.equal(average.mean[0], iterates[1, 0]) and not torch.equal(average.mean[1], iterates[1, 1])


def test_two_rate_momentum_is_what_its_formula_says():
    path = stepped(lambda own: TwoRateMomentum(own, lr=0.1, momentum_lr=0.2, share=0.3))
    mean = torch.zeros(2, 3, dtype=torch.float64)
    expected = torch.ones(2, 3, dtype=torch.float64)
    for gradient, found in zip(GRADIENTS, path, strict=True):
        mean = 0.7 * mean + 0.3 * gradient
        expected = expected - 0.1 * gradient - 0.2 * mean
        torch.testing.assert_close(found, expected)


def test_adagrad_forgets_what_is_before_its_window():
    path = stepped(lambda own: WindowedAdagrad(own, lr=0.1, window=2, start=0.5))
    expected = torch.ones(2, 3, dtype=torch.float64)
    for step, found in enumerate(path):
        squares = GRADIENTS[max(step - 1, 0) : step + 1].square().sum(dim=0)
        expected = expected - 0.1 * GRADIENTS[step] / (0.5 + squares).sqrt()
        torch.testing.assert_close(found, expected)
    whole = stepped(lambda own: WindowedAdagrad(own, lr=0.1, window=100, start=0.5))
    torchs = stepped(lambda own: torch.optim.Adagrad(own, lr=0.1, initial_accumulator_value=0.5, eps=0.0))
    torch.testing.assert_close(whole, torchs)


def test_momentum_and_nesterovs_are_the_same_in_both_ways_of_writing():
    problem = optimisers.quadratic(QuadraticConfig(numbers=3))
    rate, momentum = 0.5, 0.8

    def gradient(w):
        w = w.detach().requires_grad_()
        return torch.autograd.grad(problem.loss(w).sum(), w)[0]

    for nesterov in (False, True):
        learner = SideBySide(
            problem.start,
            {"torch": lambda own, n=nesterov: torch.optim.SGD(own, lr=rate, momentum=momentum, nesterov=n)},
            lambda parameters, _: problem.loss(parameters),
        )
        before = now = problem.start
        for _ in range(5):
            learner.update(0)
            ahead = now + momentum * (now - before)
            before, now = now, ahead - rate * gradient(ahead if nesterov else now)
            # torch keeps the point that momentum has moved to already.
            expected = now + momentum * (now - before) if nesterov else now
            torch.testing.assert_close(learner.parameters["torch"].detach(), expected)


def test_schedules_have_their_known_values():
    parameter = torch.zeros(1, requires_grad=True)

    def rates(schedule, steps=4):
        found = []
        for _ in range(steps):
            found.append(schedule.optimizer.param_groups[0]["lr"])
            schedule.optimizer.step()
            schedule.step(1.0) if isinstance(schedule, ReduceLROnPlateau) else schedule.step()
        return found

    def sgd():
        return torch.optim.SGD([parameter], lr=2.0)

    falling = inverse_power(1.0, 1.0, 0.5)
    assert rates(LambdaLR(sgd(), falling)) == pytest.approx([2.0 / math.sqrt(1.0 + t) for t in range(4)])
    assert inverse_power(3.0, 1.0, 0.75)(np.array([15.0])) == pytest.approx(3.0 / 8.0)
    assert inverse_power(3.0, 2.0, 1.0)(np.array([4.0])) == pytest.approx(0.5)
    assert rates(ExponentialLR(sgd(), math.exp(-0.1)))[-1] == pytest.approx(2.0 * math.exp(-0.3))
    assert rates(ReduceLROnPlateau(sgd(), factor=0.5, patience=1)) == [2.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize(
    "problem", [optimisers.quadratic(QuadraticConfig(seeds=2)), None], ids=["quadratic", "logistic"]
)
def test_curvatures_are_those_of_the_hessian_and_newton_finds_the_minimum(problem):
    if problem is None:
        pytest.importorskip("sklearn")
        problem = optimisers.logistic(LogisticConfig())
    low, high = problem.curvature
    one = torch.func.hessian(lambda w: problem.loss(w).sum())(problem.start).diagonal(dim1=0, dim2=2).movedim(-1, 0)
    found = torch.linalg.eigvalsh(one)
    assert low - 1e-9 <= found.min() and found.max() <= high + 1e-9
    slope = torch.autograd.grad(problem.loss(problem.minimum.requires_grad_()).sum(), problem.minimum)[0]
    assert slope.abs().max() < 1e-10
    steps = 1 if problem.is_quadratic else 8
    assert problem.excess(optimisers.newton(problem.loss, problem.start, steps)[-1]).max() < 1e-12


def test_one_number_is_found_in_one_step_and_lost_above_twice_the_rate():
    curvature, minimum = 4.0, 3.0
    after = {}
    for factor in (0.5, 1.0, 1.9, 2.0, 2.1):
        w = torch.tensor(0.0)
        for _ in range(20):
            w = w - factor / curvature * curvature * (w - minimum)
        after[factor] = abs(float(w) - minimum) / minimum
    assert after[1.0] == 0.0 and after[0.5] < 1e-5 and after[1.9] < 0.2
    assert after[2.0] == pytest.approx(1.0) and after[2.1] > 5.0


def test_a_condition_below_one_is_refused():
    with pytest.raises(ValueError, match="--condition must be at least 1"):
        optimisers.quadratic(QuadraticConfig(condition=0.5))


@pytest.mark.parametrize("condition", [10.0, 1_000.0])
def test_optimisers_keep_their_bounds_at_every_step(condition):
    problem = optimisers.quadratic(QuadraticConfig(seeds=3, condition=condition))
    learner = SideBySide(
        problem.start, optimisers.optimisers(*problem.curvature), lambda parameters, _: problem.loss(parameters)
    )
    limits = optimisers.bounds(problem, np.arange(101))
    assert set(limits) == {"gradient descent", "Nesterov", "heavy ball"}
    for step in range(100):
        for name, limit in limits.items():
            excess = problem.excess(learner.parameters[name]).detach().numpy()
            assert (excess <= limit[:, step] + 1e-13).all(), (name, step)
        learner.update(0)


def test_the_ball_holds_all_iterates():
    pytest.importorskip("sklearn")
    problem = stochastic_rates.load(RatesConfig(weight_decay=0.03))
    config = RatesConfig(radius=problem.distance + 0.1, epochs=1, steps=50)
    learner = stochastic_rates.Descents(problem, config, 50, 2)
    for number in range(50):
        learner.update(torch.tensor([number, number + 1]))
        assert learner.weights.norm(dim=2).max() <= config.radius + 1e-9
    with pytest.raises(ValueError, match="--radius must be at least"):
        stochastic_rates.load(RatesConfig(radius=0.1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("optimisers-quadratic", {"seeds": 2}),
        ("stochastic-rates", {"seeds": 2, "steps": 30}),
        ("hard-examples", {"seeds": 2, "steps": 20}),
    ],
)
def test_small_runs_of_optimisers(name, options, tmp_path):
    if name == "stochastic-rates":
        pytest.importorskip("sklearn")
    check_small_run(name, tmp_path, epochs=2, **options)


def test_logistic_regression_stays_below_the_bounds():
    pytest.importorskip("sklearn")
    found = learned("optimisers-logistic", 40)
    assert found["of_bound"] < 1.0 and found["Nesterov"] < found["gradient_descent"]
