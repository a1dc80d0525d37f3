"""Optimal growth with log utility and full depreciation (Brock and Mirman, 1972): the economy with a closed form."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.calibration import check
from rlsuite.deqn.model import Expect, Policy, Targets, columns
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Gaussian, gauss_hermite
from rlsuite.deqn.single_agent import SingleAgent


@dataclass(frozen=True)
class Calibration:
    """Parameters; those of the lecture by default."""

    capital_share: float = 0.36
    discount: float = 0.99
    persistence: float = 0.9
    volatility: float = 0.04

    def __post_init__(self) -> None:
        check(self)

    @property
    def savings_rate(self) -> float:
        """The solution: save a constant share of output, whatever the state."""
        return self.capital_share * self.discount

    @property
    def capital(self) -> float:
        """Capital of the deterministic steady state."""
        return self.savings_rate ** (1 / (1 - self.capital_share))

    @property
    def productivity_sd(self) -> float:
        return self.volatility / math.sqrt(1 - self.persistence**2)


class BrockMirman(SingleAgent):
    """``Y = e^z K^alpha``, ``K' = s Y``, ``C = (1 - s) Y``, ``z' = rho z + sigma eps``."""

    calibrations: ClassVar = {"lecture": Calibration(), "quarterly": Calibration(persistence=0.95, volatility=0.01)}
    state_names = ("ln_capital", "productivity")
    exogenous = ("productivity",)
    equation_names = ("euler",)
    num_features, num_outputs = 2, 1
    risk_aversion = 1.0
    saving_bounds = (0.001, 0.999)  # without savings or consumption, utility is infinitely bad
    targets = Targets(mean=-5.5, p99=-5.0, max=-4.0, box_p99=-4.0, box_max=-3.0, policy_max=-4.0)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {"adam_updates": 500, "polish_updates": 120, "polish_states": 1024, "polish_box_share": 0.15}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        self.euler_curvature = {"euler": 1.0}
        self.shocks = Gaussian(gauss_hermite(5), gauss_hermite(15))
        self._ln_capital = math.log(calibration.capital)
        # Of the steady state's output, which capital to the power of its share is.
        self.usual_consumption = (1 - calibration.savings_rate) * calibration.capital**calibration.capital_share
        # Where productivity does not move, neither do features divide by zero.
        self._productivity_sd = max(calibration.productivity_sd, 1e-3)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(key, 2, count).double()
        return columns(self._ln_capital + 0.3 * draws[..., 0, :], self._productivity_sd * draws[..., 1, :])

    def features(self, state: Tensor) -> Tensor:
        ln_capital, productivity = state.unbind(-1)
        return columns((ln_capital - self._ln_capital) / 0.15, productivity / self._productivity_sd)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        # No bias towards the steady state here: it would be the exact solution of every state before any training.
        return {"savings_rate": torch.sigmoid(raw[..., 0])}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        productivity = state[..., 1]
        ln_next_capital = torch.log(policy["savings_rate"]) + self._ln_output(state)
        return columns(
            ln_next_capital, self.calibration.persistence * productivity + self.calibration.volatility * shock[..., 0]
        )

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        alpha, beta = self.calibration.capital_share, self.calibration.discount
        consumption = self.consumption(state, policy)

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            marginal_product = alpha * torch.exp(self._ln_output(next_state) - next_state[..., 0])
            return beta * marginal_product * consumption / self.consumption(next_state, next_policy)

        return {"euler": consumption_error(expect(value_of_saving), 1.0)}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return state.isfinite().all(dim=-1) & (self.consumption(state, policy) > 0)

    def reward(self, state: Tensor, policy: Policy) -> Tensor:
        return torch.log(self.consumption(state, policy))

    def save(self, share: Tensor, state: Tensor) -> Policy:
        return {"savings_rate": share}

    def reference_policy(self, state: Tensor) -> Policy:
        return {"savings_rate": torch.full_like(state[..., 0], self.calibration.savings_rate)}

    def reference_value(self, state: Tensor) -> Tensor:
        """The value function ``A + B ln K + D z`` of the solution."""
        alpha, beta, rho = self.calibration.capital_share, self.calibration.discount, self.calibration.persistence
        rate = self.calibration.savings_rate
        slope = alpha / (1 - alpha * beta)
        constant = (math.log(1 - rate) + beta * slope * math.log(rate)) / (1 - beta)
        return constant + slope * state[..., 0] + state[..., 1] / ((1 - alpha * beta) * (1 - beta * rho))

    def consumption(self, state: Tensor, policy: Policy) -> Tensor:
        return (1 - policy["savings_rate"]) * torch.exp(self._ln_output(state))

    def _ln_output(self, state: Tensor) -> Tensor:
        return state[..., 1] + self.calibration.capital_share * state[..., 0]
