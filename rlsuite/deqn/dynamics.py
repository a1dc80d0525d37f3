"""Dynamics under a policy: stability at the steady state, paths without shocks, forecast errors along paths."""

from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import Expect, Model, Policy, PolicyFunction, expectation, expectation_by, stack_residuals
from rlsuite.deqn.quadrature import Quadrature
from rlsuite.deqn.simulation import silent_path

_INSTRUMENTS = 5  # at most: the constant and the first features
_DIFFERENCE = 1e-4  # to both sides of the steady state, where the closed loop is linearised
_PROBED_STATES = 8  # to tell whether equations are linear in their expectations
_LINEAR = 1e-6  # relative difference that counts as rounding
_NO_RISK = 1e-5  # root mean squared forecast error below which there is nothing to test


@dataclass(frozen=True)
class Stability:
    """The ends of paths without shocks, and how fast they should meet there.

    Of the state only what a policy moves: exogenous columns are the same on all paths.
    """

    spectral_radius: float  # of the closed loop at its steady state; below 1 if stable
    spread: float  # the largest standard deviation of a state's column over paths from different starts, at their end
    promised_spread: float  # the same, had paths met at the rate of the spectral radius from the start


def stability(model: Model, policy: PolicyFunction, key: Tensor, *, starts: int = 32, periods: int = 1500) -> Stability:
    """Run paths without shocks to their end, and linearise there. A path that explodes gives infinite values."""
    moving = torch.tensor([name not in model.exogenous for name in model.state_names], device=key.device)
    state = model.initial_state(key, starts)
    state = torch.where(moving, state, state[0])
    begun = state[:, moving].std(dim=0).max().item()
    state = silent_path(model, policy, state, periods)[-1]
    if not state.isfinite().all():
        return Stability(float("inf"), float("inf"), 0.0)
    spread = state[:, moving].std(dim=0).max().item()

    # By central differences: a policy need not be differentiable, and one in float32 is not smooth to the last digit.
    offsets = (_DIFFERENCE * torch.eye(state.shape[-1]).to(state))[moving]
    around = state.mean(dim=0) + torch.stack([offsets, -offsets])  # [2, M, D]
    ahead, behind = silent_path(model, policy, around.flatten(0, 1), 1)[0].unflatten(0, (2, -1))
    jacobian = ((ahead - behind)[:, moving] / (2 * _DIFFERENCE)).T
    radius = torch.linalg.eigvals(jacobian).abs().max().item()
    return Stability(radius, spread, begun * min(radius, 1.0) ** periods)


@dataclass(frozen=True)
class ForecastTest:
    """Shares of paths on which the statistic falls below and above its 5 % tails; about 0.05 each for a true policy.

    Nothing where the test does not apply: ``reason`` says why.
    """

    below_5_percent: float | None = None
    above_95_percent: float | None = None
    reason: str | None = None


@torch.no_grad()
def den_haan_marcet(
    model: Model, policy: PolicyFunction, key: Tensor, *, paths: int = 500, periods: int = 3000, burn_in: int = 200
) -> ForecastTest:
    """Test that forecast errors cannot be forecast (den Haan and Marcet, 1994).

    On a path, the errors ``u`` of an Euler equation should be unrelated to what was known, ``h``: then
    ``T m' S^-1 m``, m = mean(u h) and S = mean(u^2 h h'), is chi-squared with a degree for each entry of ``h``.
    Each component of each Euler equation counts as a path of its own. It does not apply where nothing is left to
    forecast (in economies with log utility whose Euler equations hold shock by shock, errors are those of the policy
    alone), nor where an equation is not linear in its expectations: realised errors are not zero in the mean there,
    nor where components have weights: they stand for points, at which nobody stays to be surprised.
    """
    state = model.initial_state(random.key(key, 1), paths)
    if model.weights(state):
        return ForecastTest(reason="the equations are those of points, at which nobody stays")
    if not _linear_in_expectations(model, policy, state[:_PROBED_STATES]):
        return ForecastTest(reason="an equation is not linear in its expectations")
    moment = variance = state.new_zeros(())
    for period in range(burn_in + periods):
        decision = policy(state)
        shock = model.shocks.draw(state, random.key(key, 2, period))
        if period >= burn_in:
            errors = _forecast_errors(model, policy, state, decision, shock)  # [N, E]
            known = model.features(state).flatten(1)[:, : _INSTRUMENTS - 1]
            known = torch.cat([torch.ones_like(known[..., :1]), known], dim=-1)  # [N, H]
            products = errors.unsqueeze(-1) * known.unsqueeze(-2)  # [N, E, H]
            moment = moment + products
            variance = variance + products.unsqueeze(-1) * products.unsqueeze(-2)
        state = model.step(state, decision, shock)
    mean, spread = moment / periods, variance / periods
    if spread[..., 0, 0].mean() < _NO_RISK**2:
        return ForecastTest(reason="the equations hold shock by shock")
    statistic = (
        periods * (mean.unsqueeze(-2) @ torch.linalg.pinv(spread, hermitian=True) @ mean.unsqueeze(-1)).flatten()
    )
    low, high = (chi2.ppf(q, df=mean.shape[-1]) for q in (0.05, 0.95))
    return ForecastTest((statistic < low).double().mean().item(), (statistic > high).double().mean().item())


def _linear_in_expectations(model: Model, policy: PolicyFunction, state: Tensor) -> bool:
    """Whether errors under one shock at a time average to the errors under all: so they do unless expectations nest."""
    decision = policy(state)
    nodes, chances = model.shocks.quadrature(state, fine=False)
    each = (node.expand(len(state), -1) for node in nodes)
    alone = torch.stack([_forecast_errors(model, policy, state, decision, node) for node in each])  # [Q, B, E]
    weights = chances.reshape(len(nodes), -1, 1)
    together = _linear_errors(model, state, decision, expectation(model, policy, state, decision))
    scale = (weights * alone.abs()).sum(dim=0)
    return bool((((weights * alone).sum(dim=0) - together).abs() <= _LINEAR * (scale + _LINEAR)).all())


def _forecast_errors(model: Model, policy: PolicyFunction, state: Tensor, decision: Policy, shock: Tensor) -> Tensor:
    """Realised less expected marginal values ``[N, E]``: residuals with tomorrow as it came about."""
    realised = Quadrature(shock.unsqueeze(0), state.new_ones(1))
    return _linear_errors(model, state, decision, expectation_by(model, policy, state, decision, realised))


def _linear_errors(model: Model, state: Tensor, decision: Policy, expect: Expect) -> Tensor:
    residuals = model.residuals(state, decision, expect)
    # Undo the power that makes an Euler error a share of consumption: what is left is linear in the expectation.
    linear = {}
    for name, given in model.euler_curvature.items():
        curvature = state[..., model.state_names.index(given)] if isinstance(given, str) else given
        linear[name] = (1 + residuals[name]) ** -curvature - 1
    return stack_residuals(linear, leading_axes=1)
