import dataclasses
import doctest
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from small_runs import check_small_run, learned

from rlsuite.supervised import backpropagation, losses, registry
from rlsuite.supervised.backpropagation import Network
from rlsuite.supervised.classification import Examples, split
from rlsuite.supervised.data import tables
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments import gradient_descent, mlp_by_hand, mnist_by_hand, perceptron
from rlsuite.supervised.experiments.gradient_descent import DescentConfig, UnevenConfig
from rlsuite.supervised.experiments.perceptron import Points, SeparableConfig
from rlsuite.supervised.registry import find
from rlsuite.supervised.source import passes


def passed_through(sides, passes):
    """A perceptron after some passes through its points, in the order in which they are."""
    zeros = {
        "weights": sides.train.inputs[:, 0],
        "bias": sides.train.labels[:, 0],
        "mistakes": sides.train.labels[:, 0],
    }
    tensors = {name: torch.zeros_like(like) for name, like in (zeros | {"last_pass": zeros["bias"]}).items()}
    for _ in range(passes):
        perceptron.learn(tensors, sides.train)
    return tensors


@pytest.mark.parametrize("inputs", [2, 20])
def test_the_perceptron_makes_no_more_mistakes_than_the_bound_says_in_any_order(inputs):
    sides = perceptron.separable(SeparableConfig(seeds=10, points=30, inputs=inputs))
    source = passes(sides.train, range(10))
    for _ in range(5):  # each batch is another order
        tensors = passed_through(sides._replace(train=source.sample()), 60)
        assert (tensors["last_pass"] == 0).all() and (tensors["mistakes"] >= 1).all()
        assert (tensors["mistakes"] <= sides.bound).all()


def test_the_perceptrons_weights_are_the_sum_of_its_mistakes():
    x, y = torch.tensor([[[1.0, 2.0], [-2.0, -1.0], [2.0, 3.0]]]), torch.tensor([[1.0, -1.0, -1.0]])
    tensors = passed_through(perceptron.Sides(Points(x, y), Points(x, y), None, (), ("a", "b")), 1)
    # The first point is on no side of a line that is 0, the second is right already, the third is not.
    assert tensors["weights"].tolist() == [[1.0 - 2.0, 2.0 - 3.0]] and tensors["bias"].tolist() == [0.0]
    assert tensors["mistakes"].tolist() == [2.0]


def test_wrong_labels_and_xor_never_end():
    noisy = passed_through(perceptron.separable(SeparableConfig(seeds=3, noise=0.1)), 100)
    assert (noisy["last_pass"] > 0).all()
    xor = passed_through(find("perceptron-xor").load(find("perceptron-xor").config), 100)
    assert (xor["last_pass"] > 0).all()


def test_a_neuron_gives_what_is_worked_out_by_hand():
    assert float(torch.sigmoid(torch.tensor(1.0 + 3 * -1 - 2 * 2))) == pytest.approx(0.00247, abs=5e-6)
    assert torch.tensor([1.05, 0.6]).sigmoid().tolist() == pytest.approx([0.7408, 0.6457], abs=5e-5)
    x, y, z = torch.tensor(2.0, requires_grad=True), torch.tensor(5.0), torch.tensor(7.0)
    (slope,) = torch.autograd.grad(3.0 * (2.0 * (x * y + z)), x)
    assert slope == 6.0 * y


def test_descent_ends_at_least_squares_and_at_the_least_norm():
    line = gradient_descent.line(DescentConfig(seeds=2))
    theta = gradient_descent.descent(line, 0.1, 1_000)[-1]
    torch.testing.assert_close(theta, line.minimum[0], atol=1e-4, rtol=0.0)
    leaf = line.start.clone().requires_grad_()
    (slope,) = torch.autograd.grad(line.loss(leaf).sum(), leaf)
    torch.testing.assert_close(line.gradient(line.start), slope)
    few = gradient_descent.few_equations(DescentConfig())
    theta = gradient_descent.descent(few, 0.1, 1_000)[-1]
    torch.testing.assert_close(theta, few.minimum[0], atol=1e-5, rtol=0.0)


def test_descent_on_houses_and_a_cubic_ends_where_it_is_known_to():
    config = DescentConfig()
    houses = gradient_descent.houses(config)
    found = houses.facts(gradient_descent.descent(houses, 0.1, 1_000)[-1])
    assert found == {"intercept": pytest.approx(26.7899, abs=1e-3), "slope": pytest.approx(0.165119, abs=1e-6)}
    cubic = gradient_descent.cubic(config)
    assert float(gradient_descent.descent(cubic, 0.1, 17)[-1]) == pytest.approx(1.3334, abs=5e-5)
    assert float(gradient_descent.descent(cubic, 0.1, 15)[-1]) > 1.33345


def test_one_step_is_enough_where_all_curvatures_are_one():
    parabola = gradient_descent.parabola(DescentConfig())
    path = gradient_descent.descent(parabola, 0.1, 1)
    assert float(path[0]) == 0.0 and float(path[1]) == pytest.approx(3.0)
    taken = {}
    for way in ("raw", "standardised", "whitened"):
        problem = gradient_descent.uneven(UnevenConfig(prepare=way))
        distances = (gradient_descent.descent(problem, 0.5, 400) - problem.minimum[0]).norm(dim=1)
        taken[way] = problem.facts(problem.start[0])["condition"], int((distances > 0.01 * distances[0]).sum())
    assert taken["whitened"] == (pytest.approx(1.0, abs=1e-3), 1)
    assert taken["raw"][0] > 10.0 * taken["standardised"][0] > 10.0 and taken["raw"][1] > taken["standardised"][1] > 1


def test_losses_are_those_of_torch_where_it_has_them():
    outputs, targets = torch.linspace(-2.0, 2.0, 9), torch.zeros(9)
    signs = torch.tensor([-1.0, 1.0, 1.0] * 3)
    each = {"reduction": "none"}
    assert torch.equal(losses.squared(outputs, targets), 0.5 * F.mse_loss(outputs, targets, **each))
    assert torch.equal(losses.absolute(outputs, targets), F.l1_loss(outputs, targets, **each))
    assert torch.equal(losses.huber(outputs, targets), F.smooth_l1_loss(outputs, targets, **each))
    torch.testing.assert_close(losses.logistic(outputs, signs), F.soft_margin_loss(outputs, signs, **each))
    bits = (signs + 1.0) / 2.0
    torch.testing.assert_close(
        losses.logistic(outputs, signs), F.binary_cross_entropy_with_logits(outputs, bits, **each)
    )
    logits, classes = torch.tensor([[0.0, math.log(2.0), math.log(5.0)]]), torch.tensor([1])
    assert losses.multiclass_logistic(logits, classes).item() == pytest.approx(math.log(4.0))
    torch.testing.assert_close(losses.multiclass_logistic(logits, classes), F.cross_entropy(logits, classes, **each))


def test_losses_that_torch_lacks_are_those_worked_out_by_hand():
    ones = torch.ones(4)
    assert losses.hinge(torch.tensor([-1.0, 0.0, 1.0, 2.0]), ones).tolist() == [2.0, 1.0, 0.0, 0.0]
    tube = losses.epsilon_insensitive(torch.tensor([-2.0, -0.5, 0.5, 1.0]), 0.0 * ones, epsilon=0.5)
    assert tube.tolist() == [1.5, 0.0, 0.0, 0.5]
    outputs, labels = torch.tensor([[2.0, 0.5, 1.5], [0.0, 3.0, 1.0]]), torch.tensor([0, 1])
    assert losses.large_margin(outputs, labels).tolist() == [0.5, 0.0]
    cost = torch.tensor([[0.0, 4.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    assert losses.large_margin(outputs, labels, cost).tolist() == [2.5, 0.0]


@pytest.mark.parametrize(
    ("hidden", "output", "has_bias"),
    itertools.product(["sigmoid", "relu"], ["linear", "logistic", "softmax"], [True, False]),
)
def test_gradients_by_hand_are_those_of_autograd(hidden, output, has_bias):
    network = Network((4, 5, 6, 3), hidden, output, has_bias, slope=1.5)
    tensors = {name: tensor.double().requires_grad_() for name, tensor in network.start([3, 4]).items()}
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64)
    targets = F.one_hot(torch.randint(3, (2, 7), generator=generator), 3).double()
    signals = network.signals(tensors, inputs)
    expected = torch.autograd.grad(network.loss(signals[-1], targets).sum(), list(tensors.values()))
    after = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    backpropagation.descend(network, 0.5)(after, SimpleNamespace(inputs=inputs, targets=targets))
    for (name, tensor), gradient in zip(tensors.items(), expected, strict=True):
        assert float(gradient.abs().max()) > 1e-4
        torch.testing.assert_close(tensor.detach() - after[name], 0.5 * gradient, atol=1e-10, rtol=1e-8)


def test_the_example_with_three_inputs_gives_its_printed_numbers():
    tried = doctest.testmod(backpropagation)
    assert tried.attempted == 6 and tried.failed == 0


def test_every_row_is_tested_once_by_ten_folds():
    pytest.importorskip("sklearn", reason="the irises come with scikit-learn")
    data = mlp_by_hand.folds(lambda: tables.iris(), mlp_by_hand.MlpConfig(seeds=10))
    assert data.train.inputs.shape == (10, 135, 4) and data.test.inputs.shape == (10, 15, 4)
    assert (data.test.targets.sum(dim=1) == 5.0).all()  # of each kind
    torch.testing.assert_close(data.train.inputs.mean(dim=1), torch.zeros(10, 4), atol=1e-5, rtol=0.0)


def test_a_network_asked_backwards_shows_what_its_weights_look_for():
    network = Network((784, 10), "sigmoid", "logistic", has_bias=False)
    weights = network.start([0])["weights.0"]
    seen = mnist_by_hand.asked_backwards({"weights.0": weights}, 1)
    assert float(seen.min()) == pytest.approx(0.01) and float(seen.max()) == pytest.approx(0.99)
    # The more a pixel speaks for a digit and against all others, the brighter it is.
    wanted = 2.0 * weights[0].T - weights[0].sum(dim=1)
    assert torch.equal(seen.argsort(dim=1), wanted.argsort(dim=1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("perceptron", {"seeds": 3, "points": 20, "epochs": 8}),
        ("linear-regression", {"seeds": 2}),
        ("logistic-regression", {"seeds": 2}),
        ("losses", {"steps": 20}),
        ("mlp-xor", {}),
        ("function-fit", {"examples": 640}),
        ("mnist-by-hand", {}),
    ],
)
def test_small_runs_by_hand(name, options, tmp_path, monkeypatch):
    if "scikit-learn" in find(name).data:
        pytest.importorskip("sklearn")
    if name == "mnist-by-hand":
        few = dataclasses.replace(find(name), load=few_digits)
        monkeypatch.setattr(registry, "all_experiments", lambda: {name: few})
    check_small_run(name, tmp_path, **({"epochs": 2} | options))


def few_digits(config):
    """Squares of several sizes, in place of digits."""
    pictures = torch.zeros(200, 1, 28, 28)
    labels = torch.arange(200) % 10
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        picture[:, label : 2 * label + 5, label : 2 * label + 5] = 1.0
    examples = Examples(pictures, labels)
    return split(examples, examples, config, tuple("0123456789"))


@pytest.mark.parametrize(
    ("name", "updates", "options", "metric", "least"),
    [
        ("perceptron-or", 10, {}, "accuracy", 1.0),
        ("perceptron-iris", 5, {}, "accuracy", 1.0),
        ("large-margin", 150, {"seeds": 2}, "accuracy", 0.9),
        ("mlp-or", 500, {"seeds": 2}, "accuracy", 1.0),
        ("mlp-xor", 2_000, {"seeds": 5}, "accuracy", 1.0),
        ("mlp-iris", 300, {}, "accuracy", 0.85),
        ("mlp-breast-cancer", 300, {}, "accuracy", 0.9),
        ("digits-mlp", 150, {}, "accuracy", 0.9),
    ],
)
def test_every_other_one_learns(name, updates, options, metric, least):
    if "scikit-learn" in find(name).data:
        pytest.importorskip("sklearn")
    found = learned(name, updates, **options)
    assert (found[metric] >= least).all(), found


def test_one_step_of_the_network_for_digits_is_that_of_torch():
    config = find("mnist-by-hand-relu").config
    setting = Setting(config, few_digits(config), range(1), torch.device("cpu"))
    learner = mnist_by_hand.make_learner(setting, 1)
    before = {name: tensor.clone().requires_grad_() for name, tensor in learner.tensors.items()}
    batch = mnist_by_hand.make_source(setting).sample()
    hidden = batch.inputs[0]
    for layer in range(3):
        hidden = hidden @ before[f"weights.{layer}"][0] + before[f"bias.{layer}"][0]
        hidden = hidden.relu() if layer < 2 else hidden
    F.cross_entropy(hidden, batch.targets[0]).backward()
    assert learner.update(batch)["loss/train"].shape == (1,)
    for name, tensor in before.items():
        torch.testing.assert_close(learner.tensors[name], (tensor - config.learning_rate * tensor.grad).detach())
