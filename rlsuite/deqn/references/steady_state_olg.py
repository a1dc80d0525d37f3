"""The deterministic steady state of the overlapping-generations economy with capital, bond and constraints.

One system of equations for all ages, solved by a trust-region Newton method: no network, no torch, no simulation.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Array = NDArray[np.float64]


class Economy(Protocol):
    """The parameters of a calibration that the method reads."""

    @property
    def discount(self) -> float: ...
    @property
    def capital_share(self) -> float: ...
    @property
    def risk_aversion(self) -> float: ...
    @property
    def adjustment_cost(self) -> float: ...

    @property
    def ages(self) -> int: ...
    @property
    def collateral(self) -> float: ...
    @property
    def labour(self) -> tuple[float, ...]: ...
    @property
    def mean_depreciation(self) -> float: ...
    @property
    def mean_productivity(self) -> float: ...


@dataclass(frozen=True)
class SteadyState:
    """The steady state by age; entry h of the choices is made at age h + 1 and carried into age h + 2."""

    capital: Array  # [A - 1], k'
    collateral: Array  # [A - 1], q = k' + kappa b'
    capital_multiplier: Array  # [A - 1], of k' >= 0, over marginal utility
    collateral_multiplier: Array  # [A - 1], of q >= 0, over marginal utility
    bond_price: float
    bond: Array  # [A - 1], b'
    consumption: Array  # [A]
    gross_return: float
    wage: float
    residual: float  # the largest of all equations

    @property
    def aggregate_capital(self) -> float:
        return float(self.capital.sum())


def solve(economy: Economy) -> SteadyState:
    """The steady state with productivity and depreciation at their long-run means.

    Raises:
        RuntimeError: Newton's method does not reach it.
    """
    savers = economy.ages - 1
    labour = np.array(economy.labour)
    alpha, gamma, beta, zeta = economy.capital_share, economy.risk_aversion, economy.discount, economy.adjustment_cost
    kappa = economy.collateral

    def unfold(x: Array) -> SteadyState:
        capital, capital_multiplier, collateral, collateral_multiplier = x[:-1].reshape(4, savers)
        price = x[-1]
        intensity = max(capital.sum(), 1e-3) / labour.sum()
        gross_return = alpha * economy.mean_productivity * intensity ** (alpha - 1) + 1 - economy.mean_depreciation
        wage = (1 - alpha) * economy.mean_productivity * intensity**alpha
        bond = (collateral - capital) / kappa
        held, owed = np.append(0, capital), np.append(0, bond)
        saved, bought = np.append(capital, 0), np.append(bond, 0)
        adjustment = zeta / 2 * (saved - gross_return * held) ** 2
        payoff = min(kappa * gross_return, 1.0)
        consumption = gross_return * held + payoff * owed + wage * labour - saved - price * bought - adjustment
        return SteadyState(
            capital,
            collateral,
            capital_multiplier,
            collateral_multiplier,
            price,
            bond,
            consumption,
            gross_return,
            wage,
            0.0,
        )

    def equations(x: Array) -> Array:
        s = unfold(x)
        held, saved = np.append(0, s.capital), np.append(s.capital, 0)
        wedge = 1 + zeta * (saved - s.gross_return * held)
        consumption = np.maximum(s.consumption, 1e-3)
        growth = (consumption[1:] / consumption[:-1]) ** -gamma
        payoff = min(kappa * s.gross_return, 1.0)
        euler_capital = (
            beta * s.gross_return * wedge[1:] * growth + s.capital_multiplier + s.collateral_multiplier - wedge[:-1]
        )
        euler_bond = beta * payoff * growth + kappa * s.collateral_multiplier - s.bond_price
        either_capital = s.capital + s.capital_multiplier - np.hypot(s.capital, s.capital_multiplier)
        either_collateral = s.collateral + s.collateral_multiplier - np.hypot(s.collateral, s.collateral_multiplier)
        return np.concatenate([euler_capital, euler_bond, either_capital, either_collateral, [s.bond.sum()]])

    # A hump of capital over the life, no bonds, and a return a little above the rate of time preference.
    hump = np.sin(np.pi * (np.arange(savers) + 1) / (savers + 1)) ** 2
    intensity = (alpha / (1 / beta - 1 + economy.mean_depreciation)) ** (1 / (1 - alpha))
    capital = hump / hump.sum() * intensity * labour.sum()
    zeros = np.zeros(savers)
    guess = np.concatenate([capital, zeros, capital, zeros, [beta]])
    found = least_squares(
        equations, guess, method="trf", x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=400
    )
    worst = float(np.abs(found.fun).max())
    if worst > 1e-9:
        raise RuntimeError(f"no steady state found: the largest residual is {worst:.1e} after {found.nfev} evaluations")
    # What is zero in the solution comes out as plus or minus rounding, and LAPACK's last digits depend on where its
    # operands lie in memory; a resumed run must find the same numbers.
    state = unfold(np.maximum(found.x, 0.0).round(12))
    return SteadyState(**{**vars(state), "residual": worst})
