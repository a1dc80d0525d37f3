"""Noisy linear layers (Fortunato et al., 2018): noise on weights, of a scale that is learned, explores.

Noise is a change of parameters: ``perturbed`` adds to each weight and bias its scale times a draw, a pure function of
a key, and the layers themselves are linear layers that know of no noise. With the parameters as they are, a network
acts by the means of its weights.
"""

import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.compiling import materialised
from rlsuite.networks.population import Population

_WEIGHT, _BIAS = "weight_scale", "bias_scale"


class NoisyLinear(nn.Linear):
    """A linear layer with a scale for the noise of each weight and bias.

    Args:
        layer: linear, whose weights and biases are kept.
        scale: at the start, over the root of the inputs; 0.5 in the paper.
    """

    def __init__(self, layer: nn.Linear, scale: float) -> None:
        super().__init__(layer.in_features, layer.out_features)
        self.weight, self.bias = layer.weight, layer.bias
        start = scale * layer.in_features**-0.5
        self.register_parameter(_WEIGHT, nn.Parameter(torch.full_like(self.weight, start)))
        self.register_parameter(_BIAS, nn.Parameter(torch.full_like(self.bias, start)))


def noisy(network: nn.Module, scale: float) -> nn.Module:
    """The network with noisy layers in place of its linear ones."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, NoisyLinear(child, scale))
    return network


def perturbed(network: Population, parameters: Tensor, key: Tensor) -> dict[str, Tensor]:
    """Parameters ``[S, P]``, by name, with a draw of noise by key ``[S]`` on the weights of the noisy layers.

    The noise of a weight is the product of one of its input and one of its output (factorised noise).
    """
    named = network.named(parameters)
    layers = [name.removesuffix(_WEIGHT) for name in named if name.endswith(_WEIGHT)]
    sizes = [size for layer in layers for size in named[layer + _WEIGHT].shape[1:]]  # outputs, then inputs
    # One draw for all layers, so that one place is compiled, and not again for each weight.
    noises = iter(materialised(_flattened(random.normal(key, sum(sizes)))).split(sizes, dim=-1))
    for layer in layers:
        of_outputs, of_inputs = next(noises), next(noises)
        draw = of_outputs.unsqueeze(-1) * of_inputs.unsqueeze(-2)
        named[layer + "weight"] = named[layer + "weight"] + named[layer + _WEIGHT] * draw
        named[layer + "bias"] = named[layer + "bias"] + named[layer + _BIAS] * of_outputs
    return named


def _flattened(noise: Tensor) -> Tensor:
    return noise.sign() * noise.abs().sqrt()
