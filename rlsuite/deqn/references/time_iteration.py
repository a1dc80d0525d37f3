"""Stochastic growth, with or without irreversible investment, by time iteration on endogenous grids.

Uses no network and no torch: an independent answer to hold the equilibrium nets against. Carroll (2006) for the grid;
Rendahl (2015) for why the iteration converges under inequality constraints. The consumption that an unconstrained agent
would choose, and the marginal value of capital tomorrow, are smooth; only they are interpolated, and the kink between
them is taken exactly.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, RectBivariateSpline

Array = NDArray[np.float64]
_NODES = 9  # Gauss-Hermite
_PRODUCTIVITY_SDS = 6.5  # half width of the grid
_LN_CAPITAL_RANGE = (-1.6, 1.1)  # from that of the steady state


class Technology(Protocol):
    """The parameters of a calibration that the method reads."""

    @property
    def capital_share(self) -> float: ...
    @property
    def discount(self) -> float: ...
    @property
    def depreciation(self) -> float: ...
    @property
    def persistence(self) -> float: ...
    @property
    def volatility(self) -> float: ...
    @property
    def risk_aversion(self) -> float: ...
    @property
    def technology(self) -> float: ...

    @property
    def capital(self) -> float: ...
    @property
    def productivity_sd(self) -> float: ...


@dataclass(frozen=True)
class Solution:
    """Policy functions of ``ln K`` and ``z``.

    Attributes:
        consumption: ln of what an unconstrained agent would consume, over (z, ln K).
        value: ln of the discounted marginal value of capital tomorrow, over (z, ln K').
        least_investment: the constraint, or ``None``.
    """

    technology: Technology
    consumption: RectBivariateSpline
    value: RectBivariateSpline
    least_investment: float | None

    def __call__(self, ln_capital: Array, productivity: Array) -> tuple[Array, Array]:
        """Consumption, and the multiplier of the constraint over marginal utility."""
        free = np.exp(self.consumption(productivity, ln_capital, grid=False))
        if self.least_investment is None:
            return free, np.zeros_like(free)
        floor = (1 - self.technology.depreciation) * np.exp(ln_capital) + self.least_investment
        most = _resources(self.technology, ln_capital, productivity) - floor
        consumption = np.minimum(free, most)
        value = np.exp(self.value(productivity, np.log(floor), grid=False))
        multiplier = 1 - value * consumption**self.technology.risk_aversion
        return consumption, np.where(free > most, np.maximum(multiplier, 0.0), 0.0)


def _resources(technology: Technology, ln_capital: Array, productivity: Array) -> Array:
    output = technology.technology * np.exp(productivity + technology.capital_share * ln_capital)
    return output + (1 - technology.depreciation) * np.exp(ln_capital)


def _capital_with(technology: Technology, resources: Array, productivity: Array, guess: Array) -> Array:
    """The ln K at which ``resources`` are at hand, by Newton's method in logs."""
    ln_capital = guess.copy()
    for _ in range(50):
        output = technology.technology * np.exp(productivity + technology.capital_share * ln_capital)
        rest = (1 - technology.depreciation) * np.exp(ln_capital)
        slope = (technology.capital_share * output + rest) / (output + rest)
        change = np.log(resources / (output + rest)) / slope
        ln_capital += change
        if np.abs(change).max() < 1e-13:
            break
    return ln_capital


def solve(
    technology: Technology,
    least_investment: float | None = None,
    *,
    grid: tuple[int, int] = (41, 140),
    tolerance: float = 1e-11,
    max_iterations: int = 3000,
) -> Solution:
    """The policy functions on a grid of (z, ln K) points.

    Raises:
        RuntimeError: no convergence.
    """
    alpha, gamma = technology.capital_share, technology.risk_aversion
    sd = max(technology.productivity_sd, 1e-6)
    z = np.linspace(-_PRODUCTIVITY_SDS * sd, _PRODUCTIVITY_SDS * sd, grid[0])
    ln_k = np.log(technology.capital) + np.linspace(*_LN_CAPITAL_RANGE, grid[1])
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    next_z = np.clip(technology.persistence * z[:, None] + technology.volatility * nodes, z[0], z[-1])  # [Z, Q]
    next_return = (
        alpha * technology.technology * np.exp(next_z[..., None] + (alpha - 1) * ln_k) + 1 - technology.depreciation
    )

    consumption = np.log(_resources(technology, ln_k, z[:, None]) - np.exp(ln_k) * (1 - 0.5 * technology.depreciation))
    value = -gamma * consumption
    for _ in range(max_iterations):
        free = np.exp(CubicSpline(z, consumption)(next_z))  # [Z, Q, K]
        kept = np.zeros_like(free)
        if least_investment is not None:
            floor = (1 - technology.depreciation) * np.exp(ln_k) + least_investment
            most = _resources(technology, ln_k, next_z[..., None]) - floor
            floor_value = np.exp(CubicSpline(z, CubicSpline(ln_k, value, axis=1)(np.log(floor)))(next_z))
            bound = free > most
            free = np.where(bound, most, free)
            kept = np.where(bound, np.maximum(free**-gamma - floor_value, 0.0), 0.0)
        marginal = free**-gamma * next_return - (1 - technology.depreciation) * kept
        new_value = np.log(technology.discount * np.einsum("q,zqk->zk", weights, marginal))

        chosen = np.exp(-new_value / gamma)
        resources = chosen + np.exp(ln_k)
        ln_today = _capital_with(technology, resources, z[:, None], np.broadcast_to(ln_k, resources.shape))
        new = np.stack([CubicSpline(x, y)(ln_k) for x, y in zip(ln_today, np.log(chosen), strict=True)])
        distance = np.abs(new - consumption).max()
        consumption, value = new, new_value
        if distance < tolerance:
            return Solution(
                technology,
                RectBivariateSpline(z, ln_k, consumption, s=0),
                RectBivariateSpline(z, ln_k, value, s=0),
                least_investment,
            )
    raise RuntimeError(f"time iteration did not converge: still {distance:.1e} apart after {max_iterations} iterations")
