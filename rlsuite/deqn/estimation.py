"""Simulated method of moments (McFadden, 1989; Duffie and Singleton, 1993) on a policy that holds for all parameters.

Solving an economy anew for each guess is what makes estimation slow. Where parameters are columns of the state, one
solution serves every guess, and many samples at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import PolicyFunction
from rlsuite.deqn.models.growth_parameters import PARAMETERS, GrowthParameters
from rlsuite.deqn.references.time_iteration import Solution

_BURN_IN_PERIODS = 100
_DIFFERENCE = 0.02  # of scaled parameters, for derivatives
_LONGEST_STEP = 0.3  # in scaled parameters
_ITERATIONS = 8


@dataclass(frozen=True)
class Estimates:
    """Estimates of P unknown parameters from R samples.

    Attributes:
        unknown: their names.
        values: ``[R, P]``.
        standard_errors: ``[R, P]``.
        overidentification: Hansen's J ``[R]``, chi-squared with a degree for each moment more than parameters.
    """

    unknown: tuple[str, ...]
    values: Tensor
    standard_errors: Tensor
    overidentification: Tensor
    _scaled: Tensor
    _precision: Tensor

    def contain(self, truth: Mapping[str, float], level: float = 0.95) -> Tensor:
        """Whether the joint confidence region of each sample holds these values ``[R]`` (Wald's)."""
        point = torch.tensor([truth[name] for name in self.unknown], dtype=torch.float64)
        gap = self._scaled - _scale(point, self.unknown)
        distance = torch.einsum("rp,rpq,rq->r", gap, self._precision, gap)
        return distance <= chi2.ppf(level, len(self.unknown))


def estimate(
    model: GrowthParameters,
    policy: PolicyFunction,
    data: Tensor,
    unknown: Sequence[str],
    known: Mapping[str, float],
    *,
    paths: int = 150,
    seed: int = 0,
) -> Estimates:
    """Find the parameters whose simulated moments are those of each sample.

    Gauss-Newton steps on the moments' distance, weighted by the inverse of their covariance over simulated paths that
    are as long as the data; starts and shocks are the same for all guesses.

    Args:
        policy: of states ``[B, D]``, of the whole family.
        data: ln output and ln consumption ``[R, T, 2]``.
        unknown: parameters to estimate, of ``PARAMETERS``.
        known: the values of the others.
        paths: simulated for each guess; their covariance is an estimate too, and regions are too small with few.

    Raises:
        ValueError: a parameter is neither known nor unknown, or both.
    """
    if sorted([*unknown, *known]) != sorted(PARAMETERS):
        raise ValueError(f"each of {', '.join(PARAMETERS)} must be either known or unknown, once")
    ranges = torch.tensor([getattr(model.calibration, name) for name in unknown], dtype=torch.float64)
    low, high = _scale(ranges.T, unknown).sort(dim=0).values
    target = moments(data.double())
    guess = ((low + high) / 2).expand(len(data), -1)
    offsets = torch.cat([torch.zeros(1, len(unknown)), _DIFFERENCE * torch.eye(len(unknown))]).double()
    for _ in range(_ITERATIONS):
        tried = guess.unsqueeze(1) + offsets  # [R, P + 1, P]
        simulated = _simulated(model, policy, tried, tuple(unknown), known, data.shape[1], paths, seed)
        mean = simulated.mean(dim=2)  # [R, P + 1, M]
        slopes = ((mean[:, 1:] - mean[:, :1]) / _DIFFERENCE).mT  # [R, M, P]
        # The data are one path, simulated means those of many. Inverses of estimated covariances are too large.
        unbiased = (paths - mean.shape[-1] - 2) / (paths - 1)
        weight = unbiased * torch.linalg.inv((1 + 1 / paths) * _covariance(simulated[:, 0]))
        gap = target - mean[:, 0]
        precision = slopes.mT @ weight @ slopes
        distance = torch.einsum("rm,rmn,rn->r", gap, weight, gap)
        step = torch.linalg.solve(precision, (slopes.mT @ weight @ gap.unsqueeze(-1)).squeeze(-1))
        found = guess
        guess = torch.clamp(guess + step.clamp(-_LONGEST_STEP, _LONGEST_STEP), low, high)
    values = _unscale(found, unknown)
    sds = torch.linalg.inv(precision).diagonal(dim1=-2, dim2=-1).sqrt()
    errors = (_unscale(found + 1e-4 * sds, unknown) - values).abs() / 1e-4  # scales are smooth
    return Estimates(tuple(unknown), values, errors, distance, found, precision)


def moments(series: Tensor) -> Tensor:
    """Moments ``[..., 6]`` of ln output and ln consumption ``[..., T, 2]``.

    The mean of the share consumed, in logs; ln standard deviations of that share and of the growth of both; the
    correlation of their growth and the autocorrelation of the share. The last two as Fisher's z, as the first are as
    logs: moments of short samples are then about normal.
    """
    share = series[..., 1] - series[..., 0]
    growth = series.diff(dim=-2)
    sds = growth.std(dim=-2)
    centred = growth - growth.mean(dim=-2, keepdim=True)
    correlation = (centred[..., 0] * centred[..., 1]).mean(dim=-1) / sds.prod(dim=-1)
    deviation = share - share.mean(dim=-1, keepdim=True)
    autocorrelation = (deviation[..., 1:] * deviation[..., :-1]).mean(dim=-1) / deviation.square().mean(dim=-1)
    bounded = torch.stack([correlation, autocorrelation], dim=-1).atanh()
    sizes = torch.cat([share.std(dim=-1, keepdim=True), sds], dim=-1).log()
    return torch.cat([share.mean(dim=-1, keepdim=True), sizes, bounded], dim=-1)


def observe(model: GrowthParameters, solution: Solution, samples: int, periods: int, seed: int = 0) -> Tensor:
    """Samples ``[R, T, 2]`` of ln output and ln consumption from another method's solution of one economy."""

    def decide(state: Tensor) -> Tensor:
        consumption, _ = solution(state[:, 0].numpy(), state[:, 1].numpy())
        return torch.from_numpy(consumption)

    own = torch.tensor([getattr(solution.technology, name) for name in PARAMETERS], dtype=torch.float64)
    key = random.key(torch.tensor(seed), 1)
    shocks = random.normal(random.key(key, 2), _BURN_IN_PERIODS + periods, samples).double()
    return _series(model, decide, model.near_steady_state(key, own.expand(samples, -1)), shocks)


@torch.no_grad()
def _simulated(
    model: GrowthParameters,
    policy: PolicyFunction,
    scaled: Tensor,
    unknown: tuple[str, ...],
    known: Mapping[str, float],
    periods: int,
    paths: int,
    seed: int,
) -> Tensor:
    """Moments ``[R, G, paths, M]`` of simulated paths of each guess ``[R, G, P]``."""
    given = dict(zip(unknown, _unscale(scaled, unknown).unbind(-1), strict=True))
    one = torch.ones_like(scaled[..., 0])
    parameters = torch.stack([given[name] if name in given else known[name] * one for name in PARAMETERS], dim=-1)
    key = random.key(torch.tensor(seed), 2)
    guesses = parameters.flatten(0, 1).unsqueeze(1).expand(-1, paths, -1)
    # The same starts and shocks for all guesses, so that only their parameters tell them apart.
    start = model.near_steady_state(key.expand(len(guesses)), guesses).flatten(0, 1)
    shocks = random.normal(random.key(key, 2), _BURN_IN_PERIODS + periods, paths).double()
    series = _series(model, lambda state: policy(state)["consumption"], start, shocks.repeat(1, len(start) // paths))
    return moments(series).unflatten(0, (*scaled.shape[:2], paths))


def _series(model: GrowthParameters, consume: Callable[[Tensor], Tensor], state: Tensor, shocks: Tensor) -> Tensor:
    """ln output and ln consumption ``[B, T, 2]`` along paths from states ``[B, D]``, after the burn-in."""
    series = []
    for shock in shocks:
        consumption, output = consume(state), model.output(state)
        series.append(torch.stack([output, consumption], dim=-1).log())
        capital = output + model.undepreciated(state) - consumption
        state = model.step(state, {"next_capital": capital}, shock.unsqueeze(-1))
    return torch.stack(series[_BURN_IN_PERIODS:], dim=1)


def _covariance(samples: Tensor) -> Tensor:
    """Over samples ``[R, N, M]``: ``[R, M, M]``."""
    deviation = samples - samples.mean(dim=1, keepdim=True)
    return deviation.mT @ deviation / (samples.shape[1] - 1)


def _scale(values: Tensor, names: Sequence[str]) -> Tensor:
    """Parameters ``[..., P]`` on scales without an upper end: logs, of the distance from 1 where 1 is the end."""
    rows = [torch.log(1 - v if name in _FROM_ONE else v) for name, v in zip(names, values.unbind(-1), strict=True)]
    return torch.stack(rows, dim=-1)


def _unscale(scaled: Tensor, names: Sequence[str]) -> Tensor:
    rows = [1 - s.exp() if name in _FROM_ONE else s.exp() for name, s in zip(names, scaled.unbind(-1), strict=True)]
    return torch.stack(rows, dim=-1)


_FROM_ONE = ("discount", "persistence")
