"""International real business cycle: a planner of N countries that share output, each with its own capital.

Den Haan, Judd and Juillard (2011), model A4 with irreversible investment.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import heads
from rlsuite.deqn.calibration import check, require
from rlsuite.deqn.model import Expect, Model, Policy, Targets, columns
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Gaussian, Quadrature, gauss_hermite, monomial_3, monomial_5
from rlsuite.deqn.references import log_linear

_MOST_INVESTMENT = 0.045  # relative to capital; output is 0.056 of it, so consumption stays positive
_NEAR = 0.15  # of the bound, in units of depreciation: about what a period's shocks change investment by
_NEWTON_STEPS = 6  # of the price; each squares the error, which starts below 1


@dataclass(frozen=True)
class Calibration:
    """Parameters. ``substitution`` is each country's intertemporal elasticity: risk aversion is 1 over it."""

    substitution: tuple[float, ...] = (0.25, 1.0)
    capital_share: float = 0.36
    discount: float = 0.99
    depreciation: float = 0.01
    adjustment_cost: float = 0.5
    persistence: float = 0.95
    volatility: float = 0.01

    def __post_init__(self) -> None:
        check(self)
        require(
            len(self.substitution) > 0 and min(self.substitution) > 0,
            f"substitution must be positive, not {self.substitution}",
        )
        require(self.adjustment_cost >= 0, f"adjustment_cost cannot be negative, but it is {self.adjustment_cost:g}")
        require(
            self.technology - self.depreciation > 0,
            "the steady state must leave something to consume: lower depreciation or discount",
        )

    @property
    def technology(self) -> float:
        """Scales output so that steady-state capital is 1."""
        return (1 / self.discount - 1 + self.depreciation) / self.capital_share

    @property
    def meets_bound(self) -> bool:
        """Whether investment is at its bound now and then: with two countries, that is two standard deviations away.

        With a volatility of .01 it is four, and is never met.
        """
        return self.volatility > 0.015

    @classmethod
    def of(cls, countries: int, volatility: float = 0.01) -> "Calibration":
        """Elasticities evenly spaced from 0.25 to 1."""
        return cls(tuple(0.25 + 0.75 * j / (countries - 1) for j in range(countries)), volatility=volatility)


class InternationalBusinessCycle(Model):
    """State: N columns ln k, then N columns z. Components are countries; ``ln_price`` is ln lambda, 0 at rest.

    ``z_j' = rho z_j + sigma (eps_j + eps_common)``. The price of the common good follows from the resource constraint,
    which therefore always holds; multipliers are those of ``k' >= (1 - delta) k`` over lambda.
    """

    calibrations: ClassVar = {
        "countries-2": Calibration(),
        "countries-4": Calibration.of(4),
        "countries-10": Calibration.of(10),
        "countries-50": Calibration.of(50),
        "countries-2-binding": Calibration.of(2, volatility=0.02),
    }
    equation_names = ("euler",)
    targets = Targets(mean=-4.5, p99=-4.0, max=-1.5, box_p99=-2.0, box_max=-1.0)

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        countries = len(calibration.substitution)
        if calibration.meets_bound and countries == 2:
            # No states from the box: there are kinks where nobody ever comes, whose errors outweigh all others.
            return {
                "hidden": (24, 24),
                "adam_updates": 400,
                "polish_updates": 60,
                "polish_states": 3000,
                "polish_box_share": 0.0,
                "polish_refresh_updates": 10,
            }
        settings = {
            "hidden": (16, 16),
            "adam_updates": 1000 if countries <= 6 else 200,
            "polish_updates": 160 if countries <= 6 else 80,
            "polish_states": 600,
            "polish_box_share": 0.15,
            "polish_refresh_updates": 20,
        }
        # Every state gives an equation a country, so that the more countries there are, the fewer states it takes.
        if countries > 20:
            return settings | {"tracks": 64, "polish_updates": 30, "polish_states": 40}
        if countries > 6:
            return settings | {"polish_updates": 120, "polish_states": 200}
        return settings | ({"polish_states": 400} if countries > 2 else {})

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        n = self.countries = len(calibration.substitution)
        self.state_names = (*(f"ln_capital_{j + 1}" for j in range(n)), *(f"productivity_{j + 1}" for j in range(n)))
        self.exogenous = self.state_names[n:]
        # Of each country; see ``features`` and ``head``.
        self.num_features, self.num_outputs = (8, 3) if calibration.meets_bound else (9, 1)
        self.shocks = Gaussian(monomial_3(n + 1, rotated=True), monomial_5(n + 1))
        if calibration.meets_bound and n == 2:
            self.shocks = Gaussian(_of_two_countries(2, 5), _of_two_countries(5, 15))
            self.targets = replace(
                self.targets, box_p99=-1.0, box_max=-0.75
            )  # of what only paths of a million states visit
        self._substitution = torch.tensor(calibration.substitution, dtype=torch.float64)
        self.euler_curvature = {"euler": 1 / self._substitution}
        self.log_linear = log_linear.solve(calibration)
        # Of ln k' - ln k. Rounded, for LAPACK's last digits depend on where its operands lie in memory, and a resumed
        # run must find the same numbers.
        self._by_capital = torch.from_numpy(self.log_linear.capital.T.round(10)) - torch.eye(n)
        self._by_productivity = torch.from_numpy(self.log_linear.productivity.T.round(10))
        self._steady_consumption = calibration.technology - calibration.depreciation
        # Standard deviations of the log-linear solution: of the countries' means, and of the distances from them.
        volatility = max(calibration.volatility, 1e-4)
        self._mean_sds = (5.6 * volatility, 4.0 * volatility)  # of ln k and z
        self._distance_sds = (2.3 * volatility, 2.3 * volatility)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        return self._around(random.normal(key, 4, count, self.countries).double())

    def coordinates(self, state: Tensor) -> Tensor:
        """The countries' means of ln k and z: ``[..., B, 2]``; how far countries are apart stays as visited.

        A box in the columns holds mostly countries further apart than paths of any length ever see, and those are
        brought together by investment at its bound.
        """
        return self._mean_and_distances(state)[0]

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        _, apart = self._mean_and_distances(state)
        return (coordinates.unsqueeze(-1) + apart).flatten(-2)

    def _mean_and_distances(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Means over countries of ln k and z ``[..., 2]``, and the distances from them ``[..., 2, N]``."""
        values = state.unflatten(-1, (2, self.countries))
        mean = values.mean(dim=-1)
        return mean, values - mean.unsqueeze(-1)

    def _around(self, draws: Tensor) -> Tensor:
        """States from draws ``[..., 4, count, N]`` of unit scale."""
        parts = []
        for mean_sd, distance_sd, mean, distance in zip(
            self._mean_sds, self._distance_sds, (0, 1), (2, 3), strict=True
        ):
            apart = draws[..., distance, :, :] - draws[..., distance, :, :].mean(dim=-1, keepdim=True)
            parts.append(mean_sd * draws[..., mean, :, :1] + distance_sd * apart)
        return torch.cat(parts, dim=-1)

    def features(self, state: Tensor) -> Tensor:
        """``[..., B, N, 9]``: one network decides for all countries, each in its turn.

        The planner cares about what a country consumes, but not about where capital works: countries with the same
        capital and productivity get the same investment. Of the others a country needs the means, to second order how
        far apart they are, and how many are kept from disinvesting or soon may be.
        """
        parts, distances = [], []
        for values, mean_sd, distance_sd in zip(self._split(state), self._mean_sds, self._distance_sds, strict=True):
            mean = values.mean(dim=-1, keepdim=True)
            distances.append((values - mean) / distance_sd)
            parts += [mean / mean_sd, distances[-1]]
        capital, productivity = distances
        for product in (capital**2, capital * productivity, productivity**2):
            parts.append(product.mean(dim=-1, keepdim=True))
        wish = self._wish(state)
        if not self.calibration.meets_bound:  # else the head knows exactly where investment bends: about there
            parts.append(10 * F.relu(-wish).mean(dim=-1, keepdim=True))
        parts.append(10 * _NEAR * F.softplus(-wish / _NEAR).mean(dim=-1, keepdim=True))
        return columns(*parts)

    def _wish(self, state: Tensor) -> Tensor:
        """Investment of each country ``[..., N]`` over depreciation in the log-linear solution, which has no bound."""
        ln_capital, z = self._split(state)
        linear = ln_capital @ self._by_capital.to(state) + z @ self._by_productivity.to(state)
        return 1 + torch.expm1(linear) / self.calibration.depreciation

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        own = self.calibration
        capital = torch.exp(self._split(state)[0])
        # The network learns what is left of the log-linear solution, which is stable; from a constant, networks are
        # slow to find the weak forces that bring countries together, and paths stray meanwhile.
        plan, steepness = self._wish(state) + 0.1 * raw[..., 0], torch.ones_like(capital)
        if own.meets_bound:
            plan, steepness = _bent(plan, 0.3 * raw[..., 1]), torch.exp(0.3 * raw[..., 2])
        slack, multiplier = heads.complementarity(plan)
        rate = heads.bounded(own.depreciation * slack, raw.new_tensor(_MOST_INVESTMENT))
        next_capital = (1 - own.depreciation + rate) * capital
        resources = self._resources(state, next_capital)
        return {
            "next_capital": next_capital,
            "investment_rate": rate,
            # What a country would disinvest beyond the bound costs about that times the adjustment cost; on this scale
            # the raw output has about one slope on both sides of the bound.
            "multiplier": own.depreciation * (own.adjustment_cost + 0.1) * steepness * multiplier,
            "ln_price": self._ln_price(heads.positive(resources, 0.1 * self._steady_consumption * self.countries)),
        }

    def _resources(self, state: Tensor, next_capital: Tensor) -> Tensor:
        """Return the total resources of all countries for consumption ``[...]``."""
        own = self.calibration
        ln_capital, z = self._split(state)
        capital = torch.exp(ln_capital)
        output = own.technology * torch.exp(z + own.capital_share * ln_capital)
        adjustment = own.adjustment_cost / 2 * capital * (next_capital / capital - 1) ** 2
        return (output + (1 - own.depreciation) * capital - next_capital - adjustment).sum(dim=-1)

    def _ln_price(self, resources: Tensor) -> Tensor:
        """The price at which consumption uses up the resources: Newton's method on a convex function of its log.

        Only the last step is differentiated; at the root it carries the exact derivative (implicit function theorem).
        """
        elasticities = self._substitution.to(resources)
        target = torch.log(resources / self._steady_consumption)

        def excess(ln_price: Tensor) -> tuple[Tensor, Tensor]:
            terms = torch.exp(-elasticities * ln_price.unsqueeze(-1))
            total = terms.sum(dim=-1)
            return torch.log(total), -(elasticities * terms).sum(dim=-1) / total

        ln_price = torch.zeros_like(resources)
        for _ in range(_NEWTON_STEPS):
            ln_total, slope = excess(ln_price)
            ln_price = ln_price - (ln_total - target.detach()) / slope
        ln_total, slope = excess(ln_price)
        return ln_price - (ln_total - target) / slope

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        own = self.calibration
        _, z = self._split(state)
        next_z = own.persistence * z + own.volatility * (shock[..., :-1] + shock[..., -1:])
        return torch.cat(torch.broadcast_tensors(torch.log(policy["next_capital"]), next_z), dim=-1)

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        own = self.calibration
        ln_capital, _ = self._split(state)
        cost = 1 + own.adjustment_cost * (policy["next_capital"] * torch.exp(-ln_capital) - 1)

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            ln_next, next_z = self._split(next_state)
            marginal_product = (
                own.capital_share * own.technology * torch.exp(next_z + (own.capital_share - 1) * ln_next)
            )
            growth = next_policy["next_capital"] * torch.exp(-ln_next)
            undepreciated = (1 - own.depreciation) * (1 - next_policy["multiplier"])
            gain = marginal_product + undepreciated - own.adjustment_cost / 2 * (1 - growth**2)
            return own.discount * torch.exp(next_policy["ln_price"] - policy["ln_price"]).unsqueeze(-1) * gain

        ratio = (expect(value_of_saving) + policy["multiplier"]) / cost
        return {"euler": consumption_error(ratio, 1 / self._substitution.to(ratio))}  # with each one's risk aversion

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return state.isfinite().all(dim=-1) & (self._resources(state, policy["next_capital"]) > 0)

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        return {"investment": (policy["investment_rate"] / self.calibration.depreciation, policy["multiplier"])}

    def reference_spectral_radius(self) -> float:
        return float(np.abs(np.linalg.eigvals(self.log_linear.capital)).max())

    def consumption(self, policy: Policy) -> Tensor:
        """Consumption of each country ``[..., N]``."""
        return self._steady_consumption * torch.exp(
            -self._substitution.to(policy["ln_price"]) * policy["ln_price"].unsqueeze(-1)
        )

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state[..., : self.countries], state[..., self.countries :]


def _bent(plan: Tensor, response: Tensor) -> Tensor:
    """Plans ``[..., N]`` of countries that know what others would disinvest beyond the bound, if they could.

    Policies of all countries have a kink where one of them reaches its bound. With this form they have it exactly
    there, so that what is left for a network is smooth. The plans of those at the bound depend on each other: twice is
    enough, as hardly ever two are there at once.
    """
    bent = plan
    for _ in range(2):
        shortage = F.relu(-bent)
        bent = plan + response * (shortage.sum(dim=-1, keepdim=True) - shortage)
    return bent


def _of_two_countries(mean: int, distance: int) -> Quadrature:
    """A product rule with so many nodes for what happens to both countries, and for what drives them apart.

    What drives them apart brings one of them to its bound: expectations have their kinks in that direction. The shock
    that is common to them adds nothing to these two directions, as its effect is that of one in both countries.
    """
    both, apart = gauss_hermite(mean), gauss_hermite(distance)
    nodes = torch.cartesian_prod(math.sqrt(3) * both.nodes[:, 0], apart.nodes[:, 0])  # variances 3 and 1
    weights = torch.outer(both.weights, apart.weights).flatten()
    first, second = nodes.sum(dim=1) / math.sqrt(2), (nodes[:, 0] - nodes[:, 1]) / math.sqrt(2)
    return Quadrature(torch.stack([first, second, torch.zeros_like(first)], dim=1), weights)
