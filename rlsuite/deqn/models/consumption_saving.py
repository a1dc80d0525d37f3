"""A household that saves against risky income and cannot borrow (Maliar, Maliar and Winant, 2021, section 4)."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.calibration import check, require
from rlsuite.deqn.model import Expect, Policy, Targets, columns, residuals
from rlsuite.deqn.preferences import consumption_error, utility
from rlsuite.deqn.quadrature import Gaussian, gauss_hermite
from rlsuite.deqn.references import consumption_saving as reference
from rlsuite.deqn.single_agent import SingleAgent

# A household without savings would consume a constant if it could, so that wealth over that wish rises one for one
# with wealth; one with savings consumes about 0.45 of another unit. With the multiplier steeper by 1 / (1 - 0.45), the
# raw output has one slope on both sides of the kink, as a smooth network wants it.
_STEEPNESS = 1.8


@dataclass(frozen=True)
class Calibration:
    """Parameters; ``gross_return`` on savings is known, ``ln income' = persistence ln income + volatility eps``."""

    discount: float = 0.9
    gross_return: float = 1.04
    risk_aversion: float = 2.0
    persistence: float = 0.9
    volatility: float = 0.1

    def __post_init__(self) -> None:
        check(self)
        require(self.gross_return > 0, f"gross_return must be positive, not {self.gross_return:g}")
        patience = self.discount * self.gross_return
        require(
            patience < 1,
            f"discount times gross_return must be below 1 or wealth grows for ever, but it is {patience:g}",
        )

    @property
    def income_sd(self) -> float:
        """Standard deviation of ln income."""
        return self.volatility / math.sqrt(1 - self.persistence**2)


class ConsumptionSaving(SingleAgent):
    """``w' = R (w - c) + income'`` and ``0 < c <= w``: income of tomorrow, not of today, joins tomorrow's wealth."""

    calibrations: ClassVar = {"buffer-stock": Calibration()}
    state_names = ("wealth", "ln_income")
    exogenous = ("ln_income",)
    equation_names = ("euler",)
    num_features, num_outputs = 2, 1
    targets = Targets(mean=-4.0, p99=-3.5, max=-1.5, box_p99=-1.25, box_max=-1.0)
    usual_consumption = 1.0  # mean income is about 1

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {"adam_updates": 1000, "polish_updates": 120, "polish_states": 1024, "polish_box_share": 0.15}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount, self.risk_aversion = calibration.discount, calibration.risk_aversion
        self.euler_curvature = {"euler": calibration.risk_aversion}
        self.shocks = Gaussian(gauss_hermite(7), gauss_hermite(15))
        self._income_sd = max(calibration.income_sd, 1e-3)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(key, 2, count).double()
        ln_income = self._income_sd * draws[..., 0, :]
        return columns(torch.exp(ln_income) + 0.1 * draws[..., 1, :].abs(), ln_income)

    def coordinates(self, state: Tensor) -> Tensor:
        return columns(torch.log(state[..., 0]) - state[..., 1], state[..., 1])

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        # Without debt wealth is never less than income: what a box holds below that is folded upwards.
        return columns(torch.exp(coordinates[..., 0].abs() + coordinates[..., 1]), coordinates[..., 1])

    def features(self, state: Tensor) -> Tensor:
        wealth, ln_income = state.unbind(-1)
        return columns((torch.log(wealth) - ln_income) / 0.2, ln_income / self._income_sd)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        wealth = state[..., 0]
        # The log of wealth over what the household would like to consume; in hand-to-mouth fashion half of it at first.
        wish = 0.5 * (torch.log(wealth) - state[..., 1]) + 0.1 * raw[..., 0]
        slack, shortage = heads.complementarity(wish)
        savings = -wealth * torch.expm1(-slack)
        multiplier = -torch.expm1(-_STEEPNESS * self.calibration.risk_aversion * shortage)
        return {"consumption": wealth * torch.exp(-slack), "savings": savings, "multiplier": multiplier}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        ln_income = self.calibration.persistence * state[..., 1] + self.calibration.volatility * shock[..., 0]
        return columns(self.calibration.gross_return * policy["savings"] + torch.exp(ln_income), ln_income)

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        own = self.calibration

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            growth = next_policy["consumption"] / policy["consumption"]
            return own.discount * own.gross_return * growth**-own.risk_aversion

        return {"euler": consumption_error(expect(value_of_saving) + policy["multiplier"], own.risk_aversion)}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return (state[..., 0] > 0) & (policy["consumption"] > 0)

    def reward(self, state: Tensor, policy: Policy) -> Tensor:
        return utility(policy["consumption"], self.calibration.risk_aversion)

    def save(self, share: Tensor, state: Tensor) -> Policy:
        wealth = state[..., 0]
        return {"consumption": (1 - share) * wealth, "savings": share * wealth}

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        return {"borrowing": (policy["savings"] / state[..., 0], policy["multiplier"])}

    def reference_policy(self, state: Tensor) -> Policy:
        wealth, ln_income = (column.numpy(force=True) for column in state.unbind(-1))
        consumption = torch.from_numpy(self._reference(wealth, ln_income)).to(state)
        return {"consumption": consumption, "savings": state[..., 0] - consumption}

    def reference_covers(self, state: Tensor) -> Tensor:
        return torch.from_numpy(self._reference.covers(*(column.numpy(force=True) for column in state.unbind(-1))))

    def reference_residuals(self, state: Tensor) -> dict[str, Tensor]:
        def with_multiplier(state: Tensor) -> Policy:
            wealth, ln_income = (column.numpy(force=True) for column in state.unbind(-1))
            multiplier = torch.from_numpy(self._reference.multiplier(wealth, ln_income)).to(state)
            return self.reference_policy(state) | {"multiplier": multiplier}

        return residuals(self, with_multiplier, state, fine=True)

    @cached_property
    def _reference(self) -> reference.Solution:
        return reference.solve(self.calibration)
