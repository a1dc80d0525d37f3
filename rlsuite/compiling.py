"""A hint to the compiler."""

import torch
from torch import Tensor


def in_memory(numbers: Tensor) -> Tensor:
    """``numbers`` as they are, in memory.

    Compiled code works out pointwise operations where their result is used. A power or a remainder that is the same for
    all parameters of a seed would be taken again for every eight of them; putting tensors together ends that.
    """
    return torch.stack([numbers, numbers], dim=-1)[..., 0] if torch.compiler.is_compiling() else numbers
