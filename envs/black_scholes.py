"""European calls without interest: value and delta (Black and Scholes, 1973), and volatility with costs (Leland, 1985).

With moneyness m = ln(S / K) and deviation d = sigma sqrt(time left), the value is S Phi(m / d + d / 2) - K Phi(m / d -
d / 2) and delta, its derivative by S, is Phi(m / d + d / 2).
"""

import math

import torch
from torch import Tensor

_NO_TIME = 1e-9  # a deviation so small that the value is the payoff


def normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def delta(spot: Tensor, strike: float, deviation: Tensor) -> Tensor:
    """Shares that offset small moves of a call."""
    deviation = deviation.clamp(min=_NO_TIME)
    return normal_cdf((spot / strike).log() / deviation + deviation / 2.0)


def value(spot: Tensor, strike: float, deviation: Tensor) -> Tensor:
    deviation = deviation.clamp(min=_NO_TIME)
    below = (spot / strike).log() / deviation - deviation / 2.0
    return spot * delta(spot, strike, deviation) - strike * normal_cdf(below)


def with_costs(volatility: float, cost: float, between: float) -> float:
    """The volatility at which delta, adjusted so often, pays for its own costs on average, for a call that was sold.

    Args:
        cost: of a trade, as a share of what it moves. Leland's k is that of buying and selling again, twice this.
        between: time between trades.
    """
    return volatility * math.sqrt(1.0 + math.sqrt(2.0 / math.pi) * 2.0 * cost / (volatility * math.sqrt(between)))
