"""Encoders by name: observation space in, features out, the same choice for every agent."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from gymnasium.spaces import Box, Space
from torch import nn

from rlsuite.networks import cnn
from rlsuite.networks.mlp import ACTIVATIONS, mlp
from rlsuite.networks.precision import Bfloat16, Precision

Encoder = Literal["auto", "mlp", "nature", "impala", "small"]

_SMALLEST = {"nature": 36, "impala": 1, "small": 3}  # smallest height and width that their convolutions accept


def is_pixels(space: Space) -> bool:
    """Whether observations are pictures ``[C, H, W]``: all others are vectors."""
    return isinstance(space, Box) and len(space.shape) == 3


def encoder(
    space: Box,
    name: Encoder = "auto",
    hidden: Sequence[int] = (256, 256),
    activation: str = "relu",
    precision: Precision = "float32",
) -> tuple[nn.Module, int]:
    """The network from an observation ``[B, *space.shape]`` to float32 features ``[B, F]``, and F.

    Bytes, and pictures of floats with finite bounds, are first scaled to [0, 1]. ``auto`` takes ``nature`` for pictures
    of at least 36 x 36, ``small`` for smaller ones and ``mlp`` for vectors; ``hidden`` are the widths of the ``mlp``,
    and of its last entry the features of the image encoders. ``precision`` is that of convolutions and products.

    Raises:
        ValueError: the encoder does not take such observations.
    """
    network, features = _encoder(space, name, hidden, activation)
    return Bfloat16(network) if precision == "bfloat16" else network, features


def numbers(space: Box) -> tuple[nn.Module, int]:
    """The layer that makes a vector ``[B, N]`` of an observation as it is, scaled as ``encoder`` does, and N."""
    return nn.Sequential(*_scaling(space), nn.Flatten()), math.prod(space.shape)


def _encoder(space: Box, name: Encoder, hidden: Sequence[int], activation: str) -> tuple[nn.Module, int]:
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
    build = {"nature": cnn.nature, "impala": cnn.impala, "small": cnn.small}[name]
    features = {"nature": 512, "impala": 256, "small": 128}[name]
    return nn.Sequential(*_scaling(space), *build(space.shape, features)), features


def _scaling(space: Box) -> list[nn.Module]:
    low, high = float(space.low.min()), float(space.high.max())
    is_scaled = space.dtype == np.uint8 or (is_pixels(space) and np.isfinite([low, high]).all())
    return [cnn.Scaled(low, high)] if is_scaled and high > low else []
