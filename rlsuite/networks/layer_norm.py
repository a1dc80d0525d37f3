"""Layer normalisation (Ba et al., 2016) between a layer and its activation, for any encoder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rlsuite.networks.mlp import ACTIVATIONS

_EPSILON = 1e-5  # added to the variance


class LayerNorm(nn.Module):
    """Each example's features, those of all places of a picture together, with mean 0 and variance 1.

    A factor and an offset follow, for each feature or channel: ``[B, F]`` or ``[B, F, H, W]`` to the same.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        named = {name: parameter.unsqueeze(0) for name, parameter in self.named_parameters()}
        return self.stacked(None, named, x.unsqueeze(0)).squeeze(0)

    def stacked(self, child: Callable[..., Tensor] | None, named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S of them, with inputs ``[S, B, ...]``."""
        axes = tuple(range(2, x.dim()))
        centred = x - x.mean(dim=axes, keepdim=True)
        scaled = centred * (centred.square().mean(dim=axes, keepdim=True) + _EPSILON).rsqrt()
        shape = (len(x), 1, -1, *[1] * (x.dim() - 3))
        return scaled * named["weight"].view(shape) + named["bias"].view(shape)


def layer_normed(network: nn.Module) -> nn.Module:
    """The network with a ``LayerNorm`` wherever an activation follows a linear layer or a convolution at once."""
    for sequence in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        layers: list[nn.Module] = []
        for layer in sequence:
            if layers and isinstance(layer, tuple(ACTIVATIONS.values())):
                before = layers[-1]
                if isinstance(before, nn.Linear):
                    layers.append(LayerNorm(before.out_features))
                elif isinstance(before, nn.Conv2d):
                    layers.append(LayerNorm(before.out_channels))
            layers.append(layer)
        sequence._modules = dict(zip(map(str, range(len(layers))), layers, strict=True))
    return network
