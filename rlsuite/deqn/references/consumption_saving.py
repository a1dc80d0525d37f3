"""The household with risky income and no debt by the method of endogenous grids (Carroll, 2006). Uses no torch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, RectBivariateSpline

Array = NDArray[np.float64]
_NODES = 7  # Gauss-Hermite
_INCOME_SDS = 5.0  # half width of the grid
_SLOPE_SAVINGS = 0.05  # up to which the slope of the continuation is taken
_LN_WEALTH = (-1.3, 4.0)


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

    free: RectBivariateSpline  # ln of consumption if the household could borrow today, over (ln income, ln wealth)

    def __call__(self, wealth: Array, ln_income: Array) -> Array:
        return np.minimum(np.exp(self.free(ln_income, np.log(wealth), grid=False)), wealth)


def solve(
    household: Household, *, grid: tuple[int, int] = (41, 300), tolerance: float = 1e-9, max_iterations: int = 2000
) -> Solution:
    """The policy on a grid of (ln income, ln wealth) points.

    Raises:
        RuntimeError: no convergence.
    """
    gamma = household.risk_aversion
    sd = max(household.income_sd, 1e-6)
    y = np.linspace(-_INCOME_SDS * sd, _INCOME_SDS * sd, grid[0])
    ln_w = np.linspace(*_LN_WEALTH, grid[1])
    savings = np.concatenate([[0.0], np.geomspace(1e-4, np.exp(_LN_WEALTH[1]), grid[1] - 1)])
    end = int(np.searchsorted(savings, _SLOPE_SAVINGS))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
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
        if distance < tolerance:
            return Solution(RectBivariateSpline(y, ln_w, consumption, kx=3, ky=1, s=0))
    raise RuntimeError(
        f"the household's problem did not converge: still {distance:.1e} apart after {max_iterations} iterations"
    )


def _continued(x: Array, values: Array, at: Array, end: int) -> Array:
    inside = PchipInterpolator(x, values)(np.clip(at, x[0], x[-1]))
    low_slope = (values[end] - values[0]) / (x[end] - x[0])
    high_slope = (values[-1] - values[-2]) / (x[-1] - x[-2])
    return inside + low_slope * np.minimum(at - x[0], 0) + high_slope * np.maximum(at - x[-1], 0)
