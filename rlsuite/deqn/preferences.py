"""Constant relative risk aversion: utility, Euler errors in units of consumption, and what a better policy is worth."""

import math

import torch
from torch import Tensor


def utility(consumption: Tensor, risk_aversion: float) -> Tensor:
    """``c^(1 - g) / (1 - g)``, and ``ln c`` where g is 1."""
    if risk_aversion == 1:
        return torch.log(consumption)
    return consumption ** (1 - risk_aversion) / (1 - risk_aversion)


def consumption_error(ratio: Tensor, curvature: float | Tensor) -> Tensor:
    """The Euler error in units of consumption, ``ratio^(-1 / curvature) - 1`` (Judd, 1992).

    ``ratio`` is discounted marginal value tomorrow over marginal utility today, multipliers included: 1 in equilibrium.
    """
    return ratio ** (-1 / curvature) - 1


def consumption_loss(value: float, best_value: float, discount: float, risk_aversion: float) -> float:
    """The share of consumption in every period whose loss brings an agent from ``best_value`` to ``value``."""
    if risk_aversion == 1:
        return -math.expm1((1 - discount) * (value - best_value))
    return 1 - (value / best_value) ** (1 / (1 - risk_aversion))
