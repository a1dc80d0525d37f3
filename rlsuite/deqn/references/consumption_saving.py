"""The household with risky income and no debt by the method of endogenous grids (Carroll, 2006). Uses no torch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, RectBivariateSpline

Array = NDArray[np.float64]
_NODES, _FINE_NODES = 7, 15  # Gauss-Hermite
_INCOME_SDS = 8.2  # half width of the grid: where 15 nodes lead from five standard deviations
_SLOPE_SAVINGS = 0.05  # up to which the slope of the continuation is taken
_COARSE, _COARSE_TOLERANCE = (15, 80), 1e-5  # of the solutions that say how much wealth the grid must hold
_WIDENINGS = 8
_PATHS, _PERIODS = 500, 600  # simulated to that end, the first half to forget where they started


class Household(Protocol):
    """The parameters of a calibration that the method reads."""

    @property
    def discount(self) -> float: ...
    @property
    def gross_return(self) -> float: ...
    @property
    def risk_aversion(self) -> float: ...
    @property
    def persistence(self) -> float: ...
    @property
    def volatility(self) -> float: ...

    @property
    def income_sd(self) -> float: ...


@dataclass(frozen=True)
class Solution:
    """Consumption as a function of wealth and ln income."""

    household: Household
    free: RectBivariateSpline  # ln of consumption if the household could borrow today, over (ln income, ln wealth)

    def covers(self, wealth: Array, ln_income: Array) -> NDArray[np.bool_]:
        """Whether states are inside the grid; beyond it the solution is only roughly right."""
        y, ln_w = self.free.get_knots()
        inside = (y[0] <= ln_income) & (ln_income <= y[-1])
        return inside & (ln_w[0] <= np.log(wealth)) & (np.log(wealth) <= ln_w[-1])

    def multiplier(self, wealth: Array, ln_income: Array) -> Array:
        """That of the borrowing limit over marginal utility: what tomorrow's value lacks where all wealth is eaten."""
        own = self.household
        nodes, weights = _nodes(_FINE_NODES)
        next_y = own.persistence * ln_income[..., None] + own.volatility * nodes
        tomorrow = self(np.exp(next_y), next_y)  # without savings, wealth is income
        value = own.discount * own.gross_return * (tomorrow**-own.risk_aversion @ weights)
        return np.where(self(wealth, ln_income) < wealth, 0.0, np.maximum(1 - value * wealth**own.risk_aversion, 0.0))

    def __call__(self, wealth: Array, ln_income: Array) -> Array:
        return np.minimum(np.exp(_at(self.free, ln_income, np.log(wealth))), wealth)


def _at(spline: RectBivariateSpline, y: Array, ln_w: Array) -> Array:
    """Values of the spline, continued in straight lines above its wealth: cut there, the rich would save for ever."""
    before, top = spline.get_knots()[1][-3:-1]
    below, at_top = spline(y, np.full_like(y, before), grid=False), spline(y, np.full_like(y, top), grid=False)
    slope = (at_top - below) / (top - before)
    return spline(y, np.minimum(ln_w, top), grid=False) + slope * np.maximum(ln_w - top, 0.0)


def _nodes(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def solve(
    household: Household, *, grid: tuple[int, int] = (41, 300), tolerance: float = 1e-9, max_iterations: int = 2000
) -> Solution:
    """The policy on a grid of (ln income, ln wealth) points, wide enough for all that paths see.

    Raises:
        RuntimeError: no convergence.
    """
    most = _INCOME_SDS * household.income_sd + 1.0  # ln of wealth
    for _ in range(_WIDENINGS):
        solution = _solve_on(household, _COARSE, most, _COARSE_TOLERANCE, max_iterations)
        if (needed := _needed(solution)) <= most:
            return _solve_on(household, grid, most, tolerance, max_iterations)
        most = 1.2 * needed
    raise RuntimeError(f"the household's problem found no grid that holds all paths: wealth reaches exp({most:.1f})")


def _needed(solution: Solution) -> float:
    """Return the ln of the most wealth that simulated paths and a margin hold."""
    own, generator = solution.household, np.random.default_rng(0)
    ln_income, wealth = np.zeros(_PATHS), np.ones(_PATHS)
    relative = []
    for period in range(_PERIODS):
        savings = own.gross_return * (wealth - solution(wealth, ln_income))
        ln_income = own.persistence * ln_income + own.volatility * generator.standard_normal(_PATHS)
        wealth = savings + np.exp(ln_income)
        if period >= _PERIODS // 2:
            relative.append(np.log(wealth) - ln_income)
    seen = np.array(relative)
    return float(max(seen.max(), seen.mean() + 6 * seen.std()) + 6 * own.income_sd)


def _solve_on(
    household: Household,
    grid: tuple[int, int],
    most: float,
    tolerance: float,
    max_iterations: int,
) -> Solution:
    gamma = household.risk_aversion
    sd = max(household.income_sd, 1e-6)
    y = np.linspace(-_INCOME_SDS * sd, _INCOME_SDS * sd, grid[0])
    ln_w = np.linspace(y[0] - 0.1, most, grid[1])  # income alone is at least exp(y[0])
    # With what earns more, wealth could leave the grid.
    most_savings = (np.exp(most) - np.exp(y[-1])) / household.gross_return
    savings = np.concatenate([[0.0], np.geomspace(1e-4, most_savings, grid[1] - 1)])
    end = int(np.searchsorted(savings, _SLOPE_SAVINGS))
    nodes, weights = _nodes(_NODES)
    next_y = np.clip(household.persistence * y[:, None] + household.volatility * nodes, y[0], y[-1])[
        ..., None
    ]  # [Y, Q, 1]
    next_ln_w = np.log(household.gross_return * savings + np.exp(next_y))  # [Y, Q, A]
    next_w, next_y = np.exp(next_ln_w), np.broadcast_to(next_y, next_ln_w.shape)

    consumption = np.broadcast_to(ln_w - 0.5, grid).copy()
    for _ in range(max_iterations):
        free = RectBivariateSpline(y, ln_w, consumption, kx=3, ky=1, s=0)
        chosen = np.minimum(np.exp(free(next_y, next_ln_w, grid=False)), next_w)
        value = household.discount * household.gross_return * np.einsum("q,yqa->ya", weights, chosen**-gamma)
        today = value ** (-1 / gamma)
        # Below the wealth at which savings are 0, what the household would consume is continued in a straight line;
        # any line below the diagonal would do, as the household then consumes all it has.
        new = np.stack([_continued(np.log(c + savings), np.log(c), ln_w, end) for c in today])
        distance = np.abs(new - consumption).max()
        consumption = new
        if not np.isfinite(distance):
            break
        if distance < tolerance:
            return Solution(household, RectBivariateSpline(y, ln_w, consumption, kx=3, ky=1, s=0))
    raise RuntimeError(
        f"the household's problem did not converge: still {distance:.1e} apart after {max_iterations} iterations"
    )


def _continued(x: Array, values: Array, at: Array, end: int) -> Array:
    inside = PchipInterpolator(x, values)(np.clip(at, x[0], x[-1]))
    low_slope = (values[end] - values[0]) / (x[end] - x[0])
    high_slope = (values[-1] - values[-2]) / (x[-1] - x[-2])
    return inside + low_slope * np.minimum(at - x[0], 0) + high_slope * np.maximum(at - x[-1], 0)
