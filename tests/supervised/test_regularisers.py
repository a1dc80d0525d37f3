import dataclasses
import math

import numpy as np
import pytest
import torch
from small_runs import check_small_run, learned

from rlsuite import random
from rlsuite.networks import modes
from rlsuite.networks.mlp import Maxout, initialised, mlp
from rlsuite.networks.modes import DropConnect, Dropout
from rlsuite.networks.population import Population
from rlsuite.supervised.classification import Examples, split
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data import tables, uci
from rlsuite.supervised.data.files import at_hand
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments import deep_mlp, l1_layer, mc_dropout, regularisers
from rlsuite.supervised.experiments.regularisers import WAYS, RegularisedConfig
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.registry import find
from rlsuite.supervised.source import minibatches, passes

KEYS = random.key(torch.tensor([4, 9]), 1)


@pytest.mark.parametrize("kind", ["dropout", "dropconnect"])
def test_the_mean_over_masks_is_about_what_networks_say_when_tested(kind):
    def network():
        linear = torch.nn.Linear(6, 3)
        return torch.nn.Sequential(Dropout(0.5), linear) if kind == "dropout" else DropConnect(6, 3, 0.5)

    networks, inputs = Population(network, [0, 1]), torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    tested, drawn = networks(inputs), []
    for draw in range(500):
        with modes.training(random.fold(KEYS, draw)):
            drawn.append(networks(inputs))
    together = torch.stack(drawn)
    error = (together.mean(dim=0) - tested).abs() / (together.std(dim=0) / math.sqrt(len(drawn)))
    assert error.max() < 4.5 and together.std(dim=0).min() > 0.01  # in standard errors


def test_dropconnect_has_one_mask_a_batch_and_each_seed_its_own():
    networks, inputs = Population(lambda: DropConnect(5, 3, 0.4), [0, 1]), torch.ones(2, 4, 5)
    with modes.training(KEYS):
        found = networks(inputs)
    assert torch.equal(found[:, 0], found[:, 3])
    alone = Population(lambda: DropConnect(5, 3, 0.4), [1])
    with modes.training(KEYS[1:]):
        assert torch.equal(alone(inputs[1:]), found[1:])
    single = networks.single(0)
    with modes.training(KEYS[0]):
        torch.testing.assert_close(single(inputs[0]), found[0])
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        DropConnect(5, 3, 1.0)


def test_two_pieces_of_maxout_are_the_size_of_a_number():
    maxout = Maxout(1, 1)
    with torch.no_grad():
        maxout.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        maxout.linear.bias.zero_()
    numbers = torch.linspace(-2.0, 2.0, 9).unsqueeze(1)
    assert torch.equal(maxout(numbers), numbers.abs())
    networks = Population(lambda: Maxout(4, 3, pieces=3), [0, 1])
    inputs = torch.randn(2, 5, 4)
    torch.testing.assert_close(networks(inputs)[1], networks.single(1)(inputs[1]))


def test_batch_norm_uses_the_batch_in_training_and_what_it_has_seen_in_tests():
    networks = Population(lambda: torch.nn.BatchNorm1d(2), [0])
    inputs = 3.0 + 2.0 * torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(networks(inputs), inputs / math.sqrt(1.0 + 1e-5))  # nothing seen yet
    with modes.training(KEYS[:1]):
        found = networks(inputs)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(1, 2), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(found.var(dim=1, correction=0), torch.ones(1, 2), atol=1e-3, rtol=0.0)
    for draw in range(60):
        with modes.training(random.fold(KEYS[:1], draw)):
            networks(inputs)
    torch.testing.assert_close(networks(inputs).mean(dim=1), torch.zeros(1, 2), atol=0.02, rtol=0.0)


def test_both_kinds_of_decay_are_one_for_a_plain_step_and_another_for_adam():
    weight, gradient, rate, strength = torch.randn(5), torch.randn(5), 0.1, 0.3
    penalised, shrunk = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    plain = torch.optim.SGD([penalised], lr=rate, weight_decay=strength)
    penalised.grad = gradient.clone()
    plain.step()
    torch.testing.assert_close(penalised.detach(), (1.0 - rate * strength) * weight - rate * gradient)
    found = []
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        with torch.no_grad():
            shrunk.copy_(weight)
        adam = kind([shrunk], lr=rate, weight_decay=strength)
        shrunk.grad = gradient.clone()
        adam.step()
        found.append(shrunk.detach().clone())
    assert not torch.allclose(*found, atol=1e-3)


def test_a_penalty_adds_its_gradient_and_not_its_value_to_what_is_logged():
    def loss(network, batch, state):
        return 0.0 * network(batch.inputs).sum(dim=(1, 2)), {}, state

    config = SupervisedConfig(epochs=1, batch_size=1, learning_rate=0.01)
    learner = Learner(
        lambda: torch.nn.Linear(3, 2, bias=True),
        loss,
        config,
        1,
        [0, 1],
        penalty=lambda named: named["weight"].abs().sum(dim=(1, 2)),
    )
    before = {name: own.clone() for name, own in learner.network.named(learner.network.parameters).items()}
    metrics = learner.update(Examples(torch.ones(2, 1, 3), torch.zeros(2, 1)))
    after = learner.network.named(learner.network.parameters)
    assert metrics["loss/train"].tolist() == [0.0, 0.0]
    # Adam's first step is the rate, whatever the size of the gradient.
    torch.testing.assert_close(after["weight"], before["weight"] - 0.01 * before["weight"].sign(), atol=1e-5, rtol=0.0)
    assert torch.equal(after["bias"], before["bias"])


def test_the_penalty_of_later_layers_is_larger():
    named = {"1.weight": torch.ones(1, 2, 3), "1.bias": torch.ones(1, 2), "4.weight": -2.0 * torch.ones(1, 1, 2)}
    l1 = regularisers.penalty(RegularisedConfig(l1=0.1))
    l2 = regularisers.penalty(RegularisedConfig(l2=0.1))
    assert l1(named).tolist() == [pytest.approx(0.1 * 6.0 + 0.2 * 4.0)]
    assert l2(named).tolist() == [pytest.approx(0.05 * (6.0 + 8.0))]


def few_digits(config):
    """Squares of several sizes with noise, in place of digits."""
    generator = torch.Generator().manual_seed(0)
    pictures, labels = 0.3 * torch.rand(400, 1, 28, 28, generator=generator), torch.arange(400) % 10
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        picture[:, label : 2 * label + 5, label : 2 * label + 5] += 0.7
    whole = Examples(pictures, labels)
    return split(whole, whole, config, tuple("0123456789"))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_learns(way):
    config = dataclasses.replace(find(f"regulariser-{way.name}").config, examples=400, seeds=2, hidden=(32, 32))
    setting = Setting(config, few_digits(config), range(2), torch.device("cpu"))
    learner, source = regularisers.make_learner(setting, 100), regularisers.make_source(setting)
    for _ in range(100):
        learner.update(source.sample())
    found = regularisers.evaluate(learner, setting, "test")
    assert (found["accuracy"] > 0.6).all() and (found["sparsity"] < 1.0).all()


def test_l1_makes_weights_small():
    shares = []
    for strength in (0.0, 1e-3, 1e-2):
        config = RegularisedConfig(l1=strength, examples=400, seeds=1, hidden=(16,), batch_size=100)
        setting = Setting(config, few_digits(config), range(1), torch.device("cpu"))
        learner, source = regularisers.make_learner(setting, 60), regularisers.make_source(setting)
        for _ in range(60):
            learner.update(source.sample())
        shares.append(float(regularisers.evaluate(learner, setting, "test")["sparsity"][0]))
    assert shares[0] < shares[1] < shares[2], shares


def test_seeds_go_through_examples_of_their_own():
    numbers = torch.arange(12).view(2, 6)
    source = passes(Examples(numbers.float(), numbers), [0, 1], batch_size=3)
    epoch = torch.cat([source.sample().labels for _ in range(2)], dim=1)
    assert torch.equal(epoch.sort(dim=1).values, numbers)
    shared = minibatches(Examples(numbers[1], numbers[1]), 3, [0, 1])
    assert torch.equal(torch.cat([shared.sample().labels for _ in range(2)], dim=1)[1], epoch[1])


def test_the_splits_are_the_published_ones():
    train, test = uci.splits(308)
    assert train.shape == (20, 277) and test.shape == (20, 31)
    both = torch.cat([train, test], dim=1)
    assert torch.equal(both.sort(dim=1).values, torch.arange(308).expand(20, -1))
    assert test[0, :3].tolist() == [121, 115, 286]  # as in the published files


def test_the_likelihood_of_one_mask_is_a_normal_distributions():
    outputs, targets, variance = torch.tensor([[[0.5, -1.0]]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.25])
    expected = torch.distributions.Normal(outputs[0], 0.5).log_prob(targets)
    torch.testing.assert_close(mc_dropout.log_likelihood(outputs, targets, variance), expected)
    twice = torch.cat([outputs, outputs])
    torch.testing.assert_close(mc_dropout.log_likelihood(twice, targets, variance), expected)


def test_tables_are_standardised_by_what_is_trained_on():
    if not all(map(at_hand, uci.UCI.values())):
        pytest.skip("the tables are not at hand, and tests download nothing")
    data = mc_dropout.load("yacht", mc_dropout.DropoutConfig(seeds=3))
    assert data.train.inputs.shape == (3, 249, 6) and data.test.targets.shape == (3, 31)
    torch.testing.assert_close(data.train.targets.std(dim=1, correction=0), torch.ones(3))
    torch.testing.assert_close(data.train.inputs.mean(dim=1), torch.zeros(3, 6), atol=1e-5, rtol=0.0)


def test_the_layer_keeps_exactly_the_inputs_that_matter():
    found = learned("l1-layer", 400, seeds=2, inputs=20, strength=0.1, learning_rate=0.01)
    assert (found["exact_support"] == 1.0).all() and (found["mse_gated"] < found["mse_plain"]).all(), found
    with pytest.raises(ValueError, match="--inputs must be at least 5"):
        l1_layer.load(l1_layer.SelectionConfig(inputs=4))


def test_tumours_are_tested_that_were_not_trained_on():
    pytest.importorskip("sklearn")
    data = l1_layer.load_tumours(l1_layer.SelectionConfig(seeds=2, examples=400))
    assert data.train.inputs.shape == (2, 400, 100) and data.test.inputs.shape == (2, 169, 100)
    tumours = torch.cat([data.train.inputs, data.test.inputs], dim=1)[..., 0]
    assert len(tumours[0].unique()) == len(tables.breast_cancer().inputs[:, 0].unique())
    for options, said in (({"inputs": 29}, "--inputs must be at least 30"), ({"examples": 569}, "must be below 569")):
        with pytest.raises(ValueError, match=said):
            l1_layer.load_tumours(l1_layer.SelectionConfig(**options))


def test_selus_keep_mean_and_variance_through_32_layers_and_others_do_not():
    torch.manual_seed(0)
    inputs, sizes = torch.randn(500, 256), [256] * 33 + [10]
    means, variances = deep_mlp.moments(initialised(mlp(sizes, "selu"), 1.0), inputs)
    assert len(means) == 32 and np.abs(means).max() < 0.1
    assert variances.min() > 0.8 and variances.max() < 1.2
    _, relu = deep_mlp.moments(initialised(mlp(sizes), 2.0), inputs)
    assert 0.1 < relu[-1] / relu[0] < 10.0
    _, dying = deep_mlp.moments(initialised(mlp(sizes), 1.0), inputs)
    assert dying[-1] < 1e-7
    _, exploding = deep_mlp.moments(initialised(mlp(sizes, "selu"), 2.0), inputs)
    assert exploding[-1] > 10.0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("l1-layer", {"seeds": 2, "inputs": 10, "steps": 15}),
        ("l1-layer-tumours", {"seeds": 2, "steps": 15}),
        ("mc-dropout-gap", {"seeds": 2, "steps": 15, "hidden": 8}),
        ("mc-dropout-yacht", {"seeds": 2, "steps": 15, "hidden": 8}),
        ("deep-selu", {"hidden": 16, "layers": 8, "learning_rate": 3e-3}),
    ],
)
def test_small_runs_of_regularisers(name, options, tmp_path, monkeypatch):
    if name in ("deep-selu", "l1-layer-tumours"):
        pytest.importorskip("sklearn")
    monkeypatch.setitem(mc_dropout._DRAWS, "test", 20)
    check_small_run(name, tmp_path, epochs=2, **options)
