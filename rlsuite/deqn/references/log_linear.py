"""The international business cycle to first order around its steady state, solved as a quadratic matrix equation.

Uses no network and no torch. Gives the eigenvalues that any accurate policy must have at the steady state.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import ordqz

Array = NDArray[np.float64]


class Economy(Protocol):
    """The parameters of a calibration that the method reads."""

    @property
    def discount(self) -> float: ...
    @property
    def capital_share(self) -> float: ...
    @property
    def depreciation(self) -> float: ...
    @property
    def adjustment_cost(self) -> float: ...
    @property
    def persistence(self) -> float: ...
    @property
    def substitution(self) -> tuple[float, ...]: ...

    @property
    def technology(self) -> float: ...


class Solution(NamedTuple):
    """``ln k' = capital @ ln k + productivity @ z``, ``ln lambda = price_capital @ ln k + price_productivity @ z``."""

    capital: Array  # [N, N]
    productivity: Array  # [N, N]
    price_capital: Array  # [N]
    price_productivity: Array  # [N]


def _ln_price(economy: Economy, ln_capital: Array, ln_next: Array, z: Array) -> float:
    """The planner's ln lambda that makes consumption use up the resources, to the accuracy of a Newton iteration."""
    capital, following = np.exp(ln_capital), np.exp(ln_next)
    output = economy.technology * np.exp(z) * capital**economy.capital_share
    costs = economy.adjustment_cost / 2 * capital * (following / capital - 1) ** 2
    resources = (output + (1 - economy.depreciation) * capital - following - costs).sum()
    elasticities = np.array(economy.substitution)
    steady_consumption = economy.technology - economy.depreciation
    ln_price = 0.0
    for _ in range(30):
        consumption = steady_consumption * np.exp(-elasticities * ln_price)
        ln_price += (consumption.sum() - resources) / (elasticities * consumption).sum()
    return ln_price


def _euler(economy: Economy, x: Array) -> Array:
    """Euler equations without risk; ``x`` is ln k, ln k', ln k'', z and z' in this order, N entries each."""
    ln_capital, ln_next, ln_after, z, next_z = x.reshape(5, -1)
    price = np.exp(_ln_price(economy, ln_capital, ln_next, z))
    next_price = np.exp(_ln_price(economy, ln_next, ln_after, next_z))
    growth, next_growth = np.exp(ln_next - ln_capital), np.exp(ln_after - ln_next)
    marginal_product = (
        economy.capital_share * economy.technology * np.exp(next_z + (economy.capital_share - 1) * ln_next)
    )
    gain = marginal_product + 1 - economy.depreciation - economy.adjustment_cost / 2 * (1 - next_growth**2)
    return economy.discount * next_price / price * gain - (1 + economy.adjustment_cost * (growth - 1))


def solve(economy: Economy) -> Solution:
    """The stable solution.

    Raises:
        RuntimeError: the economy has not exactly one.
    """
    n = len(economy.substitution)
    jacobian = _jacobian(lambda x: _euler(economy, x), np.zeros(5 * n))
    a0, a1, a2, b0, b1 = np.split(jacobian, 5, axis=1)
    # a2 P^2 + a1 P + a0 = 0 with P stable, from the pencil of (k', k'') on (k, k') (Uhlig, 1999).
    identity, zeros = np.eye(n), np.zeros((n, n))
    left = np.block([[identity, zeros], [zeros, a2]])
    right = np.block([[zeros, identity], [-a0, -a1]])
    *_, alpha, beta, _, vectors = ordqz(right, left, sort="iuc")
    stable = int((np.abs(alpha) < np.abs(beta)).sum())
    if stable != n:
        raise RuntimeError(f"{stable} stable eigenvalues for {n} capital stocks: no unique stable solution")
    capital = np.real(vectors[n:, :n] @ np.linalg.inv(vectors[:n, :n]))
    rho = economy.persistence
    productivity = -np.linalg.solve(a2 @ capital + a1 + rho * a2, b0 + rho * b1)
    by_capital, by_next, by_z = np.split(
        _jacobian(lambda x: np.atleast_1d(_ln_price(economy, *x.reshape(3, -1))), np.zeros(3 * n))[0], 3
    )
    return Solution(capital, productivity, by_capital + by_next @ capital, by_z + by_next @ productivity)


def _jacobian(function: Callable[[Array], Array], x: Array) -> Array:
    """Central differences: exact to about 1e-10 for these smooth functions of unit scale."""
    step = 1e-5
    columns = [(function(x + step * unit) - function(x - step * unit)) / (2 * step) for unit in np.eye(len(x))]
    return np.stack(columns, axis=1)
