"""Fully connected networks."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "selu": nn.SELU}


def mlp(sizes: Sequence[int], activation: str = "relu", output_activation: str | None = None) -> nn.Sequential:
    """``sizes[0]`` inputs, ``sizes[-1]`` outputs, a linear layer between each pair; linear output unless named."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    layers.pop()
    if output_activation is not None:
        layers.append(ACTIVATIONS[output_activation]())
    return nn.Sequential(*layers)


class Maxout(nn.Module):
    """The largest of several linear functions, for each output (Goodfellow et al., 2013); convex shapes in pieces."""

    def __init__(self, inputs: int, outputs: int, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self._largest(self.linear(x))

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S networks on ``[S, B, inputs]``."""
        return self._largest(child("linear", x))

    def _largest(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.pieces)).amax(dim=-1)


def initialised(network: nn.Module, gain: float) -> nn.Module:
    """The network with normal weights of variance ``gain / inputs`` in its linear layers, and biases of zero.

    A gain of 1 (LeCun) keeps the variance of signals through linear and SELU layers, one of 2 (He) through ReLU layers.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(gain / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)
    return network
