"""Layer norm: torch's numbers, for pictures too, and where it goes in a network."""

import torch
import torch.nn.functional as F
from torch import nn

from rlsuite.networks.layer_norm import LayerNorm, layer_normed
from rlsuite.networks.population import Population


def test_an_example_has_mean_0_and_variance_1_whatever_else_is_in_the_batch():
    torch.manual_seed(0)
    vectors, pictures = 3.0 + 2.0 * torch.randn(4, 6), torch.randn(4, 6, 3, 2)
    norm = LayerNorm(6)
    torch.testing.assert_close(norm(vectors), F.layer_norm(vectors, (6,)))
    torch.testing.assert_close(norm(pictures), F.layer_norm(pictures, (6, 3, 2)))
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
        norm.bias.fill_(0.5)
    torch.testing.assert_close(norm(vectors), F.layer_norm(vectors, (6,), norm.weight, norm.bias))
    torch.testing.assert_close(norm(pictures), F.group_norm(pictures, 1, norm.weight, norm.bias))


def test_it_stands_between_layers_and_their_activations():
    def network():
        inner = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU())
        return layer_normed(nn.Sequential(inner, nn.Linear(5, 4)))

    kinds = [type(layer) for layer in network().modules() if not isinstance(layer, nn.Sequential)]
    rest = [nn.Flatten, nn.Linear, LayerNorm, nn.ReLU, nn.Linear]
    assert kinds == [nn.Conv2d, LayerNorm, nn.ReLU, *rest]
    population, seen = Population(network, [0, 1]), torch.randn(2, 3, 2, 4, 4)
    for row in range(2):
        torch.testing.assert_close(population(seen)[row], population.single(row)(seen[row]))
