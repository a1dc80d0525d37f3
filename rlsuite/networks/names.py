"""Names of encoders, for command lines. Imports no torch, so that ``--help`` is quick."""

from typing import Literal

VisionName = Literal[
    "lenet",
    "lenet-5",
    "vgg-a",
    "vgg-a-lrn",
    "vgg-b",
    "vgg-c",
    "vgg-d",
    "vgg-e",
    "inception",
    "inception-small",
    "resnet-18",
    "resnet-34",
    "resnet-50",
    "resnet-101",
    "resnet-152",
]

Encoder = Literal["auto", "mlp", "nature", "impala", "small", "residual", VisionName]
