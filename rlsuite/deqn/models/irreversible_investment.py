"""Stochastic growth where investment cannot fall below a floor: an occasionally binding constraint."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlsuite.deqn import heads
from rlsuite.deqn.calibration import require
from rlsuite.deqn.model import Expect, Policy, Targets, residuals
from rlsuite.deqn.models import growth
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Gaussian, gauss_hermite
from rlsuite.deqn.references.time_iteration import Solution, solve


@dataclass(frozen=True)
class Calibration(growth.Calibration):
    """Parameters; investment is at least ``floor_share`` of what keeps steady-state capital constant."""

    capital_share: float = 0.33
    discount: float = 0.96
    volatility: float = 0.013
    risk_aversion: float = 2.0
    floor_share: float = 0.975

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.floor_share < 1, f"floor_share must lie between 0 and 1, 1 excluded, not {self.floor_share:g}"
        )

    @property
    def investment(self) -> float:
        """Investment of the deterministic steady state."""
        return self.depreciation * self.capital

    @property
    def least_investment(self) -> float:
        return self.floor_share * self.investment


_RARE = Calibration(
    capital_share=0.3,
    discount=0.95,
    depreciation=0.0196,
    persistence=0.95,
    volatility=0.04,
    risk_aversion=1.0,
    technology=(1 / 0.95 - 1 + 0.0196) / 0.3,  # steady-state capital is 1
    floor_share=0.0,
)


class IrreversibleInvestment(growth.Growth):
    """Growth with ``I = K' - (1 - delta) K >= I_min``.

    ``u'(C) - mu = beta E[u'(C') (1 - delta + MPK') - (1 - delta) mu']``; policies hold ``mu / u'(C)``.
    """

    calibrations: ClassVar = {"often-binding": Calibration(), "rarely-binding": _RARE}
    targets = Targets(mean=-5.0, p99=-4.0, max=-3.0, box_p99=-3.0, box_max=-2.0, policy_max=-3.0)

    calibration: Calibration

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return super().tuned(calibration) | {"polish_updates": 200}  # a kink takes more of them

    def __init__(self, calibration: Calibration) -> None:
        super().__init__(calibration)
        self.shocks = Gaussian(gauss_hermite(7), gauss_hermite(15))

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        own = self.calibration
        slack, shortage = heads.complementarity(raw[..., 0] + 1 - own.floor_share)
        output = self.output(state)
        slack = heads.bounded(own.investment * slack, output - own.least_investment)
        investment = own.least_investment + slack
        return {
            "consumption": output - investment,
            "next_capital": self.undepreciated(state) + investment,
            "slack": slack,
            # What marginal utility would fall by if so much less were invested and consumed instead: with that, the raw
            # output has about one slope on both sides of the kink, as a smooth network wants it.
            "multiplier": own.risk_aversion * own.investment / own.consumption * shortage,
        }

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        own = self.calibration

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            marginal_utility = (next_policy["consumption"] / policy["consumption"]) ** -own.risk_aversion
            gain = self.gross_return(next_state) - (1 - own.depreciation) * next_policy["multiplier"]
            return own.discount * marginal_utility * gain

        return {"euler": consumption_error(expect(value_of_saving) + policy["multiplier"], own.risk_aversion)}

    def save(self, share: Tensor, state: Tensor) -> Policy:
        # As much as must be invested where the agent would rather invest less.
        least = self.calibration.least_investment / self.output(state)
        return super().save(torch.maximum(share, least), state)

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return super().feasible(state, policy) & (self.output(state) > self.calibration.least_investment)

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        return {"investment": (policy["slack"] / self.calibration.investment, policy["multiplier"])}

    def reference_residuals(self, state: Tensor) -> dict[str, Tensor]:
        def with_multiplier(state: Tensor) -> Policy:
            _, multiplier = self._reference(state[..., 0].numpy(force=True), state[..., 1].numpy(force=True))
            return self.reference_policy(state) | {"multiplier": torch.from_numpy(multiplier).to(state)}

        return residuals(self, with_multiplier, state, fine=True)

    @cached_property
    def _reference(self) -> Solution:
        return solve(self.calibration, self.calibration.least_investment, grid=(41, 300))
