"""Stochastic growth for all parameters at once: they are columns of the state that never move (pseudo-states).

One network then holds the policies of a whole family of economies, to estimate from data which of them it was.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.calibration import require
from rlsuite.deqn.model import Distance, Expect, Model, Policy, PolicyFunction, Targets, blocks, columns
from rlsuite.deqn.models.growth import Calibration as Point
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Gaussian, gauss_hermite
from rlsuite.deqn.references import time_iteration
from rlsuite.deqn.simulation import simulate

PARAMETERS = ("risk_aversion", "discount", "depreciation", "persistence", "volatility")
_MARGIN = 0.05  # of each range, on both sides: trained, so that the edges are not the edges of what is known
_CORRECTION = 1.0  # of the first-order solution by the network, per standard deviation of capital
_COMPARED, _COMPARED_SEED = 20, 2  # calibrations solved by time iteration too
_COMPARED_PATHS, _COMPARED_PERIODS = 20, 300
_COMPARED_GRID, _COMPARED_TOLERANCE = (31, 100), 1e-8


@dataclass(frozen=True)
class Calibration:
    """Ranges of the parameters, from lowest to highest, and two that are fixed."""

    risk_aversion: tuple[float, float] = (1.0, 10.0)
    discount: tuple[float, float] = (0.96, 0.995)
    depreciation: tuple[float, float] = (0.02, 0.1)
    persistence: tuple[float, float] = (0.8, 0.98)
    volatility: tuple[float, float] = (0.005, 0.05)
    capital_share: float = 0.36
    technology: float = 1.0

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            low, high = getattr(self, name)
            require(low < high, f"{name} must be a range from low to high, not {(low, high)}")
        for end in range(2):
            self.point({name: getattr(self, name)[end] for name in PARAMETERS})  # refuses what is impossible
        require(self.volatility[0] > 0, f"volatility must be positive, not {self.volatility}")
        require(self.depreciation[0] > 0, f"depreciation must be positive, not {self.depreciation}")
        require(self.persistence[0] >= 0, f"persistence cannot be negative, but it is {self.persistence}")

    def point(self, values: dict[str, float]) -> Point:
        """One economy of the family."""
        return Point(capital_share=self.capital_share, technology=self.technology, **values)


class FirstOrder(NamedTuple):
    """The solution to first order around the steady state, where logs deviate little; one entry a state."""

    ln_capital: Tensor  # of the steady state
    share: Tensor  # of resources that the steady state consumes
    logit_on_capital: Tensor  # of the share consumed, on the deviations of ln K and of z
    logit_on_productivity: Tensor
    productivity_sd: Tensor
    capital_sd: Tensor
    correlation: Tensor  # of the two


class GrowthParameters(Model):
    """State: ln K, z, and five parameters. ``M = A e^z K^alpha + (1 - delta) K``, ``K' = M - C``."""

    calibrations: ClassVar = {"five": Calibration()}
    state_names = ("ln_capital", "productivity", *PARAMETERS)
    exogenous = ("productivity", *PARAMETERS)
    equation_names = ("euler",)
    num_features, num_outputs = 7, 1
    targets = Targets(mean=-4.5, p99=-3.5, max=-2.0, box_p99=-2.5, box_max=-1.5)
    certificate_paths = 1000

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        return {
            "hidden": (32, 32),
            "tracks": 1024,
            "restart_periods": 100,
            "adam_updates": 300,
            "polish_updates": 40,
            "polish_states": 4096,
            "polish_box_share": 0.3,
            "polish_refresh_updates": 10,
        }

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = sum(calibration.discount) / 2
        self.euler_curvature = {"euler": "risk_aversion"}
        self.shocks = Gaussian(gauss_hermite(5), gauss_hermite(15))
        self._ranges = torch.tensor([getattr(calibration, name) for name in PARAMETERS], dtype=torch.float64)  # [5, 2]

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        return self._start(key, count, self._ranges)

    def training_state(self, key: Tensor, count: int) -> Tensor:
        """Past the edges of the ranges, by the same share of what is left to 0 or 1."""
        low, high = self._scaled(self._ranges.T)
        margin = _MARGIN * (high - low)
        return self._start(key, count, self._unscaled(torch.stack([low - margin, high + margin])).T)

    def _start(self, key: Tensor, count: int, ranges: Tensor) -> Tensor:
        share = random.uniform(random.key(key, 1), count, len(PARAMETERS)).double()
        low, high = ranges.to(share).unbind(-1)
        return self.near_steady_state(random.key(key, 2), low + share * (high - low))

    def near_steady_state(self, key: Tensor, parameters: Tensor) -> Tensor:
        """States of economies with parameters ``[*key.shape, B, 5]``, spread as the first-order solution says."""
        draws = random.normal(key, 2, parameters.shape[-2]).to(parameters)
        return self._located(parameters, draws[..., 0, :], draws[..., 1, :])

    def _located(self, parameters: Tensor, capital: Tensor, productivity: Tensor) -> Tensor:
        """States so many standard deviations from the steady state; ``capital`` counts what productivity leaves."""
        first = self._first_order(parameters)
        own = first.correlation * productivity + torch.sqrt(1 - first.correlation**2) * capital
        state = columns(first.ln_capital + first.capital_sd * own, first.productivity_sd * productivity)
        return blocks(state, parameters)

    def coordinates(self, state: Tensor) -> Tensor:
        """Productivity, and of capital what it leaves, in standard deviations ``[..., B, 2]``; parameters stay."""
        first = self._first_order(state[..., 2:])
        productivity = state[..., 1] / first.productivity_sd
        capital = (state[..., 0] - first.ln_capital) / first.capital_sd
        return columns(
            (capital - first.correlation * productivity) / torch.sqrt(1 - first.correlation**2), productivity
        )

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        return self._located(state[..., 2:], *coordinates.unbind(-1))

    def _scaled(self, parameters: Tensor) -> Tensor:
        """Parameters ``[..., 5]`` as logs of what makes the difference: impatience and forgetting, not their rests."""
        gamma, beta, delta, rho, sigma = parameters.unbind(-1)
        return torch.log(columns(gamma, 1 - beta, delta, 1 - rho, sigma))

    def _unscaled(self, scaled: Tensor) -> Tensor:
        gamma, impatience, delta, forgetting, sigma = torch.exp(scaled).unbind(-1)
        return columns(gamma, 1 - impatience, delta, 1 - forgetting, sigma)

    def features(self, state: Tensor) -> Tensor:
        ends = self._scaled(self._ranges.to(state).T)
        middle, half = ends.mean(dim=0), (ends[1] - ends[0]) / 2
        return blocks(self.coordinates(state), 1.5 * (self._scaled(state[..., 2:]) - middle) / half)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        first = self._first_order(state[..., 2:])
        logit = torch.logit(first.share) + _CORRECTION * first.capital_sd * raw[..., 0]
        logit = logit + first.logit_on_capital * (state[..., 0] - first.ln_capital)
        logit = logit + first.logit_on_productivity * state[..., 1]
        resources = self.output(state) + self.undepreciated(state)
        return {
            "consumption": torch.sigmoid(logit) * resources,
            "next_capital": torch.sigmoid(-logit) * resources,
        }

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        productivity = state[..., 5] * state[..., 1] + state[..., 6] * shock[..., 0]
        moving = columns(torch.log(policy["next_capital"]), productivity)
        return blocks(moving, state[..., 2:])

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        gamma, beta = state[..., 2], state[..., 3]

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            growth = next_policy["consumption"] / policy["consumption"]
            return beta * growth**-gamma * self.gross_return(next_state)

        return {"euler": consumption_error(expect(value_of_saving), gamma)}

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return state.isfinite().all(dim=-1) & (policy["consumption"] > 0) & (policy["next_capital"] > 0)

    def output(self, state: Tensor) -> Tensor:
        return self.calibration.technology * torch.exp(state[..., 1] + self.calibration.capital_share * state[..., 0])

    def undepreciated(self, state: Tensor) -> Tensor:
        return (1 - state[..., 4]) * torch.exp(state[..., 0])

    def gross_return(self, state: Tensor) -> Tensor:
        marginal_product = self.calibration.capital_share * self.output(state) * torch.exp(-state[..., 0])
        return marginal_product + 1 - state[..., 4]

    def _first_order(self, parameters: Tensor) -> FirstOrder:
        """Solve for ``ln C - ln C* = a (ln K - ln K*) + b z`` by undetermined coefficients."""
        gamma, beta, delta, rho, sigma = parameters.unbind(-1)
        alpha, technology = self.calibration.capital_share, self.calibration.technology
        cost = 1 / beta - 1 + delta  # of capital: its marginal product
        output = cost / alpha  # and what follows, per unit of capital
        consumption, resources = output - delta, output + 1 - delta
        pull = beta * cost / gamma  # of the return on the growth of consumption
        linear = 1 - 1 / beta + consumption * (1 - alpha) * pull
        a = (torch.sqrt(linear**2 + 4 * consumption * (1 - alpha) * pull / beta) - linear) / (2 * consumption)
        ahead = a + (1 - alpha) * pull
        b = (ahead * output - pull * rho) / (1 - rho + ahead * consumption)
        # Capital tomorrow is about stay ln K + lift z.
        stay, lift = 1 / beta - consumption * a, output - consumption * b
        share = consumption / resources
        productivity_sd = sigma / torch.sqrt(1 - rho**2)
        capital_sd = productivity_sd * lift * torch.sqrt((1 + stay * rho) / ((1 - stay * rho) * (1 - stay**2)))
        return FirstOrder(
            ln_capital=torch.log(alpha * technology / cost) / (1 - alpha),
            share=share,
            logit_on_capital=(a - 1 / beta / resources) / (1 - share),
            logit_on_productivity=(b - output / resources) / (1 - share),
            productivity_sd=productivity_sd,
            capital_sd=capital_sd,
            correlation=lift * rho * productivity_sd / ((1 - stay * rho) * capital_sd),
        )

    def distances(self, policy: PolicyFunction) -> dict[str, Distance]:
        """Distance of consumption from time iteration's along paths of calibrations chosen at random."""
        errors = torch.stack([self._distance(policy, *pair) for pair in self._compared])
        name = f"consumption from time iteration, {_COMPARED} calibrations"
        return {
            f"{name}, mean of the worst": Distance(errors.mean(dim=1).max().item(), 1e-3),
            f"{name}, largest": Distance(errors.max().item(), None),
        }

    def _distance(self, policy: PolicyFunction, parameters: Tensor, solution: time_iteration.Solution) -> Tensor:
        start = self.near_steady_state(torch.tensor(_COMPARED_SEED), parameters.expand(_COMPARED_PATHS, -1))
        path = simulate(self, policy, start, torch.tensor(_COMPARED_SEED), _COMPARED_PERIODS)
        state = path[_COMPARED_PERIODS // 2 :].flatten(0, 1)
        true, _ = solution(*(column.numpy(force=True) for column in state[:, :2].unbind(-1)))
        return (policy(state)["consumption"] / torch.from_numpy(true) - 1).abs()

    @cached_property
    def _compared(self) -> list[tuple[Tensor, time_iteration.Solution]]:
        states = self.initial_state(torch.tensor(_COMPARED_SEED), _COMPARED)
        return [(row[2:], self.time_iteration(row[2:])) for row in states]

    def time_iteration(self, parameters: Tensor) -> time_iteration.Solution:
        """The independent method at parameters ``[5]``; raises ``RuntimeError`` where it finds no solution."""
        point = self.calibration.point(dict(zip(PARAMETERS, parameters.tolist(), strict=True)))
        return time_iteration.solve(point, grid=_COMPARED_GRID, tolerance=_COMPARED_TOLERANCE)
