"""Layers of slope at most one: weights are divided by their largest singular value (Miyato et al., 2018).

torch's ``parametrizations.spectral_norm`` follows the singular vectors by power iteration, in buffers that every call
changes. Here they are computed anew, so that a network is a function of its parameters alone; matrices are small.
A matrix that is applied again and again, as in recurrent cells, has no such bound on the whole.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def normalised(weight: Tensor) -> Tensor:
    """Matrices ``[..., O, I]`` with a largest singular value of 1."""
    with torch.no_grad():
        left, _, right = torch.linalg.svd(weight, full_matrices=False)
    # As a product with the singular vectors, the value has its gradient.
    largest = left[..., :1].mT @ weight @ right[..., :1, :].mT
    return weight / largest.clamp(min=1e-12)


class SpectralLinear(nn.Linear):
    """A linear layer with a slope of 1."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, normalised(self.weight), self.bias)

    def stacked(self, child: Callable[..., Any], named: dict[str, Tensor], x: Tensor) -> Tensor:
        """S layers on ``[S, B, I]``."""
        return x @ normalised(named["weight"]).mT + named["bias"].unsqueeze(1)


class SpectralConv1d(nn.Conv1d):
    """A convolution whose kernels, as a matrix of outputs by all that they see, have a largest singular value of 1."""

    def forward(self, x: Tensor) -> Tensor:
        weight = normalised(self.weight.flatten(1)).view_as(self.weight)
        return F.conv1d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
