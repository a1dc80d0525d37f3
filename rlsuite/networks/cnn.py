"""Convolutional networks made for agents: see ``vision`` for those made for classification.

Inputs are ``[B, C, H, W]`` floats; ``Scaled``, the first layer of the encoders, makes them of uint8 pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlsuite.compiling import pixels_last
from rlsuite.networks.vision import PixelsLast


class Scaled(nn.Module):
    """Numbers in [low, high], bytes included, to float32 in [0, 1]; for any shape."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.factor = low, 1.0 / (high - low)

    def forward(self, numbers: Tensor) -> Tensor:
        if numbers.dim() == 4:
            numbers = pixels_last(numbers)
        numbers = numbers.to(torch.float32)
        return (numbers - self.low if self.low else numbers) * self.factor


def _flat_features(layers: nn.Sequential, shape: Sequence[int]) -> int:
    with torch.no_grad():
        return int(layers(torch.zeros(1, *shape)).flatten(1).shape[1])


def _he(layers: nn.Sequential) -> nn.Sequential:
    """The layers with weights drawn after He et al. (2015), which keep the variance through ReLUs, and no bias.

    torch's own are smaller by a factor of 2.4. After four layers of these, what moves in Pong changes a feature by
    0.001, against 0.03 here; a Q-network then learns the unchanging background first, and one of ours died of it.
    """
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return layers


def nature(shape: Sequence[int], features: int = 512) -> nn.Sequential:
    """The encoder of Mnih et al. (2015) on ``[C, H, W]`` pixels (4 x 84 x 84 there): three convolutions, one layer."""
    convolutions = nn.Sequential(
        nn.Conv2d(shape[0], 32, kernel_size=8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, kernel_size=3, stride=1),
        nn.ReLU(),
        nn.Flatten(),
    )
    return _he(nn.Sequential(*convolutions, nn.Linear(_flat_features(convolutions, shape), features), nn.ReLU()))


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))) at constant width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def impala(shape: Sequence[int], features: int = 256, widths: Sequence[int] = (16, 32, 32)) -> nn.Sequential:
    """The residual encoder of Espeholt et al. (2018), figure 3: for each width conv, max-pool, two residual blocks."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for width in widths:
        layers += [
            nn.Conv2d(channels, width, kernel_size=3, padding=1),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            Residual(width),
            Residual(width),
        ]
        channels = width
    convolutions = nn.Sequential(*layers, nn.ReLU(), nn.Flatten())
    return nn.Sequential(*convolutions, nn.Linear(_flat_features(convolutions, shape), features), nn.ReLU())


def small(shape: Sequence[int], features: int = 128, channels: int = 16) -> nn.Sequential:
    """One 3 x 3 convolution and one layer: the encoder of MinAtar's own agents (Young and Tian, 2019)."""
    convolutions = nn.Sequential(nn.Conv2d(shape[0], channels, kernel_size=3), nn.ReLU(), nn.Flatten())
    return _he(nn.Sequential(*convolutions, nn.Linear(_flat_features(convolutions, shape), features), nn.ReLU()))


def residual(shape: Sequence[int], features: int = 128, channels: int = 32, blocks: int = 2) -> nn.Sequential:
    """3 x 3 convolutions and residual blocks at full size, and one layer: for boards, where each cell counts."""
    return nn.Sequential(
        PixelsLast(shape[0], channels, kernel_size=3, padding=1),
        *(Residual(channels) for _ in range(blocks)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * shape[1] * shape[2], features),
        nn.ReLU(),
    )
