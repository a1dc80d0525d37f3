"""Transformations of raw network outputs into policies that are feasible for any weights."""

import torch
import torch.nn.functional as F
from torch import Tensor


def share(raw: Tensor, at_zero: float = 0.5) -> Tensor:
    """A share in (0, 1) that is ``at_zero`` where the raw output is 0."""
    return torch.sigmoid(raw + torch.logit(raw.new_tensor(at_zero)))


def complementarity(raw: Tensor) -> tuple[Tensor, Tensor]:
    """A slack and a multiplier, both non-negative and one of them exactly 0: ``relu(x)`` and ``relu(-x)``.

    One of the two always has a gradient, so a constraint can be left as easily as it is met
    (the change of variables of Garcia and Zangwill, 1981, with exponent 1).
    """
    return F.relu(raw), F.relu(-raw)


def bounded(amount: Tensor, limit: Tensor) -> Tensor:
    """``amount >= 0`` bent to stay below ``limit > 0``; up to half of it within 2 % of ``amount``."""
    return amount * (1 + (amount / limit) ** 4) ** -0.25


def positive(amount: Tensor, floor: float) -> Tensor:
    """``amount`` itself down to ``floor``, below it bent so that it stays positive; smooth once.

    For consumption that no head can keep positive by form: an infeasible plan then shows as an enormous Euler error
    with a gradient that leads back.
    """
    return torch.where(amount > floor, amount, floor * torch.exp(torch.clamp(amount / floor - 1, max=0.0)))


def fischer_burmeister(slack: Tensor, multiplier: Tensor, smoothing: float = 0.0) -> Tensor:
    """0 exactly where both are non-negative and their product is 0 (with smoothing eps: eps^2 / 2).

    The arguments should be free of units and of size one. ``smoothing`` rounds the corner at the origin
    (Fischer, 1992; Kanzow, 1996).
    """
    return slack + multiplier - torch.sqrt(slack**2 + multiplier**2 + smoothing**2)
