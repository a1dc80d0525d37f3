"""Selling many shares, in closed form (Almgren and Chriss, "Optimal execution of portfolio transactions", 2001).

X shares are sold in N steps of length tau; n_k of them in step k leave x_k. A sale of n shares gets

    S_{k-1} - epsilon - eta n / tau          a share (half the spread, and a temporary impact), and moves the price to
    S_k = S_{k-1} + sigma sqrt(tau) xi - gamma n     (a permanent impact), with xi standard normal.

The shortfall is the value X S_0 at the start less all that the sales get. Of a schedule fixed beforehand its mean and
variance are

    E = gamma X^2 / 2 + epsilon X + (eta - gamma tau / 2) sum n_k^2 / tau        V = sigma^2 tau sum x_k^2

and E + lambda V is least where x_k = X sinh(kappa (T - t_k)) / sinh(kappa T), with 2 (cosh(kappa tau) - 1) / tau^2 =
lambda sigma^2 / (eta - gamma tau / 2).
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Market:
    """A sale and its market, in shares, dollars and days; numbers of the paper's example (section 4) but for ``steps``.

    Raises:
        ValueError: a number is out of range.
    """

    shares: float = 1e6
    price: float = 50.0
    days: float = 5.0
    steps: int = 10
    volatility: float = 0.95  # sigma, dollars a root of a day
    half_spread: float = 0.0625  # epsilon
    temporary: float = 2.5e-6  # eta, dollars for a share a day
    permanent: float = 2.5e-7  # gamma, dollars a share
    risk_aversion: float = 1e-6  # lambda, a dollar

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if min(self.risk_aversion, self.permanent, self.half_spread, self.volatility) < 0.0:
            raise ValueError("risk aversion, volatility, spread and impacts must not be negative")
        if self._curvature <= 0.0:
            raise ValueError("the temporary impact must be more than half of the permanent impact of a step")

    @property
    def tau(self) -> float:
        return self.days / self.steps

    @property
    def _curvature(self) -> float:
        return self.temporary - self.permanent * self.tau / 2.0

    def best_holdings(self) -> np.ndarray:
        """The shares ``[N + 1]`` left after each step of the best schedule, those at the start first."""
        left = np.arange(self.steps, -1, -1) * self.tau
        steepness = self.risk_aversion * self.volatility**2 / self._curvature
        kappa = math.acosh(steepness * self.tau**2 / 2.0 + 1.0) / self.tau
        if kappa * self.days < 1e-6:
            return self.shares * left / self.days
        # sinh(kappa left) / sinh(kappa days) without its overflow.
        ratio = np.exp(kappa * (left - self.days)) * np.expm1(-2.0 * kappa * left) / np.expm1(-2.0 * kappa * self.days)
        return self.shares * ratio

    def mean(self, holdings: np.ndarray) -> float:
        """E of a schedule, dollars."""
        sold = -np.diff(holdings)
        fixed = self.permanent * self.shares**2 / 2.0 + self.half_spread * np.abs(sold).sum()
        return float(fixed + self._curvature * np.square(sold).sum() / self.tau)

    def variance(self, holdings: np.ndarray) -> float:
        """V of a schedule, squared dollars."""
        return float(self.volatility**2 * self.tau * np.square(holdings[1:]).sum())

    def objective(self, holdings: np.ndarray) -> float:
        """E + lambda V, dollars."""
        return self.mean(holdings) + self.risk_aversion * self.variance(holdings)
