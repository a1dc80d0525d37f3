"""Encoders by name: observation space in, features out, the same choice for every agent."""

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor, nn

from rlsuite.networks import cnn, vision
from rlsuite.networks.mlp import ACTIVATIONS, mlp
from rlsuite.networks.names import Encoder, VisionName
from rlsuite.networks.precision import Bfloat16, Precision
from rlsuite.spaces import Parts

# Smallest height and width that their convolutions accept.
_SMALLEST = {"nature": 36, "impala": 1, "small": 3, "residual": 1}
_SMALLEST |= {name: architecture.smallest for name, architecture in vision.TABLE.items()}
_DENSE = (512,)  # of LeNet and VGG as encoders; the 4096 and 4096 that VGG classifies with are most of its parameters


def is_pixels(space: Space) -> bool:
    """Whether observations are pictures ``[C, H, W]``: all others are vectors."""
    return isinstance(space, Box) and len(space.shape) == 3


def has_pixels(space: Space) -> bool:
    """Whether observations are pictures, or have pictures among their parts."""
    return is_pixels(space) or (isinstance(space, Parts) and any(map(is_pixels, space.parts)))


class JoinedEncoders(nn.Module):
    """Features of parts side by side ``[B, F]``, of vectors ``[B, N]`` that hold the parts: an encoder for each."""

    def __init__(self, parts: Sequence[Box], encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.shapes = [part.shape for part in parts]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.encoders = nn.ModuleList(encoders)

    def forward(self, observation: Tensor) -> Tensor:
        return torch.cat([own(part) for own, part in zip(self.encoders, self._apart(observation), strict=True)], dim=-1)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], observation: Tensor) -> Tensor:
        """The same for S of them, observations ``[S, B, N]``."""
        features = [child(f"encoders.{index}", part) for index, part in enumerate(self._apart(observation))]
        return torch.cat(features, dim=-1)

    def _apart(self, observation: Tensor) -> list[Tensor]:
        pieces = observation.split(self.sizes, dim=-1)
        return [piece.unflatten(-1, shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def encoder(
    space: Box,
    name: Encoder = "auto",
    hidden: Sequence[int] = (256, 256),
    activation: str = "relu",
    precision: Precision = "float32",
) -> tuple[nn.Module, int]:
    """The network from an observation ``[B, *space.shape]`` to float32 features ``[B, F]``, and F.

    Bytes, and pictures of floats with finite bounds, are first scaled to [0, 1]. ``auto`` takes ``nature`` for pictures
    of at least 36 x 36, ``small`` for smaller ones and ``mlp`` for vectors; ``hidden`` are the widths of the ``mlp``.
    LeNet, VGG, Inception and ResNet have group norm instead of batch norm, since a decision must not depend on the rest
    of a batch, and one dense layer of 512 where they have any. Where only some ``Parts`` are pictures, each of them is
    encoded, and an ``mlp`` reads all parts together. ``precision`` is that of convolutions and products.

    Raises:
        ValueError: the encoder does not take such observations.
    """
    network, features = _encoder(space, name, hidden, activation)
    return Bfloat16(network) if precision == "bfloat16" else network, features


def numbers(space: Box) -> tuple[nn.Module, int]:
    """The layer that makes a vector ``[B, N]`` of an observation as it is, scaled as ``encoder`` does, and N."""
    if isinstance(space, Parts) and any(map(_scaling, space.parts)):
        return JoinedEncoders(space.parts, [numbers(part)[0] for part in space.parts]), math.prod(space.shape)
    return nn.Sequential(*_scaling(space), nn.Flatten()), math.prod(space.shape)


def stem(space: Box, name: Encoder = "auto", precision: Precision = "float32") -> tuple[nn.Module, int]:
    """The network below a head that may read an action too: vectors as they are, all else encoded as ``encoder`` does.

    Raises:
        ValueError: the encoder does not take such observations.
    """
    if has_pixels(space) or name not in ("auto", "mlp"):
        return encoder(space, name, precision=precision)
    return numbers(space)


def _encoder(space: Box, name: Encoder, hidden: Sequence[int], activation: str) -> tuple[nn.Module, int]:
    if isinstance(space, Parts) and has_pixels(space) and name != "mlp":
        features = [
            _encoder(part, name, hidden, activation) if is_pixels(part) else numbers(part) for part in space.parts
        ]
        joined = JoinedEncoders(space.parts, [network for network, _ in features])
        widths = [sum(size for _, size in features), *hidden]
        return nn.Sequential(joined, *mlp(widths, activation), ACTIVATIONS[activation]()), hidden[-1]
    smallest = min(space.shape[1:]) if is_pixels(space) else 0
    if name == "auto":
        name = ("nature" if smallest >= _SMALLEST["nature"] else "small") if is_pixels(space) else "mlp"
    if name == "mlp":
        flat, inputs = numbers(space)
        return nn.Sequential(flat, *mlp([inputs, *hidden], activation), ACTIVATIONS[activation]()), hidden[-1]
    if not is_pixels(space):
        raise ValueError(f"encoder {name!r} needs pictures, but observations are {space}; use encoder 'mlp'")
    if smallest < _SMALLEST[name]:
        least = f"{_SMALLEST[name]} x {_SMALLEST[name]}"
        raise ValueError(f"encoder {name!r} needs pictures of at least {least}, not {space.shape[1:]}; use 'auto'")
    if name in vision.TABLE:
        known = cast(VisionName, name)
        norm: vision.Norm = "none" if vision.TABLE[known].norm == "none" else "group"
        body, width = vision.backbone(known, space.shape, norm, _DENSE)
        return nn.Sequential(*_scaling(space), *body), width
    build = {"nature": cnn.nature, "impala": cnn.impala, "small": cnn.small, "residual": cnn.residual}[name]
    width = {"nature": 512, "impala": 256, "small": 128, "residual": 128}[name]
    return nn.Sequential(*_scaling(space), *build(space.shape, width)), width


def _scaling(space: Box) -> list[nn.Module]:
    low, high = float(space.low.min()), float(space.high.max())
    is_scaled = space.dtype == np.uint8 or (is_pixels(space) and np.isfinite([low, high]).all())
    return [cnn.Scaled(low, high)] if is_scaled and high > low else []
