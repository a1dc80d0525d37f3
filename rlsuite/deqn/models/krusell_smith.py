"""Households with uninsured unemployment in an economy with aggregate risk (Krusell and Smith, 1998).

As den Haan, Judd and Juillard (2010) calibrate it. The state holds the whole distribution of capital, as a histogram
moved by Young's (2010) lottery; the network sees its mean.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.calibration import check, require
from rlsuite.deqn.model import Distance, Expect, Model, Policy, PolicyFunction, Targets, blocks
from rlsuite.deqn.preferences import consumption_error
from rlsuite.deqn.quadrature import Chain
from rlsuite.deqn.references import krusell_smith as reference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rlsuite.deqn.references.krusell_smith import Array

_JOB_NAMES = ("unemployed", "employed")
_JOBS = len(_JOB_NAMES)
_MOST_CAPITAL = 200.0  # of a household; one of a million would hold more
_NODES, _NODE_SCALE = 40, 0.4  # where the network decides: even in ln(1 + k / scale), so dense where policies bend
_BINS, _BIN_SCALE = 500, 40.0  # of the histogram: finer among the many, as every lottery spreads them a little
_CV = 0.48  # of capital over households, roughly: where paths start
_PATH_PERIODS, _PATH_SEED = 1_000, 1  # on which aggregate capital is held against the reference's
# Errors of one sign add up to aggregate capital's for as many periods, as it moves back by 3.5 % of a distance in one.
_MEMORY = 28.0
_ELASTICITY = 0.4  # of consumption to aggregate capital, roughly
# The multiplier of a household without savings, for each 1 % that it would like to consume more.
_STEEPNESS = 2.0


@dataclass(frozen=True)
class Calibration:
    """Parameters; regimes are (bad, good). ``benefits`` are a share of the wage, paid by a tax on labour.

    ``stay_unemployed[z][z']`` is the chance of the unemployed to find no job on the way from regime z to z'. Chances to
    lose one are such that unemployment depends on the regime alone.
    """

    discount: float = 0.99
    capital_share: float = 0.36
    depreciation: float = 0.025
    benefits: float = 0.15
    hours: float = 1 / 0.9
    productivity: tuple[float, float] = (0.99, 1.01)
    unemployment: tuple[float, float] = (0.10, 0.04)
    stay_regime: float = 0.875
    stay_unemployed: tuple[tuple[float, float], tuple[float, float]] = ((0.6, 0.25), (0.75, 1 / 3))

    def __post_init__(self) -> None:
        check(self)
        # Without benefits nobody would ever dare to have no savings.
        require(0 < self.benefits < 1, f"benefits must lie in (0, 1), not {self.benefits:g}")
        require(min(self.productivity) > 0, f"productivity must be positive, not {self.productivity}")
        require(all(0 < u < 1 for u in self.unemployment), f"unemployment must lie in (0, 1), not {self.unemployment}")
        require(0 < self.stay_regime < 1, f"stay_regime must lie in (0, 1), not {self.stay_regime:g}")
        require(
            _MOST_CAPITAL / 200 <= self.capital <= _MOST_CAPITAL / 2,
            f"households would hold {self.capital:.3g} on average, but bins end at {_MOST_CAPITAL:g}",
        )
        chances = [chance for by_job in self.chances for row in by_job for jobs in row for chance in jobs]
        require(
            min(chances) >= 0,
            f"with stay_unemployed {self.stay_unemployed} no chance to lose a job can hold unemployment at "
            f"{self.unemployment}",
        )

    @property
    def chances(self) -> tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]:
        """Transition matrix of regimes and jobs: ``[z][e][z'][e']``."""
        matrix = []
        for z, now in enumerate(self.unemployment):
            rows: tuple[list[tuple[float, ...]], ...] = ([], [])
            for s, then in enumerate(self.unemployment):
                regime = self.stay_regime if s == z else 1 - self.stay_regime
                stay = self.stay_unemployed[z][s]
                lose = (then - now * stay) / (1 - now)
                for row, without in zip(rows, (stay, lose), strict=True):
                    row.append((regime * without, regime * (1 - without)))
            matrix.append(tuple(map(tuple, rows)))
        return tuple(matrix)

    @property
    def capital(self) -> float:
        """Capital of the steady state without any risk."""
        labour = self.hours * (1 - sum(self.unemployment) / 2)
        cost = 1 / self.discount - 1 + self.depreciation
        return labour * (self.capital_share / cost) ** (1 / (1 - self.capital_share))

    def prices(self, regime: int, capital: float) -> tuple[float, tuple[float, float]]:
        """The gross return on capital, and the incomes without and with a job."""
        productivity, employed = self.productivity[regime], 1 - self.unemployment[regime]
        intensity = capital / (self.hours * employed)
        gross_return = self.capital_share * productivity * intensity ** (self.capital_share - 1) + 1 - self.depreciation
        wage = (1 - self.capital_share) * productivity * intensity**self.capital_share
        tax = self.benefits * (1 - employed) / (self.hours * employed)
        return gross_return, (self.benefits * wage, (1 - tax) * self.hours * wage)


class KrusellSmith(Model):
    """State: the regime (one column each) and the histograms of capital of households without and with a job.

    ``1 / c = beta E[R' / c'] + mu``, ``k' = R k + income - c >= 0``. The policy is, at each node of capital, first
    without and then with a job, what a household would consume that may borrow today; between nodes the log of it is
    interpolated by cubics, and a household consumes it or all it has, whichever is less. Components of the residuals
    are points between the nodes, where the interpolation is at its worst; ``together`` is their average.
    """

    calibrations: ClassVar = {"den-haan-judd-juillard": Calibration()}
    equation_names = ("unemployed", "employed", "together")
    num_features, num_outputs = 4, _JOBS
    targets = Targets(mean=-4.0, p99=-3.0, max=-1.7, box_max=-1.5)  # the largest are of households without savings
    certificate_paths = 32

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        # One state holds a whole distribution, and gives an equation for each of 80 kinds of households.
        return {
            "tracks": 32,
            "adam_updates": 150,
            "polish_updates": 60,
            "polish_states": 48,
            "polish_box_share": 0.12,
            "polish_refresh_updates": 10,
        }

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.discount = calibration.discount
        self.euler_curvature = dict.fromkeys(_JOB_NAMES, 1.0)
        self.emphasis = {"together": _MEMORY}
        stay = calibration.stay_regime
        self.shocks = Chain([[stay, 1 - stay], [1 - stay, stay]])
        self.state_names = ("bad", "good") + tuple(f"{job}_{i + 1}" for job in _JOB_NAMES for i in range(_BINS))
        chances = torch.tensor(calibration.chances, dtype=torch.float64)
        self.exogenous = self.state_names[:2]
        self._finds = chances / chances.sum(dim=-1, keepdim=True)  # [z, e, z', e'], given z'
        self._productivity = torch.tensor(calibration.productivity, dtype=torch.float64)
        self._unemployment = torch.tensor(calibration.unemployment, dtype=torch.float64)
        self.nodes = _grid(_NODES, _NODE_SCALE)
        self.bins = _grid(_BINS, _BIN_SCALE)
        places = torch.arange(_NODES, dtype=torch.float64)
        self.points = _NODE_SCALE * torch.expm1(
            torch.cat([places[:1], places[:-1] + 0.5]) * _spacing(_NODES, _NODE_SCALE)
        )
        # Precaution adds about 1 % to the capital of an economy without risk.
        self._usual_capital = 1.01 * calibration.capital
        self._ln_at_rest = _ln_at_rest(calibration, self._usual_capital)
        self._to_bins, self._to_points = (_interpolation(at) for at in (self.bins, self.points))
        # A change of the histogram that adds 1 to its mean and nothing to its mass.
        self._tilt = torch.zeros(_JOBS * _BINS, dtype=torch.float64)
        self._tilt[-1], self._tilt[-_BINS] = 1 / _MOST_CAPITAL, -1 / _MOST_CAPITAL
        self._mass_to_points = _hats(self.bins, self.points)

    def initial_state(self, key: Tensor, count: int) -> Tensor:
        draws = random.normal(random.key(key, 1), 2, count).double()
        return self._state(key, count, torch.exp(0.03 * draws[..., 0, :]), torch.exp(0.05 * draws[..., 1, :]))

    def coordinates(self, state: Tensor) -> Tensor:
        """The log of aggregate capital ``[..., B, 1]``."""
        return torch.log(self.capital(state)).unsqueeze(-1)

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        """The states with every household's capital scaled up or down."""
        regime, histogram = self._split(state)
        factor = torch.exp(coordinates - self.coordinates(state)).unsqueeze(-1)
        capital = (factor * self.bins.to(state)).expand_as(histogram)
        return blocks(regime, self._lottery(histogram, capital).flatten(-2))

    def _state(self, key: Tensor, count: int, level: Tensor, spread: Tensor) -> Tensor:
        """Gamma distributions whose mean and coefficient of variation are so many times what is usual."""
        regime = torch.nn.functional.one_hot(random.integers(random.key(key, 2), 2, count), 2).double()
        bins = self.bins.to(key.device)
        shape = (_CV * spread).unsqueeze(-1) ** -2
        rate = shape / (self._usual_capital * level).unsqueeze(-1)
        log_density = (shape - 1) * torch.log(bins + 0.1) - rate * bins
        mass = torch.softmax(log_density + torch.log(bins + _BIN_SCALE), dim=-1)  # bins are as wide as that
        without = (regime @ self._unemployment.to(key.device)).unsqueeze(-1)
        return blocks(regime, without * mass, (1 - without) * mass)

    def features(self, state: Tensor) -> Tensor:
        regime, _ = self._split(state)
        nodes = self.nodes.to(state)
        logs = 2 * torch.log1p(nodes / _NODE_SCALE) / math.log1p(_MOST_CAPITAL / _NODE_SCALE) - 1
        capital = torch.log(self.capital(state) / self._usual_capital) / 0.05
        of_economy = torch.stack([regime[..., 1] - regime[..., 0], capital], dim=-1).unsqueeze(-2)
        of_household = torch.stack([1.5 * logs, nodes / self.calibration.capital - 1], dim=-1)
        leading = torch.broadcast_shapes(of_economy.shape[:-1], of_household.shape[:-1])
        return torch.cat([of_household.expand(*leading, -1), of_economy.expand(*leading, -1)], dim=-1)

    def head(self, raw: Tensor, state: Tensor) -> Policy:
        # The network corrects what households would consume if aggregate capital never moved.
        at_rest = torch.einsum("...z,zen->...en", state[..., :2], self._ln_at_rest.to(state))
        level = _ELASTICITY * torch.log(self.capital(state) / self._usual_capital)
        return {"free_consumption": torch.exp(at_rest + level[..., None, None] + 0.1 * raw.mT).flatten(-2)}

    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        regime, histogram = self._split(state)
        ln_free = _by_job(torch.log(policy["free_consumption"])) @ self._to_bins.to(state)  # [..., B, 2, bins]
        wealth = self._wealth(state, self.bins.to(state))
        savings = wealth - torch.minimum(torch.exp(ln_free), wealth)
        with torch.no_grad():
            finds = torch.einsum("...z,zesf,...s->...ef", regime, self._finds.to(state), shock)
            found = (finds.mT @ self._lottery(histogram, savings)).flatten(-2)
            found = found / found.sum(dim=-1, keepdim=True)  # or rounding would add up
        # Policies see nothing of a distribution but its mean, so gradients run through that alone: a 0 that has one.
        mean = (histogram * savings).sum(dim=(-1, -2)).unsqueeze(-1)
        return blocks(shock, found + (mean - mean.detach()) * self._tilt.to(state))

    def _lottery(self, histogram: Tensor, capital: Tensor) -> Tensor:
        """The histogram ``[..., 2, bins]`` after all in a bin moved to ``capital``, split between bins at its sides."""
        bins = self.bins.to(capital)
        place = torch.log1p(capital / _BIN_SCALE) / _spacing(_BINS, _BIN_SCALE)
        below = place.long().clamp(0, _BINS - 2)
        above = ((capital - bins[below]) / (bins[below + 1] - bins[below])).clamp(0, 1)
        moved = torch.zeros_like(capital)
        moved = moved.scatter_add(-1, below, histogram * (1 - above))
        return moved.scatter_add(-1, below + 1, histogram * above)

    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        regime, _ = self._split(state)
        consumption, next_capital, multiplier = self._household(state, policy)  # [..., B, 2, points]

        def value_of_saving(next_state: Tensor, next_policy: Policy) -> Tensor:
            gross_return, income = self.prices(next_state)
            ln_free = _interpolated(_by_job(torch.log(next_policy["free_consumption"])), next_capital)  # [.., f, e, p]
            wealth = gross_return[..., None, None, None] * next_capital.unsqueeze(-3) + income[..., None, None]
            following = torch.exp(torch.minimum(ln_free, torch.log(wealth)))
            next_regime, _ = self._split(next_state)
            finds = torch.einsum("...z,zesf,...s->...fe", regime, self._finds.to(state), next_regime)
            inverse = (finds.unsqueeze(-1) / following).sum(dim=-3)
            return self.discount * gross_return[..., None, None] * consumption * inverse

        error = consumption_error(expect(value_of_saving) + multiplier, 1.0)
        average = (self._mass(state) * error).sum(dim=(-1, -2))
        return {"unemployed": error[..., 0, :], "employed": error[..., 1, :], "together": average}

    def _household(self, state: Tensor, policy: Policy) -> tuple[Tensor, Tensor, Tensor]:
        """Consumption, savings, and the multiplier over marginal utility, at the points: ``[..., B, 2, points]``."""
        ln_free = _by_job(torch.log(policy["free_consumption"])) @ self._to_points.to(state)
        wealth = self._wealth(state, self.points.to(state))
        wish = ln_free - torch.log(wealth)
        consumption = wealth * torch.exp(torch.clamp(wish, max=0.0))
        return consumption, wealth - consumption, -torch.expm1(-_STEEPNESS * torch.relu(wish))

    def weights(self, state: Tensor) -> dict[str, Tensor]:
        mass = 2 * len(self.points) * self._mass(state)
        return {"unemployed": mass[..., 0, :], "employed": mass[..., 1, :], "together": torch.ones_like(state[..., 0])}

    def _mass(self, state: Tensor) -> Tensor:
        """The share of households without and with a job that each point stands for ``[..., 2, points]``."""
        _, histogram = self._split(state)
        return histogram @ self._mass_to_points.to(state)

    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        return (state >= 0).all(dim=-1) & (policy["free_consumption"] > 0).all(dim=-1)

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        _, savings, multiplier = self._household(state, policy)
        share = savings / self._wealth(state, self.points.to(state))
        return {name: (share[..., job, :], multiplier[..., job, :]) for job, name in enumerate(_JOB_NAMES)}

    def aggregates(self, state: Tensor) -> dict[str, Tensor]:
        return {"aggregate capital": self.capital(state), "gross return": self.prices(state)[0]}

    def capital(self, state: Tensor) -> Tensor:
        """Aggregate capital."""
        _, histogram = self._split(state)
        return (histogram @ self.bins.to(state)).sum(dim=-1)

    def prices(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The gross return ``[...]``, and the incomes without and with a job ``[..., 2]``."""
        own = self.calibration
        regime, histogram = self._split(state)
        without, employed = histogram.sum(dim=-1).unbind(-1)
        labour = own.hours * employed
        productivity = regime @ self._productivity.to(state)
        intensity = self.capital(state) / labour
        gross_return = own.capital_share * productivity * intensity ** (own.capital_share - 1) + 1 - own.depreciation
        wage = (1 - own.capital_share) * productivity * intensity**own.capital_share
        earned = (own.hours - own.benefits * without / employed) * wage
        return gross_return, torch.stack([own.benefits * wage, earned], dim=-1)

    def _wealth(self, state: Tensor, capital: Tensor) -> Tensor:
        """Resources of households with so much capital ``[P]``, without and with a job: ``[..., B, 2, P]``."""
        gross_return, income = self.prices(state)
        return gross_return[..., None, None] * capital + income.unsqueeze(-1)

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The regime ``[..., 2]`` and the histograms ``[..., 2, bins]``."""
        return state[..., :2], state[..., 2:].unflatten(-1, (_JOBS, _BINS))

    def distances(self, policy: PolicyFunction) -> dict[str, Distance]:
        """Distance of aggregate capital from the reference's on the same path of regimes."""
        own, reference = self.paths(policy)
        gap = (own / reference - 1).abs()
        return {
            # The reference's rules forecast its own capital within 0.043 %, and nets are 0.02 to 0.09 % below it.
            "aggregate capital from the reference, mean": Distance(gap.mean().item(), 1e-3),
            "aggregate capital from the reference, largest": Distance(gap.max().item(), 2.5e-3),
            "mean capital from the reference": Distance((own.mean() / reference.mean() - 1).abs().item(), 1e-3),
            "forecast error of the reference's rules, largest": Distance(self.reference.forecast_error[1], None),
        }

    @torch.no_grad()
    def paths(self, policy: PolicyFunction) -> tuple[Tensor, Tensor]:
        """Aggregate capital ``[T]`` under a policy and in the reference: one start, one path of regimes."""
        regimes = reference.draw_regimes(self.calibration, _PATH_PERIODS, _PATH_SEED)
        solved = self.reference.simulate(regimes, self.reference.start(regimes))
        # Bins differ: each of the reference's is split between two of these, so that the mean stays.
        mass = torch.from_numpy(self.reference.start(regimes)) @ _hats(
            torch.from_numpy(self.reference.histogram_grid), self.bins
        )
        every = torch.nn.functional.one_hot(torch.from_numpy(regimes), 2).double()
        state = blocks(every[0], mass.flatten()).unsqueeze(0)
        capital = []
        for following in torch.cat([every[1:], every[-1:]]):
            capital.append(self.capital(state))
            state = self.step(state, policy(state), following)
        return torch.cat(capital), torch.from_numpy(solved.capital)

    def figures(self, policy: PolicyFunction, state: Tensor) -> "dict[str, Figure]":
        from rlsuite.deqn import household_plots

        own, reference = self.paths(policy)
        return {
            "consumption": household_plots.consumption(*self._consumption(policy, state)),
            "distribution": household_plots.distribution(*self._distribution(state)),
            "capital": household_plots.capital(own.numpy(), reference.numpy()),
        }

    def _consumption(self, policy: PolicyFunction, state: Tensor) -> "tuple[Array, Array, Array]":
        """Capital ``[P]``, and what households with it consume where aggregate capital is average.

        That is ``[regime, job, P]``, here and in the reference.
        """
        level = self.coordinates(state).mean(dim=0)
        capital, rows, reference = self.points.numpy(), [], []
        for regime in range(2):
            one = self.moved(state[state[:, regime] == 1][:1], level)
            rows.append(self._household(one, policy(one))[0].squeeze(0))
            reference.append(
                [self.reference.household(regime, job, level.exp().item(), capital) for job in range(_JOBS)]
            )
        return capital, torch.stack(rows).numpy(force=True), np.array(reference)

    def _distribution(self, state: Tensor) -> "tuple[Array, Array, Array, Array]":
        """Bins and the density of capital over households, here and in the reference; densities have an area of 1."""
        mass = self._split(state)[1].sum(dim=-2).mean(dim=0).numpy(force=True)
        other, bins = self.reference.histogram_grid, self.bins.numpy()
        return bins, mass / np.gradient(bins), other, self.reference.histogram.sum(axis=0) / np.gradient(other)

    @cached_property
    def reference(self) -> reference.Solution:
        """Krusell and Smith's own algorithm."""
        return reference.solve(self.calibration)


@cache
def _ln_at_rest(calibration: Calibration, capital: float) -> Tensor:
    """``[regime, job, node]``; cached, as every run builds its model anew.

    Where households consume all they have, what they would like to is continued in a straight line.
    """
    nodes = _grid(_NODES, _NODE_SCALE)
    ln_free = torch.from_numpy(reference.at_rest(calibration, capital, nodes.numpy())).log()
    for regime in range(2):
        gross_return, incomes = calibration.prices(regime, capital)
        for job, income in enumerate(incomes):
            row = ln_free[regime, job]
            first = int((torch.exp(row) > (1 - 1e-4) * (gross_return * nodes + income)).sum())
            slope = (row[first + 1] - row[first]) / (nodes[first + 1] - nodes[first])
            row[:first] = row[first] + slope * (nodes[:first] - nodes[first])
    return ln_free


def _spacing(count: int, scale: float) -> float:
    return math.log1p(_MOST_CAPITAL / scale) / (count - 1)


def _grid(count: int, scale: float) -> Tensor:
    """Capital from 0 up, even in ``ln(1 + k / scale)``."""
    return scale * torch.expm1(_spacing(count, scale) * torch.arange(count, dtype=torch.float64))


def _by_job(values: Tensor) -> Tensor:
    """``[..., 2 * nodes]`` as ``[..., 2, nodes]``."""
    return values.unflatten(-1, (_JOBS, _NODES))


def _stencil(capital: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The first of the four nodes around each value, and Lagrange's weights of all four."""
    place = torch.log1p(capital / _NODE_SCALE) / _spacing(_NODES, _NODE_SCALE)
    first = (place.detach().long() - 1).clamp(0, _NODES - 4)
    a = place - first
    b, c, d = a - 1, a - 2, a - 3
    return first, [-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6]


def _interpolated(values: Tensor, capital: Tensor) -> Tensor:
    """Each row of node values ``[..., F, nodes]`` at each capital ``[..., E, P]``: ``[..., F, E, P]``."""
    first, weights = _stencil(capital)
    leading = torch.broadcast_shapes(values.shape[:-2], capital.shape[:-2])
    rows = (values.shape[-2], first.shape[-2] * first.shape[-1])
    values = values.expand(*leading, *values.shape[-2:])
    at = first.flatten(-2).unsqueeze(-2).expand(*leading, *rows)
    total = sum(w.flatten(-2).unsqueeze(-2) * values.gather(-1, at + i) for i, w in enumerate(weights))
    assert isinstance(total, Tensor)
    return total.unflatten(-1, first.shape[-2:])


def _interpolation(at: Tensor) -> Tensor:
    """The interpolation of node values at fixed values of capital, as a matrix ``[nodes, P]``."""
    return _interpolated(torch.eye(_NODES, dtype=torch.float64), at.unsqueeze(0)).squeeze(1)


def _hats(capital: Tensor, points: Tensor) -> Tensor:
    """Split each value of capital between the two points at its sides, in proportion: a matrix ``[values, points]``."""
    above = torch.searchsorted(points, capital).clamp(1, len(points) - 1)
    share = ((capital - points[above - 1]) / (points[above] - points[above - 1])).clamp(0, 1)
    matrix = torch.zeros(len(capital), len(points), dtype=torch.float64)
    matrix.scatter_(1, above.unsqueeze(1) - 1, 1 - share.unsqueeze(1))
    return matrix.scatter_add(1, above.unsqueeze(1), share.unsqueeze(1))
