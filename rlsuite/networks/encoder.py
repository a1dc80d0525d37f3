"""Encoders by name: observation space in, features out, the same choice for every agent."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from gymnasium.spaces import Box, Space
from torch import nn

from rlsuite.networks import cnn
from rlsuite.networks.mlp import ACTIVATIONS, mlp
from rlsuite.networks.precision import Bfloat16, Precision

Encoder = Literal["auto", "mlp", "nature", "impala", "small"]


def is_pixels(space: Space) -> bool:
    """Whether observations are images: uint8 with at least three axes."""
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) >= 3


def image_shape(space: Box) -> tuple[int, int, int]:
    """``[C, H, W]`` after ``cnn.Pixels``: colour stacks ``[stack, H, W, 3]`` fold into the channels."""
    if len(space.shape) == 4:
        stack, height, width, channels = space.shape
        return stack * channels, height, width
    channels, height, width = space.shape
    return channels, height, width


def encoder(
    space: Box,
    name: Encoder = "auto",
    hidden: Sequence[int] = (256, 256),
    activation: str = "relu",
    precision: Precision = "float32",
) -> tuple[nn.Module, int]:
    """The network from an observation ``[B, *space.shape]`` to float32 features ``[B, F]``, and F.

    ``auto`` takes ``nature`` for images of at least 36 x 36, ``small`` for smaller ones and ``mlp`` for vectors;
    ``hidden`` are the widths of the ``mlp``, and of its last entry the features of the image encoders. ``precision`` is
    that of convolutions and products.
    """
    network, features = _encoder(space, name, hidden, activation)
    return Bfloat16(network) if precision == "bfloat16" else network, features


def _encoder(space: Box, name: Encoder, hidden: Sequence[int], activation: str) -> tuple[nn.Module, int]:
    if name == "auto":
        name = ("nature" if min(image_shape(space)[1:]) >= 36 else "small") if is_pixels(space) else "mlp"
    if name == "mlp":
        inputs = int(np.prod(space.shape))
        layers = [nn.Flatten(), *mlp([inputs, *hidden], activation), ACTIVATIONS[activation]()]
        return nn.Sequential(*layers), hidden[-1]
    if not is_pixels(space):
        raise ValueError(f"encoder {name!r} needs uint8 images, but observations are {space}; use encoder 'mlp'")
    build = {"nature": cnn.nature, "impala": cnn.impala, "small": cnn.small}[name]
    features = {"nature": 512, "impala": 256, "small": 128}[name]
    return nn.Sequential(cnn.Pixels(), *build(image_shape(space), features)), features
