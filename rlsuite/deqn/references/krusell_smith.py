"""The economy of Krusell and Smith (1998) by their own algorithm. Uses no torch.

Households forecast tomorrow's capital from today's alone, ``ln K' = a_z + b_z ln K``. Given such rules, their problem
is solved on endogenous grids (Carroll, 2006); the distribution is then simulated as a histogram (Young, 2010), and the
rules fitted to what came about, until they no longer change.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import NoConvergence, broyden1

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_CAPITAL = 200.0  # the richest household of the grids
_CURVATURE = 3.0  # of the grid of the household's problem, denser near the constraint
_BAND = 0.25  # half width of the grid of aggregate capital, relative to the steady state's
_HOUSEHOLD_SWEEPS = 5000
# Capital falls by about 3 % where households expect 1 % more of it, so that only part of the difference is taken.
_FIRST_STEP = 0.25


class Economy(Protocol):
    """The parameters of a calibration that the method reads; regimes are (bad, good), jobs (without, with)."""

    @property
    def discount(self) -> float: ...
    @property
    def depreciation(self) -> float: ...
    @property
    def capital(self) -> float: ...
    @property
    def chances(self) -> tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]: ...
    @property
    def unemployment(self) -> tuple[float, float]: ...

    def prices(self, regime: int, capital: float) -> tuple[float, tuple[float, float]]:
        """The gross return, and the incomes without and with a job."""
        ...


@dataclass(frozen=True)
class Household:
    """Consumption of households that believe in given rules."""

    consumption: Array  # [regime, job, moment, grid]
    moments: Array  # aggregate capital
    grid: Array  # a household's capital

    def __call__(self, regime: int, job: int, capital: Array, own: Array) -> Array:
        """Consumption ``[N]`` of households with capital ``own`` in economies with ``capital``."""
        first, weights = _stencil(self.moments, capital)
        rows = self.consumption[regime, job]
        return sum(weights[i] * self._between(rows, first + i, own) for i in range(4))

    def _between(self, rows: Array, moment: Integers, own: Array) -> Array:
        """Straight lines between points of the grid."""
        above = np.searchsorted(self.grid, own).clip(1, len(self.grid) - 1)
        share = (own - self.grid[above - 1]) / (self.grid[above] - self.grid[above - 1])
        return (1 - share) * rows[moment, above - 1] + share * rows[moment, above]


@dataclass(frozen=True)
class Path:
    """A simulated economy; distributions are those at the beginning of a period."""

    capital: Array  # [T]
    histogram: Array  # [2, N], after the last period
    mean_histogram: Array  # [2, N], over all periods


@dataclass(frozen=True)
class Solution:
    """The forecasting rules and the households' consumption under them."""

    economy: Economy
    rules: Array  # [regime, (a, b)]
    consumption: Array  # [regime, job, moment, grid]
    moments: Array  # aggregate capital
    grid: Array  # a household's capital
    histogram_grid: Array
    histogram: Array  # [2, N], the average of the last simulation
    forecast_error: tuple[
        float, float
    ]  # of rules run forward on their own, mean and largest, relative (den Haan, 2010)
    r_squared: float  # the worse of the rules' two

    def household(self, regime: int, job: int, capital: float, own: Array) -> Array:
        """Consumption of households with capital ``own`` where the economy's is ``capital``."""
        return Household(self.consumption, self.moments, self.grid)(regime, job, np.full(own.shape, capital), own)

    def start(self, regimes: Integers) -> Array:
        """The average distribution, with as many unemployed as the first regime has: to start a path from."""
        return _adjusted(self.economy, self.histogram, int(regimes[0]))

    def simulate(self, regimes: Integers, histogram: Array) -> Path:
        """Capital along given regimes ``[T]`` from a histogram over ``histogram_grid``."""
        return _simulate(
            self.economy, self.consumption, self.moments, self.grid, self.histogram_grid, regimes, histogram
        )


def solve(
    economy: Economy,
    *,
    grid_points: int = 600,
    histogram_points: int = 1500,
    periods: int = 2500,
    discarded: int = 500,
    moments: int = 5,
    tolerance: float = 1e-6,
    household_tolerance: float = 1e-8,
    max_iterations: int = 60,
    seed: int = 0,
) -> Solution:
    """Find the rules.

    Args:
        grid_points: of a household's capital.
        histogram_points: of the simulated distribution.
        periods: simulated, of which so many are ``discarded`` before rules are fitted.
        moments: points of aggregate capital at which households decide, at least 4.
        tolerance: of what the rules forecast, relative to capital.
        household_tolerance: of consumption, relative.

    Raises:
        RuntimeError: no convergence.
    """
    grid, levels_of_capital = _grids(economy, grid_points, moments)
    histogram_grid = np.linspace(0, _CAPITAL, histogram_points)
    regimes = draw_regimes(economy, periods, seed)
    consumption = _first_guess(economy, levels_of_capital, grid)
    histogram = _spread(economy, histogram_grid, int(regimes[0]))
    # The unknowns are what the rules forecast at two levels of capital, which slopes and intercepts hardly tell apart.
    levels = np.log(economy.capital) + np.array([-0.05, 0.05])
    at_levels = np.stack([np.ones(2), levels])  # (1, ln K) by level
    found: tuple[Path, Array, float] | None = None

    def surprise(forecasts: Array) -> Array:
        """Difference between what comes about and what is believed."""
        nonlocal consumption, histogram, found
        rules = forecasts.reshape(2, 2) @ np.linalg.inv(at_levels)
        consumption = _household(economy, rules, consumption, levels_of_capital, grid, household_tolerance)
        path = _simulate(economy, consumption, levels_of_capital, grid, histogram_grid, regimes, histogram)
        fitted, r_squared = _fit(path.capital, regimes, discarded)
        histogram = _adjusted(economy, path.mean_histogram, int(regimes[0]))
        found = path, rules, r_squared
        return (fitted @ at_levels).ravel() - forecasts

    start = np.tile(0.03 * np.log(economy.capital) + 0.97 * levels, 2)
    try:
        broyden1(surprise, start, alpha=_FIRST_STEP, f_tol=tolerance, maxiter=max_iterations)
    except NoConvergence as error:
        raise RuntimeError("the forecasting rules of the reference did not converge") from error
    assert found is not None
    path, rules, r_squared = found
    error_of_rules = _dynamic_forecast_error(rules, path.capital, regimes, discarded)
    return Solution(
        economy,
        rules,
        consumption,
        levels_of_capital,
        grid,
        histogram_grid,
        path.mean_histogram,
        error_of_rules,
        r_squared,
    )


def household(economy: Economy, rules: Array, *, grid_points: int = 600, moments: int = 5) -> Household:
    """Consumption of a household that believes in such rules ``[regime, (a, b)]``; arguments as of ``solve``."""
    grid, levels = _grids(economy, grid_points, moments)
    guess = _first_guess(economy, levels, grid)
    return Household(_household(economy, rules, guess, levels, grid, tolerance=1e-8), levels, grid)


def _grids(economy: Economy, grid_points: int, moments: int) -> tuple[Array, Array]:
    """A household's capital, and aggregate capital."""
    grid = _CAPITAL * np.linspace(0, 1, grid_points) ** _CURVATURE
    return grid, economy.capital * np.linspace(1 - _BAND, 1 + _BAND, moments)


def at_rest(economy: Economy, capital: float, own: Array) -> Array:
    """Consumption ``[regime, job, own]`` if aggregate capital never moved: a first guess in a tenth of a second."""
    grid, moments = _CAPITAL * np.linspace(0, 1, 100) ** _CURVATURE, capital * np.array([1.0, 1.01, 1.02, 1.03])
    rules = np.array([[0.0, 1.0]] * 2)
    found = _household(economy, rules, _first_guess(economy, moments, grid), moments, grid, tolerance=1e-5)
    return np.stack([[np.interp(own, grid, rows[0]) for rows in by_job] for by_job in found])


def draw_regimes(economy: Economy, periods: int, seed: int) -> Integers:
    """A path of regimes, the first one bad."""
    stay = np.asarray(economy.chances)[0, 0, :].sum(axis=-1), np.asarray(economy.chances)[1, 0, :].sum(axis=-1)
    uniform = np.random.default_rng(seed).random(periods)
    regimes = np.zeros(periods, dtype=np.int64)
    for t in range(1, periods):
        regimes[t] = int(uniform[t] < stay[regimes[t - 1]][1])
    return regimes


def _first_guess(economy: Economy, moments: Array, grid: Array) -> Array:
    guess = np.empty((2, 2, len(moments), len(grid)))
    for regime in range(2):
        for m, capital in enumerate(moments):
            gross_return, incomes = economy.prices(regime, capital)
            for job, income in enumerate(incomes):
                guess[regime, job, m] = np.minimum(income + gross_return * grid, 0.8 * incomes[1] + 0.02 * grid)
    return guess


def _stencil(points: Array, at: Any) -> tuple[Any, Array]:
    """The first of four evenly spaced points around each value, and Lagrange's weights of all four.

    Straight lines would not do: consumption is concave in aggregate capital, and capital almost a random walk, so that
    errors of a ten-thousandth with one sign move its level by some tenths of a percent.
    """
    first = np.clip((at - points[0]) // (points[1] - points[0]) - 1, 0, len(points) - 4).astype(np.int64)
    a = (at - points[first]) / (points[1] - points[0])
    b, c, d = a - 1, a - 2, a - 3
    return first, np.array([-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6])


def _household(
    economy: Economy,
    rules: Array,
    consumption: Array,
    moments: Array,
    grid: Array,
    tolerance: float,
) -> Array:
    """Consumption ``[regime, job, moment, grid]`` of households who believe in the rules."""
    chances = np.asarray(economy.chances)
    ahead = [[np.exp(rules[z, 0] + rules[z, 1] * np.log(capital)) for capital in moments] for z in range(2)]
    places = [[_stencil(moments, value) for value in row] for row in ahead]
    first = np.array([[place[0] for place in row] for row in places])  # [z, moment]
    weights = np.array([[place[1] for place in row] for row in places])  # [z, moment, 4]
    at = first[..., None] + np.arange(4)
    returns = np.array([[[economy.prices(s, v)[0] for v in row] for row in ahead] for s in range(2)])  # [s, z, moment]
    today = [[economy.prices(z, capital) for capital in moments] for z in range(2)]
    consumption = consumption.copy()
    for _ in range(_HOUSEHOLD_SWEEPS):
        value = np.zeros((2, 2, len(moments), len(grid)))  # [z, e, moment, savings]
        for s in range(2):
            rows = consumption[s]  # [e', moment, grid]
            following = np.einsum("zmi,ezmik->ezmk", weights, rows[:, at])  # [e', z, moment, savings]
            marginal = returns[s][None, :, :, None] / following
            value += np.einsum("zef,fzmk->zemk", chances[:, :, s, :], marginal)
        wanted = 1 / (economy.discount * value)
        distance = 0.0
        for z in range(2):
            for m in range(len(moments)):
                gross_return, incomes = today[z][m]
                for e in range(2):
                    own = (wanted[z, e, m] + grid - incomes[e]) / gross_return
                    new = np.interp(grid, own, wanted[z, e, m])
                    top = grid > own[-1]
                    if top.any():
                        slope = (wanted[z, e, m, -1] - wanted[z, e, m, -2]) / (own[-1] - own[-2])
                        new[top] = wanted[z, e, m, -1] + slope * (grid[top] - own[-1])
                    # Below the capital at which savings are 0, all is consumed.
                    new = np.where(grid < own[0], gross_return * grid + incomes[e], new)
                    distance = max(distance, np.abs(new / consumption[z, e, m] - 1).max())
                    consumption[z, e, m] = new
        if distance < tolerance:
            return consumption
    raise RuntimeError(f"the household's problem did not converge: still {distance:.1e} apart")


def _spread(economy: Economy, grid: Array, regime: int) -> Array:
    """A smooth distribution around the steady state."""
    shape = np.exp(-0.5 * ((grid - economy.capital) / (0.35 * economy.capital)) ** 2)
    return _adjusted(economy, np.stack([shape, shape]), regime)


def _adjusted(economy: Economy, histogram: Array, regime: int) -> Array:
    """The histogram with as many unemployed as the regime has."""
    shares = np.array([economy.unemployment[regime], 1 - economy.unemployment[regime]])
    return histogram / histogram.sum(axis=1, keepdims=True) * shares[:, None]


def _simulate(
    economy: Economy,
    consumption: Array,
    moments: Array,
    grid: Array,
    histogram_grid: Array,
    regimes: Integers,
    histogram: Array,
) -> Path:
    fine = np.stack([np.interp(histogram_grid, grid, row) for row in consumption.reshape(-1, len(grid))])
    fine = fine.reshape(2, 2, len(moments), -1)
    # What remains of the unemployed, and of the employed, given both regimes.
    chances = np.asarray(economy.chances)
    chances = chances / chances.sum(axis=3, keepdims=True)
    step, last = histogram_grid[1], len(histogram_grid) - 1
    capital, total = np.empty(len(regimes)), np.zeros_like(histogram)
    for t, regime in enumerate(regimes):
        total += histogram
        capital[t] = (histogram @ histogram_grid).sum()
        first, weights = _stencil(moments, capital[t])
        gross_return, incomes = economy.prices(int(regime), capital[t])
        chosen = np.einsum("i,eik->ek", weights, fine[regime, :, first : first + 4])
        wealth = gross_return * histogram_grid + np.array(incomes)[:, None]
        place = np.clip((wealth - chosen) / step, 0, last)
        below = np.minimum(place.astype(np.int64), last - 1)
        above = place - below
        moved = [
            np.bincount(below[e], histogram[e] * (1 - above[e]), last + 1)
            + np.bincount(below[e] + 1, histogram[e] * above[e], last + 1)
            for e in range(2)
        ]
        following = regimes[t + 1] if t + 1 < len(regimes) else regime
        histogram = chances[regime, :, following].T @ np.stack(moved)
    return Path(capital, histogram, total / len(regimes))


def _fit(capital: Array, regimes: Integers, discarded: int) -> tuple[Array, float]:
    """Least squares of ``ln K'`` on ``ln K`` by regime ``[regime, (a, b)]``, and the smaller R squared."""
    x, y, z = np.log(capital[discarded:-1]), np.log(capital[discarded + 1 :]), regimes[discarded:-1]
    rules, fits = np.empty((2, 2)), []
    for regime in range(2):
        own_x, own_y = x[z == regime], y[z == regime]
        slope = np.cov(own_x, own_y)[0, 1] / own_x.var(ddof=1)
        rules[regime] = own_y.mean() - slope * own_x.mean(), slope
        rest = own_y - rules[regime, 0] - slope * own_x
        fits.append(1 - rest.var() / own_y.var())
    return rules, min(fits)


def _dynamic_forecast_error(rules: Array, capital: Array, regimes: Integers, discarded: int) -> tuple[float, float]:
    forecast = np.log(capital[discarded])
    errors = []
    for t in range(discarded, len(capital)):
        errors.append(abs(np.exp(forecast) / capital[t] - 1))
        forecast = rules[regimes[t], 0] + rules[regimes[t], 1] * forecast
    return float(np.mean(errors)), float(np.max(errors))
