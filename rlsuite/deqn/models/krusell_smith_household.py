"""One household in the economy of Krusell and Smith (1998), which forecasts capital by their rule.

It is one of many, so that what it does moves no prices: dynamic programming and agents can solve it alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.model import Expect, Policy, Targets, blocks, columns, residuals
from rlsuite.deqn.models import krusell_smith
from rlsuite.deqn.preferences import consumption_error, utility
from rlsuite.deqn.quadrature import Chain
from rlsuite.deqn.references import krusell_smith as reference
from rlsuite.deqn.single_agent import SingleAgent

_JOBS = 2  # without and with
_UNITS = 0.05  # of the log of aggregate capital in features
_CAPITAL_SCALE = 0.4  # of a household, below which policies bend


@dataclass(frozen=True)
class Calibration(krusell_smith.Calibration):
    """Parameters; ``rules[z]`` are a and b of ``ln K' = a + b ln K`` in regime z.

    The rules are those that households of Krusell and Smith's own algorithm believe in, as
    ``references/krusell_smith.py`` finds them; with other parameters they are others.
    """

    rules: tuple[tuple[float, float], tuple[float, float]] = ((0.1238328, 0.9655610), (0.1374773, 0.9633116))


class KrusellSmithHousehold(SingleAgent):
    """State: regime and job (one column each pair), the household's capital, and the log of aggregate capital.

    The share that it saves is one of twice what it could consume for ever, were its income always average: of that
    income and the return on its capital. Half is about right for the rich and the poor; it spends no more than it has.
    """

    calibrations: ClassVar = {"den-haan-judd-juillard": Calibration()}
    state_names = ("bad_without", "bad_employed", "good_without", "good_employed", "capital", "ln_aggregate_capital")
    exogenous = (*state_names[:4], state_names[5])
    equation_names = ("euler",)
    num_features, num_outputs = 5, 1
    targets = Targets(mean=-4.0, p99=-3.0, max=-1.5, box_p99=-2.5, box_max=-1.0)
    risk_aversion = 1.0
    saving_bounds = (0.05, 0.95)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {"adam_updates": 400, "polish_updates": 40, "polish_states": 1024, "polish_box_share": 0.1}

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        self.euler_curvature = {"euler": self.risk_aversion}
        chances = torch.tensor(calibration.chances, dtype=torch.float64)  # [z, e, z', e']
        self.shocks = self._chain = Chain(chances.flatten(2).flatten(0, 1).tolist())
        self._rules = torch.tensor(calibration.rules, dtype=torch.float64)
        self._unemployment = torch.tensor(calibration.unemployment, dtype=torch.float64)
        low, high = (a / (1 - b) for a, b in calibration.rules)
        self._usual_ln_capital = (low + high) / 2
        usual = self.initial_state(torch.tensor(0), 1000)
        usual[:, 4] = torch.exp(usual[:, 5])
        self.usual_consumption = self._for_ever(usual).mean().item()

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(random.key(key, 1), 2, count).double()
        now = self._chain.stationary().to(key.device).expand(*key.shape, count, -1)
        now = self._chain.draw(now, random.key(key, 2)).double()
        ln_aggregate = self._usual_ln_capital + 0.03 * draws[..., 0, :]
        capital = torch.exp(self._usual_ln_capital - 0.3 + 0.7 * draws[..., 1, :])
        return blocks(now, columns(capital, ln_aggregate))

    def coordinates(self, state: Tensor) -> Tensor:
        return columns(torch.log1p(state[..., 4] / _CAPITAL_SCALE), state[..., 5])

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        # Nobody has debts: what a box holds below zero is folded upwards.
        capital = _CAPITAL_SCALE * torch.expm1(coordinates[..., 0].abs())
        return blocks(state[..., :4], columns(capital, coordinates[..., 1]))

    def features(self, state: Tensor) -> Tensor:
        capital = state[..., 4]
        regime, job = self._regime_and_job(state)
        return columns(
            torch.log1p(capital / _CAPITAL_SCALE) / 2 - 2,
            capital / self.calibration.capital - 1,
            (state[..., 5] - self._usual_ln_capital) / _UNITS,
            regime[..., 1] - regime[..., 0],
            job[..., 1] - job[..., 0],
        )

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        # Those who could consume more than they have for ever consume it all.
        wish = torch.log(self._wealth(state) / self._for_ever(state)) - 0.1 * raw[..., 0]
        slack, shortage = heads.complementarity(wish)
        spending = self._spending(self._wealth(state) * torch.exp(-slack), state)
        # Or nothing would lead a household back that spends all by mistake.
        return spending | {"multiplier": -torch.expm1(-shortage)}

    def save(self, share: Tensor, state: Tensor) -> Policy:
        return self._spending(2 * (1 - share) * self._for_ever(state), state)

    def _spending(self, wanted: Tensor, state: Tensor) -> Policy:
        wealth = self._wealth(state)
        consumption = torch.minimum(wanted, wealth)
        savings = wealth - consumption
        return {"consumption": consumption, "savings": savings, "multiplier": torch.zeros_like(savings)}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        regime, _ = self._regime_and_job(state)
        a, b = (regime @ self._rules.to(state)).unbind(-1)
        return blocks(shock, columns(policy["savings"], a + b * state[..., 5]))

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            gross_return, _ = self._prices(next_state)
            return self.discount * gross_return * policy["consumption"] / next_policy["consumption"]

        wants_more = consumption_error(expect(value_of_saving) + policy["multiplier"], self.risk_aversion)
        # Who would like to consume more and has nothing left makes no mistake: complementarity as a minimum.
        return {"euler": torch.minimum(wants_more, policy["savings"] / policy["consumption"])}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return (state[..., 4] >= 0) & (policy["consumption"] > 0)

    def reward(self, state: Tensor, policy: Policy) -> Tensor:
        return utility(policy["consumption"], self.risk_aversion)

    def aggregates(self, state: Tensor) -> dict[str, Tensor]:
        return {"capital": state[..., 4], "aggregate capital": torch.exp(state[..., 5])}

    def reference_policy(self, state: Tensor) -> Policy:
        regime, job = self._regime_and_job(state)
        capital, aggregate = state[..., 4].numpy(force=True), torch.exp(state[..., 5]).numpy(force=True)
        found = np.zeros(state.shape[:-1])
        for z in range(2):
            for e in range(_JOBS):
                here = (regime[..., z] * job[..., e] == 1).numpy(force=True)
                found[here] = self._reference(z, e, aggregate[here], capital[here])
        spending = self._spending(torch.from_numpy(found).to(state), state)
        return {name: spending[name] for name in ("consumption", "savings")}

    def reference_residuals(self, state: Tensor) -> dict[str, Tensor]:
        def without_multiplier(state: Tensor) -> Policy:
            return self._spending(self.reference_policy(state)["consumption"], state)

        return residuals(self, without_multiplier, state, fine=True)

    @cached_property
    def _reference(self) -> "reference.Household":
        return reference.household(self.calibration, np.array(self.calibration.rules))

    def _wealth(self, state: Tensor) -> Tensor:
        gross_return, income = self._prices(state)
        _, job = self._regime_and_job(state)
        return gross_return * state[..., 4] + (income * job).sum(dim=-1)

    def _for_ever(self, state: Tensor) -> Tensor:
        """Consumption that a household with average income could keep up for ever."""
        gross_return, income = self._prices(state)
        employed = 1 - self._unemployment.mean()
        average = (1 - employed) * income[..., 0] + employed * income[..., 1]
        return average + (gross_return - 1).clamp(min=0.0) * state[..., 4]

    def _prices(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The gross return ``[...]``, and the incomes without and with a job ``[..., 2]``."""
        regime, _ = self._regime_and_job(state)
        capital = torch.exp(state[..., 5])
        gross_return, income = torch.zeros_like(capital), capital.new_zeros(*capital.shape, _JOBS)
        for z, here in enumerate(regime.unbind(-1)):
            returned, incomes = self.calibration.prices(z, capital)
            gross_return = gross_return + here * returned
            income = income + here.unsqueeze(-1) * torch.stack(incomes, dim=-1)
        return gross_return, income

    def _regime_and_job(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Both as rows of a zero and a one ``[..., 2]``."""
        both = state[..., :4].unflatten(-1, (2, _JOBS))
        return both.sum(dim=-1), both.sum(dim=-2)
