import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.population import Population, gradient
from rlsuite.networks.precision import has_bfloat16

SPACES = {
    "pixels": (Box(0, 255, (4, 10, 10), np.uint8), lambda *axes: torch.randint(0, 256, (*axes, 4, 10, 10)).byte()),
    "vectors": (Box(-1, 1, (5,)), lambda *axes: torch.randn(*axes, 5)),
}


def population(space, precision, seeds):
    def network():
        body, features = encoder(space, precision=precision)
        return nn.Sequential(body, Dueling(features, 3))

    return Population(network, seeds)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
@pytest.mark.parametrize("name", SPACES)
def test_an_encoder_in_bfloat16_is_near_the_one_in_float32(name, seeds):
    space, draw = SPACES[name]
    inputs = draw(len(seeds), 7)
    exact, rounded = population(space, "float32", seeds), population(space, "bfloat16", seeds)
    assert torch.equal(exact.parameters, rounded.parameters)

    def squares(network):
        def loss(parameters):
            losses = network(inputs, parameters=parameters).square().mean(dim=(1, 2))
            return losses, {"loss": losses}

        return gradient(loss, network.parameters)

    values, found = exact(inputs), rounded(inputs)
    assert found.dtype == torch.float32
    assert not torch.equal(found, values)
    assert torch.allclose(found, values, atol=0.02 * float(values.abs().max()))
    exact_gradient, _ = squares(exact)
    rounded_gradient, _ = squares(rounded)
    assert rounded_gradient.dtype == torch.float32
    assert float((rounded_gradient - exact_gradient).norm() / exact_gradient.norm()) < 0.05


def test_the_module_alone_computes_what_the_population_does():
    space, draw = SPACES["pixels"]
    torch.manual_seed(0)
    body, _ = encoder(space, precision="bfloat16")
    inputs = draw(1, 7)
    found = Population(lambda: encoder(space, precision="bfloat16")[0], [0])(inputs)
    assert torch.equal(found[0], body(inputs[0]))


def test_every_device_says_whether_it_has_bfloat16():
    assert isinstance(has_bfloat16(torch.device("cpu")), bool)
    assert not has_bfloat16(torch.device("meta"))
