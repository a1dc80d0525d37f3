"""Overlapping generations with a closed form (Krueger and Kubler, 2004): log utility, and only the youngest work."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.calibration import check, require
from rlsuite.deqn.model import Expect, Model, Policy, Targets, blocks
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Chain


@dataclass(frozen=True)
class Calibration:
    """Parameters; ``productivity`` and ``depreciations`` hold one value a regime, all regimes being equally likely."""

    ages: int = 6
    capital_share: float = 0.3
    discount: float = 0.7
    productivity: tuple[float, ...] = (0.95, 1.05, 0.95, 1.05)
    depreciations: tuple[float, ...] = (0.5, 0.5, 0.9, 0.9)

    def __post_init__(self) -> None:
        check(self)
        require(self.ages >= 2, f"ages must be at least 2, not {self.ages}")
        require(
            len(self.productivity) == len(self.depreciations),
            "productivity and depreciations need one value a regime each",
        )
        require(min(self.productivity) > 0, f"productivity must be positive in every regime, not {self.productivity}")
        require(
            all(0 <= d <= 1 for d in self.depreciations),
            f"depreciations must lie between 0 and 1, not {self.depreciations}",
        )

    @property
    def savings_rates(self) -> tuple[float, ...]:
        """The solution: the share of income that each age but the last saves."""
        beta, ages = self.discount, self.ages
        return tuple(beta * (1 - beta ** (ages - h)) / (1 - beta ** (ages + 1 - h)) for h in range(1, ages))


class AnalyticOLG(Model):
    """State: the regime (one column each) and the capital of ages 2 to A, with which everybody wakes up.

    Components of policies and residuals are the ages 1 to A - 1, who save.
    """

    calibrations: ClassVar = {"krueger-kubler": Calibration()}
    equation_names = ("euler",)
    targets = Targets(mean=-6.0, p99=-5.5, max=-5.0, box_p99=-3.5, box_max=-2.5, policy_max=-5.0)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {"adam_updates": 500, "polish_updates": 60, "polish_states": 400}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        self.euler_curvature = {"euler": 1.0}
        regimes, savers = len(calibration.productivity), calibration.ages - 1
        self.regimes = regimes
        self.shocks = self.chain = Chain([[1 / regimes] * regimes] * regimes)
        self.state_names = tuple(f"regime_{i + 1}" for i in range(regimes)) + tuple(
            f"capital_{h + 2}" for h in range(savers)
        )
        self.exogenous = self.state_names[:regimes]
        self.num_features, self.num_outputs = 2 + savers, savers
        self._productivity = torch.tensor(calibration.productivity, dtype=torch.float64)
        self._depreciation = torch.tensor(calibration.depreciations, dtype=torch.float64)
        self.steady_capital = self._steady_capital()

    def _steady_capital(self) -> Tensor:
        """Capital by age when nothing ever happens, from the closed form: ``[A - 1]``."""
        state = torch.cat([self.chain.stationary(), torch.full((self.calibration.ages - 1,), 0.1, dtype=torch.float64)])
        for _ in range(300):
            state = self.step(state, self.reference_policy(state), state[: self.regimes])
        return state[self.regimes :]

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(random.key(key, 1), count, self.calibration.ages - 1).double()
        return self._state(key, count, torch.exp(0.3 * draws))

    def coordinates(self, state: Tensor) -> Tensor:
        return torch.log(self._split(state)[1])

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        return blocks(self._split(state)[0], torch.exp(coordinates))

    def _state(self, key: Tensor, count: int, relative_capital: Tensor) -> Tensor:
        regime = random.integers(random.key(key, 2), self.regimes, count)
        return blocks(
            torch.nn.functional.one_hot(regime, self.regimes).double(),
            self.steady_capital.to(key.device) * relative_capital,
        )

    def features(self, state: Tensor) -> Tensor:
        regime, capital = self._split(state)
        exogenous = [
            ((regime @ values.to(state) - values.mean()) / values.std(correction=0)).unsqueeze(-1)
            for values in (self._productivity, self._depreciation)
        ]
        return blocks(*exogenous, torch.log(capital / self.steady_capital.to(state)) / 0.4)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        return {"savings": heads.share(raw) * self.income(state)[..., :-1]}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        return blocks(shock, policy["savings"])

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        consumption = self.consumption(state, policy)[..., :-1]

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            gross_return, _ = self.prices(next_state)
            ratio = consumption / self.consumption(next_state, next_policy)[..., 1:]
            return self.calibration.discount * gross_return.unsqueeze(-1) * ratio

        return {"euler": consumption_error(expect(value_of_saving), 1.0)}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return (state >= 0).all(dim=-1) & (self.consumption(state, policy) > 0).all(dim=-1)

    def reference_policy(self, state: Tensor) -> Policy:
        return {"savings": state.new_tensor(self.calibration.savings_rates) * self.income(state)[..., :-1]}

    def aggregates(self, state: Tensor) -> dict[str, Tensor]:
        _, capital = self._split(state)
        return {"aggregate capital": capital.sum(dim=-1), "gross return": self.prices(state)[0]}

    def prices(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Gross return on capital and the wage, ``[...]`` each."""
        regime, capital = self._split(state)
        alpha = self.calibration.capital_share
        output = (regime @ self._productivity.to(state)) * capital.sum(dim=-1) ** alpha
        gross_return = alpha * output / capital.sum(dim=-1) + 1 - regime @ self._depreciation.to(state)
        return gross_return, (1 - alpha) * output

    def income(self, state: Tensor) -> Tensor:
        """Income of all ages ``[..., A]``: the wage of the youngest, the capital of the others."""
        gross_return, wage = self.prices(state)
        _, capital = self._split(state)
        return torch.cat([wage.unsqueeze(-1), gross_return.unsqueeze(-1) * capital], dim=-1)

    def consumption(self, state: Tensor, policy: Policy) -> Tensor:
        """Consumption of all ages ``[..., A]``; the oldest save nothing."""
        return self.income(state) - torch.nn.functional.pad(policy["savings"], (0, 1))

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state[..., : self.regimes], state[..., self.regimes :]
