"""Policies as distributions over actions: samples, log-probabilities and entropies as plain tensor functions.

They take the random numbers as an argument and check nothing on the host, so that they compile and capture.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GaussianHead(nn.Module):
    """Mean and logarithm of the standard deviation of A actions: features ``[B, F]`` to ``[B, 2 A]``.

    The standard deviation is a parameter of its own, the same in every state.
    """

    def __init__(self, features: int, actions: int, initial_log_std: float) -> None:
        super().__init__()
        self.mean = nn.Linear(features, actions)
        self.log_std = nn.Parameter(torch.full((actions,), initial_log_std))

    def forward(self, features: Tensor) -> Tensor:
        mean = self.mean(features)
        return torch.cat([mean, self.log_std.expand_as(mean)], dim=-1)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], features: Tensor) -> Tensor:
        """The same for S of them, features ``[S, B, F]``."""
        mean = child("mean", features)
        return torch.cat([mean, named["log_std"].unsqueeze(1).expand_as(mean)], dim=-1)


def categorical_sample(logits: Tensor, uniform: Tensor) -> Tensor:
    """Indices ``[...]`` sampled from softmax(logits ``[..., A]``) by the Gumbel trick; ``uniform`` ``[..., A]``."""
    tiny = torch.finfo(uniform.dtype).tiny
    exponential = -torch.log(uniform.clamp(min=tiny))
    return (logits - torch.log(exponential.clamp(min=tiny))).argmax(dim=-1)


def categorical_log_prob(logits: Tensor, index: Tensor) -> Tensor:
    """Log-probability ``[...]`` of indices ``[...]``."""
    return F.log_softmax(logits, dim=-1).gather(-1, index.unsqueeze(-1)).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """Entropy ``[...]`` in nats."""
    log_probs = F.log_softmax(logits, dim=-1)
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def gaussian_sample(parameters: Tensor, normal: Tensor) -> Tensor:
    """Samples ``[..., A]`` from means and log standard deviations ``[..., 2 A]``; ``normal`` ``[..., A]``."""
    mean, log_std = parameters.chunk(2, dim=-1)
    return mean + log_std.exp() * normal


def gaussian_log_prob(parameters: Tensor, sample: Tensor) -> Tensor:
    """Log-density ``[...]`` of samples ``[..., A]``.

    The density of a squashed action differs by the derivative of ``squash``, which does not depend on the parameters:
    the score function, all that a policy gradient needs, is that of the sample.
    """
    mean, log_std = parameters.chunk(2, dim=-1)
    standard = (sample - mean) * torch.exp(-log_std)
    return (-0.5 * standard.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)


def from_unit(unit: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Components ``[..., A]`` in [-1, 1] stretched to finite bounds ``[A]``."""
    return (low + high) / 2 + (high - low) / 2 * unit


def to_unit(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The opposite of ``from_unit``; 0 where both bounds are the same."""
    half_range = (high - low) / 2
    return (value - (low + high) / 2) / torch.where(half_range > 0.0, half_range, 1.0)


def squash(sample: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Samples ``[..., A]`` of any size brought within bounds ``[A]``, each component as its own are.

    By tanh between two bounds, by softplus beside one; where both are infinite the sample stays as it is.
    """
    has_low, has_high = low.isfinite(), high.isfinite()
    beside = torch.where(has_low, low + F.softplus(sample), torch.where(has_high, high - F.softplus(sample), sample))
    return torch.where(has_low & has_high, from_unit(torch.tanh(sample), low, high), beside)


def tanh_log_derivative(sample: Tensor) -> Tensor:
    """Logarithm of the derivative of tanh ``[...]`` at samples of any size.

    log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2 x)), which is exact where tanh rounds to 1.
    """
    return 2.0 * (math.log(2.0) - sample - F.softplus(-2.0 * sample))


def gaussian_entropy(parameters: Tensor) -> Tensor:
    """Entropy ``[...]`` in nats, of the sample before any squashing."""
    _, log_std = parameters.chunk(2, dim=-1)
    return (log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(dim=-1)
