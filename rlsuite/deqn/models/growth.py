"""Stochastic growth with constant relative risk aversion and partial depreciation."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.calibration import check
from rlsuite.deqn.model import Expect, Policy, Targets, columns
from rlsuite.deqn.preferences import consumption_error, utility
from rlsuite.deqn.quadrature import Gaussian, gauss_hermite
from rlsuite.deqn.references.time_iteration import Solution, solve
from rlsuite.deqn.single_agent import SingleAgent


@dataclass(frozen=True)
class Calibration:
    """Parameters. ``technology`` scales output."""

    capital_share: float = 0.36
    discount: float = 0.99
    depreciation: float = 0.1
    persistence: float = 0.9
    volatility: float = 0.04
    risk_aversion: float = 1.0
    technology: float = 1.0

    def __post_init__(self) -> None:
        check(self)

    @property
    def capital(self) -> float:
        """Capital of the deterministic steady state."""
        cost = 1 / self.discount - 1 + self.depreciation
        return (self.capital_share * self.technology / cost) ** (1 / (1 - self.capital_share))

    @property
    def consumption(self) -> float:
        """Consumption of the deterministic steady state."""
        return self.technology * self.capital**self.capital_share - self.depreciation * self.capital

    @property
    def productivity_sd(self) -> float:
        return self.volatility / math.sqrt(1 - self.persistence**2)


class Growth(SingleAgent):
    """``M = A e^z K^alpha + (1 - delta) K``, ``K' = M - C``, ``z' = rho z + sigma eps``."""

    calibrations: ClassVar = {
        "log": Calibration(),
        "crra-2": Calibration(risk_aversion=2.0),
        "crra-5": Calibration(risk_aversion=5.0),
        "quarterly": Calibration(depreciation=0.02, persistence=0.95, volatility=0.01),
    }
    state_names = ("ln_capital", "productivity")
    exogenous = ("productivity",)
    equation_names: tuple[str, ...] = ("euler",)
    num_features, num_outputs = 2, 1
    targets = Targets(mean=-6.0, p99=-5.0, max=-3.0, box_p99=-3.5, box_max=-2.5, policy_max=-3.0)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {"adam_updates": 500, "polish_updates": 120, "polish_states": 1024, "polish_box_share": 0.15}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount, self.risk_aversion = calibration.discount, calibration.risk_aversion
        self.euler_curvature = {"euler": calibration.risk_aversion}
        self.usual_consumption = calibration.consumption
        self.shocks = Gaussian(gauss_hermite(5), gauss_hermite(15))
        self._ln_capital = math.log(calibration.capital)
        self._productivity_sd = max(calibration.productivity_sd, 1e-3)
        # A rough standard deviation of ln K, for scale and for the box: more averse agents let capital vary more.
        self._ln_capital_sd = 1.5 * self._productivity_sd * calibration.risk_aversion ** (1 / 3)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(key, 2, count).double()
        return columns(
            self._ln_capital + self._ln_capital_sd * draws[..., 0, :], self._productivity_sd * draws[..., 1, :]
        )

    def features(self, state: Tensor) -> Tensor:
        ln_capital, productivity = state.unbind(-1)
        return columns((ln_capital - self._ln_capital) / self._ln_capital_sd, productivity / self._productivity_sd)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        steady_share = self.calibration.consumption / (self.calibration.consumption + self.calibration.capital)
        resources = self.resources(state)
        consumption = heads.share(raw[..., 0], steady_share) * resources
        return {"consumption": consumption, "next_capital": resources - consumption}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        productivity = self.calibration.persistence * state[..., 1] + self.calibration.volatility * shock[..., 0]
        return columns(torch.log(policy["next_capital"]), productivity)

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        gamma, beta = self.calibration.risk_aversion, self.calibration.discount

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            return beta * (next_policy["consumption"] / policy["consumption"]) ** -gamma * self.gross_return(next_state)

        return {"euler": consumption_error(expect(value_of_saving), gamma)}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return state.isfinite().all(dim=-1) & (policy["consumption"] > 0)

    def reward(self, state: Tensor, policy: Policy) -> Tensor:
        return utility(policy["consumption"], self.calibration.risk_aversion)

    def save(self, share: Tensor, state: Tensor) -> Policy:
        investment = share * self.output(state)
        return {
            "consumption": self.output(state) - investment,
            "next_capital": self.undepreciated(state) + investment,
        }

    def reference_policy(self, state: Tensor) -> Policy:
        found, _ = self._reference(state[..., 0].numpy(force=True), state[..., 1].numpy(force=True))
        consumption = torch.from_numpy(found).to(state)
        return {"consumption": consumption, "next_capital": self.resources(state) - consumption}

    def reference_covers(self, state: Tensor) -> Tensor:
        return torch.from_numpy(self._reference.covers(*(column.numpy(force=True) for column in state.unbind(-1))))

    @cached_property
    def _reference(self) -> Solution:
        return solve(self.calibration)

    def output(self, state: Tensor) -> Tensor:
        return self.calibration.technology * torch.exp(state[..., 1] + self.calibration.capital_share * state[..., 0])

    def undepreciated(self, state: Tensor) -> Tensor:
        return (1 - self.calibration.depreciation) * torch.exp(state[..., 0])

    def resources(self, state: Tensor) -> Tensor:
        """Output and what is left of capital."""
        return self.output(state) + self.undepreciated(state)

    def gross_return(self, state: Tensor) -> Tensor:
        """Gross return of a unit of capital: its marginal product and the undepreciated rest."""
        marginal_product = self.calibration.capital_share * self.output(state) * torch.exp(-state[..., 0])
        return marginal_product + 1 - self.calibration.depreciation
