"""Hints to the compiler."""

import torch
from torch import Tensor

# Before, compiled code could not view numbers as those of another type (or not where functions are mapped over seeds).
_CAN_VIEW_AS_TYPE = torch.__version__ >= "2.13"


def materialised(numbers: Tensor) -> Tensor:
    """``numbers`` as they are, in memory.

    Compiled code works out pointwise operations where their result is used. A power or a remainder that is the same for
    all parameters of a seed would be taken again for every eight of them; putting tensors together ends that.
    """
    return torch.stack([numbers, numbers], dim=-1)[..., 0] if torch.compiler.is_compiling() else numbers


def as_bytes(flags: Tensor) -> Tensor:
    """``flags`` (bool) as the bytes (uint8) they take, to be written to memory, and ``as_flags`` to read them.

    What Inductor compiles for CPUs writes flags one by one. Bytes made from floating point leave a vector register
    together, ten times as quickly (``docs/benchmarks.md``).
    """
    if not torch.compiler.is_compiling():
        return flags.view(torch.uint8)
    return torch.where(flags, 1.0, 0.0).to(torch.uint8)


def as_flags(numbers: Tensor) -> Tensor:
    """The flags (bool) whose bytes (uint8) these are."""
    return numbers.to(torch.float32) != 0 if torch.compiler.is_compiling() else numbers.view(torch.bool)


def output_flags(flags: Tensor) -> Tensor:
    """``flags`` (bool) as a region should return them: see ``as_bytes``. Nothing else in the region may use these."""
    return as_bytes(flags).view(torch.bool) if _CAN_VIEW_AS_TYPE and flags.device.type == "cpu" else flags


def pixels_last(images: Tensor) -> Tensor:
    """Images ``[B, C, H, W]`` uint8 as they are, with the channels of a pixel side by side in memory.

    That is how convolutions take them. What Inductor compiles to get there moves byte after byte; four channels go
    together here, as the bytes of one integer.
    """
    is_packed = images.dtype == torch.uint8 and images.shape[1] == 4
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    is_hint = compiled and _CAN_VIEW_AS_TYPE and images.device.type == "cpu"
    if not is_hint or not is_packed:
        return images
    first, second, third, fourth = images.to(torch.int32).unbind(1)
    pixels = first | second << 8 | third << 16 | fourth << 24  # the first byte in memory is an integer's lowest
    return pixels.view(torch.uint8).unflatten(-1, (-1, 4)).permute(0, 3, 1, 2)
