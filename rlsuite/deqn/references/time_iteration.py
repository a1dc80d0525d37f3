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
_PRODUCTIVITY_SDS = 8.2  # half width of the grid: where 15 nodes lead from five standard deviations
_COARSE, _COARSE_TOLERANCE = (15, 50), 1e-6  # of the solutions that say how wide the grid must be
_CAPITAL_SDS = 6.0  # that it must be wide to both sides of the mean
_LEAST_REACH = 0.05  # of the grid in ln K, where hardly anything moves
_WIDENINGS = 8
_PATHS, _PERIODS = 500, 600  # simulated to find the width, the first half to forget where they started


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

    def covers(self, ln_capital: Array, productivity: Array) -> NDArray[np.bool_]:
        """Whether states are inside the grid; outside, the solution answers as at the grid's edge."""
        z, ln_k = self.consumption.get_knots()
        return (z[0] <= productivity) & (productivity <= z[-1]) & (ln_k[0] <= ln_capital) & (ln_capital <= ln_k[-1])

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
    """The policy functions on a grid of (z, ln K) points, wide enough for all that paths see.

    Raises:
        RuntimeError: no convergence.
    """
    # A first guess; more averse agents let capital vary more.
    sd = max(technology.productivity_sd, 1e-6)
    half = 2 * _CAPITAL_SDS * sd * technology.risk_aversion ** (1 / 3)
    reach = (-half, half)
    solution = None
    for _ in range(_WIDENINGS):
        solution = _solve_on(technology, least_investment, _COARSE, reach, _COARSE_TOLERANCE, max_iterations, solution)
        low, high = _needed(solution)
        if reach[0] <= low and high <= reach[1]:
            reach = (min(1.2 * low, -_LEAST_REACH), max(1.2 * high, _LEAST_REACH))
            return _solve_on(technology, least_investment, grid, reach, tolerance, max_iterations, solution)
        reach = (min(1.2 * low, reach[0]), max(1.2 * high, reach[1]))
    raise RuntimeError(f"time iteration found no grid that holds all paths: capital reaches exp({low:.1f}, {high:.1f})")


def _needed(solution: Solution) -> tuple[float, float]:
    """Return the range of ln K, from that of the steady state, in which simulated paths and a margin lie."""
    technology, generator = solution.technology, np.random.default_rng(0)
    centre = np.log(technology.capital)
    ln_capital, productivity = np.full(_PATHS, centre), np.zeros(_PATHS)
    visited = []
    for period in range(_PERIODS):
        consumption, _ = solution(ln_capital, productivity)
        ln_capital = np.log(_resources(technology, ln_capital, productivity) - consumption)
        shocks = generator.standard_normal(_PATHS)
        productivity = technology.persistence * productivity + technology.volatility * shocks
        if period >= _PERIODS // 2:
            visited.append(ln_capital - centre)
    seen = np.array(visited)
    margin = _CAPITAL_SDS * seen.std()
    return min(seen.mean() - margin, seen.min()), max(seen.mean() + margin, seen.max())


def _solve_on(
    technology: Technology,
    least_investment: float | None,
    grid: tuple[int, int],
    reach: tuple[float, float],
    tolerance: float,
    max_iterations: int,
    guess: Solution | None,
) -> Solution:
    alpha, gamma = technology.capital_share, technology.risk_aversion
    sd = max(technology.productivity_sd, 1e-6)
    z = np.linspace(-_PRODUCTIVITY_SDS * sd, _PRODUCTIVITY_SDS * sd, grid[0])
    ln_k = np.log(technology.capital) + np.linspace(*reach, grid[1])
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    next_z = np.clip(technology.persistence * z[:, None] + technology.volatility * nodes, z[0], z[-1])  # [Z, Q]
    next_return = (
        alpha * technology.technology * np.exp(next_z[..., None] + (alpha - 1) * ln_k) + 1 - technology.depreciation
    )

    if guess is None:
        steady = technology.technology * technology.capital**technology.capital_share
        steady -= technology.depreciation * technology.capital
        share = steady / (steady + technology.capital)
        consumption = np.log(share * _resources(technology, ln_k, z[:, None]))
        value = -gamma * consumption
    else:
        consumption, value = guess.consumption(z, ln_k), guess.value(z, ln_k)
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
        if not np.isfinite(distance):
            break
        if distance < tolerance:
            return Solution(
                technology,
                RectBivariateSpline(z, ln_k, consumption, s=0),
                RectBivariateSpline(z, ln_k, value, s=0),
                least_investment,
            )
    raise RuntimeError(f"time iteration did not converge: still {distance:.1e} apart after {max_iterations} iterations")
