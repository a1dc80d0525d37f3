"""Overlapping generations with capital, a collateralised bond and adjustment costs.

The benchmark economy of Azinovic, Gaegauf and Scheidegger (2022), and a smaller one with fewer ages, of whose rates
only the discount is that of its longer periods.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.calibration import check, require
from rlsuite.deqn.model import Expect, Model, Policy, Targets, blocks, columns
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Chain
from rlsuite.deqn.references.steady_state_olg import SteadyState, solve

_LEAST_CONSUMPTION = (
    0.02  # where negative plans are bent; a fraction of a percent of the economy ever consumes so little
)

_CARRIED = 0.9  # of extra holdings, by an untrained network


@dataclass(frozen=True)
class Calibration:
    """Parameters. ``discount`` is that of a whole period, of which a life has ``ages``."""

    ages: int = 56
    discount: float = 0.95
    capital_share: float = 0.3
    risk_aversion: float = 2.0
    adjustment_cost: float = 0.5
    productivity: tuple[float, float] = (0.978, 1.022)
    depreciations: tuple[float, float] = (0.08, 0.11)
    stay_productivity: float = 0.905
    stay_depreciations: tuple[float, float] = (0.972, 0.700)

    def __post_init__(self) -> None:
        check(self)
        require(self.ages >= 6, f"ages must be at least 6, for a working life and a retirement, not {self.ages}")
        require(self.adjustment_cost >= 0, f"adjustment_cost cannot be negative, but it is {self.adjustment_cost:g}")
        require(min(self.productivity) > 0, f"productivity must be positive, not {self.productivity}")
        require(
            all(0 <= d < 1 for d in self.depreciations), f"depreciations must lie in [0, 1), not {self.depreciations}"
        )

    @property
    def collateral(self) -> float:
        """Capital that a unit of debt needs: in the worst regime, what is left of it is that unit."""
        return 1 / (1 - max(self.depreciations))

    @property
    def transition(self) -> tuple[tuple[float, ...], ...]:
        """Transition matrix of the regimes.

        In order (depreciation, productivity) = (low, low), (low, high), (high, low), (high, high).
        """
        stay = self.stay_productivity
        low, high = self.stay_depreciations
        depreciation = np.array([[low, 1 - low], [1 - high, high]])
        return tuple(map(tuple, np.kron(depreciation, [[stay, 1 - stay], [1 - stay, stay]]).tolist()))

    @cached_property
    def _stationary(self) -> list[float]:
        return Chain(self.transition).stationary().tolist()

    @property
    def mean_depreciation(self) -> float:
        return float(np.dot(self._stationary, np.repeat(self.depreciations, 2)))

    @property
    def mean_productivity(self) -> float:
        return float(np.dot(self._stationary, np.tile(self.productivity, 2)))

    @property
    def labour(self) -> tuple[float, ...]:
        """Endowments by age: a hump, a decline from two thirds of life, a pension from five sixths."""
        middle, decline, retirement = self.ages / 2, int(2 * self.ages / 3), int(5 * self.ages / 6)

        def working(age: int) -> float:
            return 0.6 + 0.762 / middle**2 * (middle**2 - (age - middle) ** 2)

        def declining(age: int) -> float:
            return working(decline) * (1 - 0.5 * (age - decline) / (retirement - 1 - decline))

        return tuple(
            working(a) if a < decline else declining(a) if a < retirement else 0.5 * working(decline)
            for a in range(self.ages)
        )


class BenchmarkOLG(Model):
    """State: the regime (one column each), then capital and bonds of ages 2 to A.

    Components of policies and residuals are the ages 1 to A - 1, who choose.
    Choices are capital ``k' >= 0`` and collateral ``q = k' + kappa b' >= 0``; the bond market clears by form.
    """

    calibrations: ClassVar = {"ages-12": Calibration(ages=12, discount=0.95 ** (56 / 12)), "ages-56": Calibration()}
    equation_names = ("euler_capital", "euler_bond")
    targets = Targets(mean=-4.0, p99=-3.0, max=-2.0, box_p99=-2.0, box_max=-0.75)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        if calibration.ages > 20:  # too many weights for the second phase
            return {"hidden": (128, 128), "tracks": 128, "adam_updates": 7000, "polish_updates": 0}
        return {"hidden": (32, 32), "adam_updates": 6000, "polish_updates": 15, "polish_states": 500}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        self.euler_curvature = dict.fromkeys(self.equation_names, calibration.risk_aversion)
        self.savers = calibration.ages - 1
        self.shocks = self.chain = Chain(calibration.transition)
        ages = range(2, calibration.ages + 1)
        self.state_names = (
            *(f"regime_{i + 1}" for i in range(4)),
            *(f"capital_{age}" for age in ages),
            *(f"bond_{age}" for age in ages),
        )
        self.exogenous = self.state_names[:4]
        self.num_features = 3 + 2 * self.savers
        self.num_outputs = 2 * self.savers + 1
        self.steady_state: SteadyState = solve(calibration)
        self._capital = torch.from_numpy(self.steady_state.capital)
        self._bond = torch.from_numpy(self.steady_state.bond)
        self._scale = 0.1 * self._capital + 0.02 * self._capital.mean()  # of features
        # Slack where positive, minus the multiplier where not: the raw outputs of the steady state.
        self._capital_choice = self._capital - torch.from_numpy(self.steady_state.capital_multiplier)
        self._collateral_choice = torch.from_numpy(
            self.steady_state.collateral - self.steady_state.collateral_multiplier
        )
        self._labour = torch.tensor(calibration.labour, dtype=torch.float64)
        self._productivity = torch.tensor(calibration.productivity, dtype=torch.float64).tile(2)
        self._depreciation = torch.tensor(calibration.depreciations, dtype=torch.float64).repeat_interleave(2)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        together = random.normal(random.key(key, 1), count, 1).double()
        apart = random.normal(random.key(key, 3), count, self.savers).double()
        return self._state(key, torch.exp(0.04 * together + 0.02 * apart))

    def coordinates(self, state: Tensor) -> Tensor:
        """The log of aggregate capital, and how far the ages' holdings are from their usual shares: ``[..., B, 2]``."""
        aggregate, apart = self._aggregate_and_distances(state)
        return columns(torch.log(aggregate), self._dispersion(apart))

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        _, apart = self._aggregate_and_distances(state)
        factor = coordinates[..., 1].abs() / self._dispersion(apart).clamp(min=1e-12)
        apart = factor.unsqueeze(-1) * apart
        level = torch.exp(coordinates[..., :1])
        capital, bond = (level * shares for shares in (apart + self._usual_shares(state)).split(self.savers, dim=-1))
        return blocks(self._split(state)[0], capital.clamp(min=0.0), bond)

    def _aggregate_and_distances(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Aggregate capital ``[...]``; capital and bonds relative to it, less the same at rest ``[..., 2 (A - 1)]``."""
        _, capital, bond = self._split(state)
        aggregate = capital.sum(dim=-1)
        return aggregate, torch.cat([capital, bond], dim=-1) / aggregate.unsqueeze(-1) - self._usual_shares(state)

    def _usual_shares(self, state: Tensor) -> Tensor:
        return (torch.cat([self._capital, self._bond]) / self._capital.sum()).to(state)

    @staticmethod
    def _dispersion(apart: Tensor) -> Tensor:
        return apart.square().sum(dim=-1).sqrt()

    def _state(self, key: Tensor, relative_wealth: Tensor) -> Tensor:
        # By the inverse of the stationary distribution, so that rare regimes are as rare as on paths.
        uniform = random.uniform(random.key(key, 2), relative_wealth.shape[-2]).double()
        ends = self.chain.stationary().to(key.device).cumsum(dim=0)[:-1]
        regime = F.one_hot((uniform.unsqueeze(-1) >= ends).sum(dim=-1), 4).double()
        bond = self._bond.to(key.device) * relative_wealth
        bond = bond - bond.mean(dim=-1, keepdim=True)  # the market has cleared
        return blocks(regime, self._capital.to(key.device) * relative_wealth, bond)

    def features(self, state: Tensor) -> Tensor:
        regime, capital, bond = self._split(state)
        productivity = (regime @ self._productivity.to(state) - 1) / 0.022
        depreciation = (regime @ self._depreciation.to(state) - 0.095) / 0.015
        aggregate = torch.log(capital.sum(dim=-1) / self.steady_state.aggregate_capital) / 0.05
        apart = torch.cat([capital - self._capital.to(state), bond - self._bond.to(state)], dim=-1)
        return torch.cat(
            [torch.stack([productivity, depreciation, aggregate], dim=-1), apart / self._scale.to(state).tile(2)],
            dim=-1,
        )

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        _, held, owed = self._split(state)
        extra_capital, extra_bond = held - self._capital.to(state), owed - self._bond.to(state)
        # A saver who wakes up with more than in the steady state carries most of it on.
        carried_capital = F.pad(_CARRIED * extra_capital, (1, -1))
        carried_collateral = F.pad(_CARRIED * (extra_capital + self.calibration.collateral * extra_bond), (1, -1))
        raw_capital, raw_collateral, raw_price = raw.split((self.savers, self.savers, 1), dim=-1)
        capital, capital_multiplier = heads.complementarity(
            self._capital_choice.to(state) + carried_capital + 0.1 * raw_capital
        )
        collateral, collateral_multiplier = heads.complementarity(
            self._collateral_choice.to(state) + carried_collateral + 0.1 * raw_collateral
        )
        # Rescaled so that bonds sum to zero; zeros stay zeros, so complementarity is untouched.
        collateral = collateral * (capital.sum(dim=-1, keepdim=True) / collateral.sum(dim=-1, keepdim=True))
        return {
            "capital": capital,
            "bond": (collateral - capital) / self.calibration.collateral,
            "collateral": collateral,
            "capital_multiplier": capital_multiplier,
            "collateral_multiplier": collateral_multiplier,
            "bond_price": self.steady_state.bond_price * torch.exp(0.1 * raw_price[..., 0]),
        }

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        return blocks(shock, policy["capital"], policy["bond"])

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        own = self.calibration
        gamma = own.risk_aversion
        consumption = self._positive_consumption(state, policy)[..., :-1]
        price = policy["bond_price"].unsqueeze(-1)

        def values_tomorrow(next_state: Tensor, next_policy: Policy) -> Tensor:
            gross_return, _ = self.prices(next_state)
            gross_return = gross_return.unsqueeze(-1)
            growth = self._positive_consumption(next_state, next_policy)[..., 1:] / consumption
            discount = own.discount * growth**-gamma
            of_capital = discount * gross_return * self._wedge(next_state, next_policy)[..., 1:]
            of_bond = discount * torch.clamp(own.collateral * gross_return, max=1.0)
            return torch.cat([of_capital, of_bond], dim=-1)

        of_capital, of_bond = expect(values_tomorrow).split(self.savers, dim=-1)
        of_capital = of_capital + policy["capital_multiplier"] + policy["collateral_multiplier"]
        of_bond = of_bond + own.collateral * policy["collateral_multiplier"]
        return {
            "euler_capital": consumption_error(
                of_capital / heads.positive(self._wedge(state, policy)[..., :-1], 0.05), gamma
            ),
            "euler_bond": consumption_error(of_bond / price, gamma),
        }

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        _, capital, _ = self._split(state)
        return (capital >= 0).all(dim=-1) & (self.consumption(state, policy) > 0).all(dim=-1)

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        mean_wage = self.steady_state.wage
        return {
            "capital": (policy["capital"] / mean_wage, policy["capital_multiplier"]),
            "collateral": (policy["collateral"] / mean_wage, policy["collateral_multiplier"]),
        }

    def clearing(self, state: Tensor, policy: Policy) -> Tensor:
        _, wage = self.prices(state)
        output = wage * self._labour.sum().item() / (1 - self.calibration.capital_share)
        return policy["bond"].sum(dim=-1) / output

    def aggregates(self, state: Tensor) -> dict[str, Tensor]:
        _, capital, _ = self._split(state)
        return {"aggregate capital": capital.sum(dim=-1), "gross return": self.prices(state)[0]}

    def prices(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Gross return on capital and the wage, ``[...]`` each."""
        regime, capital, _ = self._split(state)
        alpha = self.calibration.capital_share
        productivity = regime @ self._productivity.to(state)
        intensity = capital.sum(dim=-1).clamp(min=1e-6) / self._labour.sum().item()
        gross_return = alpha * productivity * intensity ** (alpha - 1) + 1 - regime @ self._depreciation.to(state)
        return gross_return, (1 - alpha) * productivity * intensity**alpha

    def consumption(self, state: Tensor, policy: Policy) -> Tensor:
        """Consumption of all ages ``[..., A]``."""
        own = self.calibration
        gross_return, wage = (price.unsqueeze(-1) for price in self.prices(state))
        _, capital, bond = self._split(state)
        # The youngest wake up with nothing, the oldest carry nothing on.
        held, owed = F.pad(capital, (1, 0)), F.pad(bond, (1, 0))
        saved, bought = F.pad(policy["capital"], (0, 1)), F.pad(policy["bond"], (0, 1))
        income = (
            gross_return * held
            + torch.clamp(own.collateral * gross_return, max=1.0) * owed
            + wage * self._labour.to(state)
        )
        adjustment = own.adjustment_cost / 2 * (saved - gross_return * held) ** 2
        return income - saved - policy["bond_price"].unsqueeze(-1) * bought - adjustment

    def _positive_consumption(self, state: Tensor, policy: Policy) -> Tensor:
        return heads.positive(self.consumption(state, policy), _LEAST_CONSUMPTION)

    def _wedge(self, state: Tensor, policy: Policy) -> Tensor:
        """Return the marginal cost of capital saved, adjustment included, for all ages ``[..., A]``."""
        gross_return, _ = self.prices(state)
        _, capital, _ = self._split(state)
        saved = F.pad(policy["capital"], (0, 1))
        return 1 + self.calibration.adjustment_cost * (saved - gross_return.unsqueeze(-1) * F.pad(capital, (1, 0)))

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        regime, capital, bond = state.split((4, self.savers, self.savers), dim=-1)
        return regime, capital, bond
