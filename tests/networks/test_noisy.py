"""Noise on weights: what a draw changes, and what it depends on."""

import torch
from torch import nn

from rlsuite import random
from rlsuite.networks.heads import Dueling
from rlsuite.networks.noisy import NoisyLinear, noisy, perturbed
from rlsuite.networks.population import Population


def network():
    return noisy(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 16), nn.ReLU(), Dueling(16, 3, 2)), 0.5)


def keys(*seeds):
    return random.key(torch.tensor(seeds), 0, 0)


def test_every_linear_layer_is_noisy_and_no_other():
    layers = [type(layer) for layer in network().modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    assert layers == [nn.Conv2d, NoisyLinear, NoisyLinear, NoisyLinear]


def test_noisy_layers_keep_the_weights_of_the_linear_ones():
    plain = nn.Linear(3, 2)
    weight, bias = plain.weight.clone(), plain.bias.clone()
    layer = noisy(nn.Sequential(plain), 0.5)[0]
    assert torch.equal(layer.weight, weight) and torch.equal(layer.bias, bias)


def test_a_draw_adds_a_product_of_noises_times_the_scale():
    population = Population(network, [0])
    before = population.named(population.parameters)
    after = perturbed(population, population.parameters, keys(0))
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (name.startswith("0.") or name.endswith("_scale")), name
    scale = before["2.weight_scale"]
    torch.testing.assert_close(scale, torch.full_like(scale, 0.5 / 8**0.5))
    of_outputs = ((after["2.bias"] - before["2.bias"]) / before["2.bias_scale"])[0]
    draw = ((after["2.weight"] - before["2.weight"]) / scale)[0]
    of_inputs = draw[0] / of_outputs[0]
    torch.testing.assert_close(draw, torch.outer(of_outputs, of_inputs), atol=1e-4, rtol=1e-3)


def test_draws_have_the_papers_spread_and_differ_by_key():
    population = Population(lambda: noisy(nn.Sequential(nn.Linear(400, 400)), 0.5), [0, 1])
    parameters = torch.zeros_like(population.parameters)
    population.named(parameters)["0.weight_scale"].fill_(1.0)
    one, other = (perturbed(population, parameters, keys(1, second)) for second in (2, 3))
    assert torch.equal(one["0.weight"][0], other["0.weight"][0])
    assert not torch.equal(one["0.weight"][1], other["0.weight"][1])
    # f(x) = sign(x) sqrt(|x|) has mean 0 and variance E|x| = sqrt(2 / pi); a product of two has the square of it.
    draw = one["0.weight"][0]
    assert abs(draw.mean()) < 0.02 and abs(draw.var() - 2 / torch.pi) < 0.06


def test_scales_are_learned():
    population = Population(network, [0, 1])
    leaf = population.parameters.clone().requires_grad_()
    outputs = population(torch.randn(2, 4, 1, 4, 4), parameters=perturbed(population, leaf, keys(0, 1)))
    (gradient,) = torch.autograd.grad(outputs.square().sum(), leaf)
    assert population.named(gradient)["2.weight_scale"].abs().sum() > 0
