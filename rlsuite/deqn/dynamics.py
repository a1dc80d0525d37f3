"""Dynamics under a policy: stability at the steady state, paths without shocks, forecast errors along paths."""

from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import Model, Policy, PolicyFunction, expectation_by, stack_residuals
from rlsuite.deqn.quadrature import Quadrature
from rlsuite.deqn.simulation import silent_path

_INSTRUMENTS = 5  # at most: the constant and the first features
_DIFFERENCE = 1e-4  # to both sides of the steady state, where the closed loop is linearised
_NO_RISK = 1e-5  # root mean squared forecast error below which there is nothing to test


@dataclass(frozen=True)
class Stability:
    """The ends of paths without shocks."""

    spectral_radius: float  # of the closed loop at its steady state; below 1 if stable
    spread: float  # the largest standard deviation of a state's column over paths from different starts, at their end


def stability(model: Model, policy: PolicyFunction, key: Tensor, *, starts: int = 32, periods: int = 1500) -> Stability:
    """Run paths without shocks to their end, and linearise there. A path that explodes gives infinite values."""
    state = silent_path(model, policy, model.initial_state(key, starts), periods)[-1]
    spread = state.std(dim=0).max().item()
    if not state.isfinite().all():
        return Stability(float("inf"), float("inf"))

    # By central differences: a policy need not be differentiable, and one in float32 is not smooth to the last digit.
    offsets = _DIFFERENCE * torch.eye(state.shape[-1]).to(state)
    around = state.mean(dim=0) + torch.stack([offsets, -offsets])  # [2, D, D]
    ahead, behind = silent_path(model, policy, around.flatten(0, 1), 1)[0].unflatten(0, (2, -1))
    jacobian = ((ahead - behind) / (2 * _DIFFERENCE)).T
    return Stability(torch.linalg.eigvals(jacobian).abs().max().item(), spread)


@dataclass(frozen=True)
class ForecastTest:
    """Shares of paths on which the statistic falls below and above its 5 % tails; about 0.05 each for a true policy."""

    below_5_percent: float
    above_95_percent: float


@torch.no_grad()
def den_haan_marcet(
    model: Model, policy: PolicyFunction, key: Tensor, *, paths: int = 500, periods: int = 3000, burn_in: int = 200
) -> ForecastTest | None:
    """Test that forecast errors cannot be forecast (den Haan and Marcet, 1994).

    On a path, the errors ``u`` of an Euler equation should be unrelated to what was known, ``h``: then
    ``T m' S^-1 m``, m = mean(u h) and S = mean(u^2 h h'), is chi-squared with a degree for each entry of ``h``.
    Each component of each Euler equation counts as a path of its own. ``None`` where nothing is left to forecast: in
    economies with log utility whose Euler equations hold shock by shock, errors are those of the policy alone.
    """
    state = model.initial_state(random.key(key, 1), paths)
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
        return None
    statistic = (
        periods * (mean.unsqueeze(-2) @ torch.linalg.pinv(spread, hermitian=True) @ mean.unsqueeze(-1)).flatten()
    )
    low, high = (chi2.ppf(q, df=mean.shape[-1]) for q in (0.05, 0.95))
    return ForecastTest((statistic < low).double().mean().item(), (statistic > high).double().mean().item())


def _forecast_errors(model: Model, policy: PolicyFunction, state: Tensor, decision: Policy, shock: Tensor) -> Tensor:
    """Realised less expected marginal values ``[N, E]``: residuals with tomorrow as it came about."""
    realised = Quadrature(shock.unsqueeze(0), state.new_ones(1))
    residuals = model.residuals(state, decision, expectation_by(model, policy, state, decision, realised))
    # Undo the power that makes an Euler error a share of consumption: what is left is linear in the expectation.
    linear = {name: (1 + residuals[name]) ** -curvature - 1 for name, curvature in model.euler_curvature.items()}
    return stack_residuals(linear, leading_axes=1)
