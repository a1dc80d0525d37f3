"""LeNet, VGG, Inception and ResNet from one table: backbones of supervised vision, and encoders of agents.

``classifier("resnet-18", (3, 224, 224), 1000)`` has the layers and the parameter count of the paper. On pictures
smaller than 64 x 64 those that begin by shrinking them begin with a 3 x 3 convolution instead, as is usual there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rlsuite.networks.modes import Dropout
from rlsuite.networks.names import VisionName

Norm = Literal["none", "batch", "group"]
Layers = list[nn.Module]
Child = Callable[..., Tensor]

_SMALL_PICTURE = 64  # below this height or width, pictures are not shrunk before the first block
_MOST_GROUPS = 32  # of group norm (Wu and He, 2018)


class Architecture(Protocol):
    """The layers of a network up to its features.

    Attributes:
        norm: the published normalisation.
        smallest: height and width of the smallest picture that it takes.
    """

    @property
    def norm(self) -> Norm: ...

    @property
    def smallest(self) -> int: ...

    def layers(self, shape: Sequence[int], norm: Norm, dense: Sequence[int] | None) -> tuple[Layers, int]:
        """Layers from pictures ``[B, *shape]`` to features ``[B, F]``, and F; ``dense`` replaces the dense widths."""
        ...


def backbone(
    architecture: VisionName | Architecture,
    shape: Sequence[int],
    norm: Norm | None = None,
    dense: Sequence[int] | None = None,
) -> tuple[nn.Sequential, int]:
    """The network from pictures ``[B, C, H, W]`` to features ``[B, F]``, and F.

    Args:
        architecture: by name, or one with numbers of its own.
        shape: ``(C, H, W)``.
        norm: after every convolution; the published one if ``None``.
        dense: widths of the dense layers of those that have any; the published ones if ``None``.

    Raises:
        ValueError: the pictures are too small.
    """
    plan = TABLE[architecture] if isinstance(architecture, str) else architecture
    if min(shape[1:]) < plan.smallest:
        least = f"{plan.smallest} x {plan.smallest}"
        raise ValueError(f"{architecture!r} needs pictures of at least {least}, not {tuple(shape[1:])}")
    layers, features = plan.layers(shape, plan.norm if norm is None else norm, dense)
    return _initialised(nn.Sequential(*layers)), features


def classifier(
    architecture: VisionName | Architecture, shape: Sequence[int], classes: int, norm: Norm | None = None
) -> nn.Sequential:
    """The network from pictures ``[B, C, H, W]`` to logits ``[B, classes]``: a backbone and one linear layer."""
    layers, features = backbone(architecture, shape, norm)
    return nn.Sequential(*layers, nn.Linear(features, classes))


def _initialised(network: nn.Sequential) -> nn.Sequential:
    """The network with weights drawn after He et al. (2015), which keep the variance through many ReLUs."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for block in network.modules():
        if isinstance(block, Shortcut):
            block.begin_as_identity()
    return network


class PixelsLast(nn.Conv2d):
    """A convolution that on CPUs has the channels of a pixel side by side in memory, which is a third quicker."""

    def forward(self, input: Tensor) -> Tensor:
        pixels = input.contiguous(memory_format=torch.channels_last) if input.device.type == "cpu" else input
        return super().forward(pixels)


def _convolution(
    inputs: int, outputs: int, kernel: int, norm: Norm, stride: int = 1, padding: int | None = None
) -> Layers:
    """A convolution that keeps the size if ``padding`` is ``None``, and its normalisation, which replaces the bias."""
    around = kernel // 2 if padding is None else padding
    convolution = PixelsLast(inputs, outputs, kernel, stride, around, bias=norm == "none")
    match norm:
        case "batch":
            return [convolution, nn.BatchNorm2d(outputs)]
        case "group":
            return [convolution, nn.GroupNorm(math.gcd(_MOST_GROUPS, outputs), outputs)]
    return [convolution]


class Convolution(NamedTuple):
    """A row of the table of plain networks: a convolution and a ReLU."""

    width: int
    kernel: int = 3
    padding: int | None = None  # None keeps the size


Row = Convolution | Literal["pool", "response norm"]
_UNPADDED_FROM = 28  # the size of the digits that LeNet was made for; smaller pictures are padded to keep their size


@dataclass(frozen=True)
class Plain:
    """Convolutions one after the other, then dense layers."""

    rows: tuple[Row, ...]
    dense: tuple[int, ...]
    dropout: float = 0.0  # after each dense layer
    norm: Norm = "none"

    @property
    def smallest(self) -> int:
        return 2 ** self.rows.count("pool")

    def layers(self, shape: Sequence[int], norm: Norm, dense: Sequence[int] | None) -> tuple[Layers, int]:
        channels, height, width = shape
        is_padded = min(height, width) < _UNPADDED_FROM
        layers: Layers = []
        for row in self.rows:
            match row:
                case "pool":
                    layers.append(nn.MaxPool2d(2))
                    height, width = height // 2, width // 2
                case "response norm":
                    layers.append(nn.LocalResponseNorm(5))
                case Convolution(outputs, kernel, padding):
                    padding = None if is_padded else padding
                    layers += [*_convolution(channels, outputs, kernel, norm, padding=padding), nn.ReLU()]
                    cut = 0 if padding is None else kernel - 1 - 2 * padding
                    channels, height, width = outputs, height - cut, width - cut
        layers.append(nn.Flatten())
        features = channels * height * width
        for outputs in self.dense if dense is None else dense:
            layers += [nn.Linear(features, outputs), nn.ReLU()]
            if self.dropout:
                layers.append(Dropout(self.dropout))
            features = outputs
        return layers, features


class Shortcut(nn.Module):
    """relu(shortcut(x) + branch(x)) (He et al., 2016)."""

    def __init__(self, branch: Layers, shortcut: Layers) -> None:
        super().__init__()
        self.branch, self.shortcut = nn.Sequential(*branch), nn.Sequential(*shortcut)

    def begin_as_identity(self) -> None:
        """Scale the branch to zero, so that a deep network begins as a shallow one (Goyal et al., 2017)."""
        last = self.branch[-1]
        if isinstance(last.weight, Tensor):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.branch(x))

    def stacked(self, child: Child, named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S blocks on ``[S, B, C, H, W]``."""
        return torch.relu(child("shortcut", x) + child("branch", x))


@dataclass(frozen=True)
class ResNet:
    """Blocks with shortcuts; all but the first stage halve the picture (He et al., 2016)."""

    blocks: tuple[int, ...]  # a stage
    is_bottleneck: bool = False  # blocks of 1 x 1, 3 x 3 and 1 x 1 instead of twice 3 x 3
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of a stage's 3 x 3 convolutions
    norm: Norm = "batch"
    smallest: int = 1

    def layers(self, shape: Sequence[int], norm: Norm, dense: Sequence[int] | None) -> tuple[Layers, int]:
        layers, channels = _stem(shape, self.widths[0], norm)
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True)):
            for place in range(count):
                stride = 2 if stage > 0 and place == 0 else 1
                block, channels = self._block(channels, width, stride, norm)
                layers.append(block)
        return [*layers, Average()], channels

    def _block(self, inputs: int, width: int, stride: int, norm: Norm) -> tuple[nn.Module, int]:
        outputs = 4 * width if self.is_bottleneck else width
        if self.is_bottleneck:
            branch = [
                *_convolution(inputs, width, 1, norm),
                nn.ReLU(),
                *_convolution(width, width, 3, norm, stride),
                nn.ReLU(),
                *_convolution(width, outputs, 1, norm),
            ]
        else:
            branch = [
                *_convolution(inputs, width, 3, norm, stride),
                nn.ReLU(),
                *_convolution(width, width, 3, norm),
            ]
        is_same = stride == 1 and inputs == outputs
        return Shortcut(branch, [] if is_same else _convolution(inputs, outputs, 1, norm, stride)), outputs


def _stem(shape: Sequence[int], width: int, norm: Norm) -> tuple[Layers, int]:
    """The first layers: 7 x 7 and a pool, which make a quarter of the size; on small pictures 3 x 3 at full size."""
    if min(shape[1:]) < _SMALL_PICTURE:
        return [*_convolution(shape[0], width, 3, norm), nn.ReLU()], width
    return [*_convolution(shape[0], width, 7, norm, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], width


class Average(nn.Module):
    """The mean of each channel over the picture: ``[..., H, W]`` to ``[...]``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(-2, -1))

    def stacked(self, child: Child, named: dict[str, Tensor], x: Tensor) -> Tensor:
        return self(x)


class Branches(nn.Module):
    """Outputs of branches side by side, as channels (Szegedy et al., 2015)."""

    def __init__(self, branches: Sequence[Layers]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)

    def stacked(self, child: Child, named: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same for S blocks on ``[S, B, C, H, W]``."""
        return torch.cat([child(f"branches.{index}", x) for index in range(len(self.branches))], dim=2)


def _with_relu(inputs: int, outputs: int, kernel: int, norm: Norm, stride: int = 1) -> Layers:
    return [*_convolution(inputs, outputs, kernel, norm, stride), nn.ReLU()]


class Simple(NamedTuple):
    """1 x 1 beside 3 x 3."""

    one: int
    three: int

    def block(self, inputs: int, norm: Norm) -> tuple[nn.Module, int]:
        branches = [_with_relu(inputs, self.one, 1, norm), _with_relu(inputs, self.three, 3, norm)]
        return Branches(branches), self.one + self.three


class Half(NamedTuple):
    """3 x 3 beside a pool, both at every second pixel."""

    three: int

    def block(self, inputs: int, norm: Norm) -> tuple[nn.Module, int]:
        return Branches([_with_relu(inputs, self.three, 3, norm, 2), [nn.MaxPool2d(3, 2, 1)]]), inputs + self.three


class Full(NamedTuple):
    """1 x 1, 3 x 3 and 5 x 5, the latter two after a 1 x 1 that narrows, and a pool with a 1 x 1."""

    one: int
    before_three: int
    three: int
    before_five: int
    five: int
    after_pool: int

    def block(self, inputs: int, norm: Norm) -> tuple[nn.Module, int]:
        branches = [
            _with_relu(inputs, self.one, 1, norm),
            _with_relu(inputs, self.before_three, 1, norm) + _with_relu(self.before_three, self.three, 3, norm),
            _with_relu(inputs, self.before_five, 1, norm) + _with_relu(self.before_five, self.five, 5, norm),
            [nn.MaxPool2d(3, 1, 1), *_with_relu(inputs, self.after_pool, 1, norm)],
        ]
        return Branches(branches), self.one + self.three + self.five + self.after_pool


@dataclass(frozen=True)
class Inception:
    """Blocks whose branches see the picture at several scales, and one average over the picture."""

    blocks: tuple[Simple | Half | Full | Literal["pool"], ...]
    width: int  # of the first convolution
    narrow: tuple[int, int] | None = None  # widths of the 1 x 1 and 3 x 3 convolutions that follow on large pictures
    dropout: float = 0.0
    norm: Norm = "none"
    smallest: int = 1

    def layers(self, shape: Sequence[int], norm: Norm, dense: Sequence[int] | None) -> tuple[Layers, int]:
        if self.narrow is None:
            layers, channels = _with_relu(shape[0], self.width, 3, norm), self.width
        else:
            layers, channels = _stem(shape, self.width, norm)
            for outputs, kernel in zip(self.narrow, (1, 3), strict=True):
                layers += _with_relu(channels, outputs, kernel, norm)
                channels = outputs
            layers.append(nn.MaxPool2d(3, 2, 1))
        for row in self.blocks:
            if row == "pool":
                layers.append(nn.MaxPool2d(3, 2, 1))
            else:
                block, channels = row.block(channels, norm)
                layers.append(block)
        layers.append(Average())
        return [*layers, Dropout(self.dropout)] if self.dropout else layers, channels


def _vgg(*stages: Sequence[int | Row]) -> Plain:
    """Stages of 3 x 3 convolutions, each ended by a pool (Simonyan and Zisserman, 2015, table 1)."""
    rows: list[Row] = []
    for stage in stages:
        rows += [*(Convolution(row) if isinstance(row, int) else row for row in stage), "pool"]
    return Plain(tuple(rows), dense=(4096, 4096), dropout=0.5)


TABLE: Mapping[VisionName, Architecture] = {
    # The one of many tutorials, 440,812 parameters on 28 x 28 pixels, and LeCun et al. (1998) with ReLU, 61,706.
    "lenet": Plain((Convolution(20, 5, 0), "pool", Convolution(50, 5, 0), "pool"), dense=(512,)),
    "lenet-5": Plain((Convolution(6, 5, 2), "pool", Convolution(16, 5, 0), "pool"), dense=(120, 84)),
    "vgg-a": _vgg([64], [128], 2 * [256], 2 * [512], 2 * [512]),
    "vgg-a-lrn": _vgg([64, "response norm"], [128], 2 * [256], 2 * [512], 2 * [512]),
    "vgg-b": _vgg(2 * [64], 2 * [128], 2 * [256], 2 * [512], 2 * [512]),
    "vgg-c": _vgg(
        2 * [64],
        2 * [128],
        [256, 256, Convolution(256, 1)],
        [512, 512, Convolution(512, 1)],
        [512, 512, Convolution(512, 1)],
    ),
    "vgg-d": _vgg(2 * [64], 2 * [128], 3 * [256], 3 * [512], 3 * [512]),
    "vgg-e": _vgg(2 * [64], 2 * [128], 4 * [256], 4 * [512], 4 * [512]),
    # Szegedy et al. (2015), table 1, without the side heads.
    "inception": Inception(
        (
            Full(64, 96, 128, 16, 32, 32),
            Full(128, 128, 192, 32, 96, 64),
            "pool",
            Full(192, 96, 208, 16, 48, 64),
            Full(160, 112, 224, 24, 64, 64),
            Full(128, 128, 256, 24, 64, 64),
            Full(112, 144, 288, 32, 64, 64),
            Full(256, 160, 320, 32, 128, 128),
            "pool",
            Full(256, 160, 320, 32, 128, 128),
            Full(384, 192, 384, 48, 128, 128),
        ),
        width=64,
        narrow=(64, 192),
        dropout=0.4,
    ),
    # The small one that is known from MXNet's CIFAR-10 example.
    "inception-small": Inception(
        (
            Simple(32, 32),
            Simple(32, 48),
            Half(80),
            Simple(112, 48),
            Simple(96, 64),
            Simple(80, 80),
            Simple(48, 96),
            Half(96),
            Simple(176, 160),
            Simple(176, 160),
        ),
        width=96,
        norm="batch",
    ),
    "resnet-18": ResNet((2, 2, 2, 2)),
    "resnet-34": ResNet((3, 4, 6, 3)),
    "resnet-50": ResNet((3, 4, 6, 3), is_bottleneck=True),
    "resnet-101": ResNet((3, 4, 23, 3), is_bottleneck=True),
    "resnet-152": ResNet((3, 8, 36, 3), is_bottleneck=True),
}
