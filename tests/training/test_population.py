import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.mlp import mlp
from rlsuite.networks.population import Adam, Population, clip_rows, gradient
from rlsuite.networks.recurrent import reader


def pixel_network() -> nn.Module:
    body, features = encoder(Box(0, 255, (4, 10, 10), np.uint8), "small")
    return nn.Sequential(body, Dueling(features, 3))


NETWORKS = {
    "mlp": (lambda: mlp([5, 16, 16, 3]), lambda *axes: torch.randn(*axes, 5)),
    "few outputs": (lambda: mlp([5, 32, 2]), lambda *axes: torch.randn(*axes, 5)),
    "tanh": (lambda: mlp([5, 16, 3], "tanh", output_activation="tanh"), lambda *axes: torch.randn(*axes, 5)),
    "dueling pixels": (pixel_network, lambda *axes: torch.randint(0, 256, (*axes, 4, 10, 10), dtype=torch.uint8)),
    "lstm": (lambda: reader(5, 8, 3), lambda *axes: torch.randn(*axes, 6, 5)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_row_is_the_network_its_seed_makes_alone(name):
    build, draw = NETWORKS[name]
    seeds = [3, 11, 4]
    population = Population(build, seeds)
    inputs = draw(3, 7)
    outputs = population(inputs)
    for row, seed in enumerate(seeds):
        torch.manual_seed(seed)
        alone = build()
        assert torch.allclose(outputs[row], alone(inputs[row]), atol=1e-6)
        solo = Population(build, [seed])
        assert torch.equal(population.parameters[row], solo.parameters[0])
        assert torch.allclose(solo(inputs[row : row + 1])[0], outputs[row], atol=1e-6)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Population(lambda: mlp([2, 2]), [0, 1])
    assert torch.equal(torch.rand(3), expected)


def squares(population, inputs):
    def loss(parameters):
        outputs = population(inputs, parameters=parameters)
        losses = outputs.square().mean(dim=(1, 2))
        return losses, {"loss/square": losses}

    return loss


@pytest.mark.parametrize("name", NETWORKS)
def test_each_rows_gradient_is_its_own(name):
    build, draw = NETWORKS[name]
    population, inputs = Population(build, [0, 1, 2]), draw(3, 7)
    gradients, metrics = gradient(squares(population, inputs), population.parameters)
    assert metrics["loss/square"].shape == (3,)
    for row in range(3):
        solo = Population(build, [row])
        alone, _ = gradient(squares(solo, inputs[row : row + 1]), solo.parameters)
        assert torch.allclose(gradients[row], alone[0], atol=1e-6)


def test_gradients_are_clipped_seed_by_seed():
    gradients = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    clipped, norms = clip_rows(gradients, 1.0)
    assert torch.allclose(norms, torch.tensor([5.0, 0.5, 0.0]))
    assert torch.allclose(clipped, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


@pytest.mark.parametrize("eps", [1e-8, 1.5e-4])
def test_adam_agrees_with_torch_row_by_row(eps):
    rates = torch.tensor([1e-2, 3e-3])
    start = torch.randn(2, 5)
    rows = start.clone()
    adam = Adam(rows, rates, eps=eps)
    references = [nn.Parameter(start[k].clone()) for k in range(2)]
    optimisers = [torch.optim.Adam([reference], lr=float(rates[k]), eps=eps) for k, reference in enumerate(references)]
    for _ in range(50):
        gradients = torch.randn(2, 5)
        adam.step(rows, gradients)
        for k, (reference, optimiser) in enumerate(zip(references, optimisers, strict=True)):
            reference.grad = gradients[k].clone()
            optimiser.step()
    assert torch.allclose(rows, torch.stack([reference.detach() for reference in references]), atol=1e-5)


def test_adam_goes_on_from_its_state():
    gradients = torch.randn(6, 2, 4)
    whole, halves = torch.zeros(2, 4), torch.zeros(2, 4)
    straight = Adam(whole, torch.full((2,), 0.1))
    for current in gradients:
        straight.step(whole, current)
    first = Adam(halves, torch.full((2,), 0.1))
    for current in gradients[:3]:
        first.step(halves, current)
    second = Adam(halves, torch.full((2,), 0.1))
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    for current in gradients[3:]:
        second.step(halves, current)
    assert torch.equal(whole, halves)
