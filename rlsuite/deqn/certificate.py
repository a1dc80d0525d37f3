"""An independent examination of a policy: what its loss does not show.

Everything is evaluated in float64 on states that training never saw and with expectations finer than in training.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.dynamics import den_haan_marcet, stability
from rlsuite.deqn.heads import fischer_burmeister
from rlsuite.deqn.model import Model, Policy, PolicyFunction, residuals
from rlsuite.deqn.preferences import consumption_loss
from rlsuite.deqn.simulation import advance, describe, simulate
from rlsuite.deqn.single_agent import SingleAgent

_STREAM = 1_000_003  # keeps the certificate's draws apart from those of training with the same seed
_TRACKS, _BURN_IN_PERIODS, _SPACING_PERIODS, _KEPT_PERIODS = 256, 300, 10, 40
_SPREAD = 1e-4  # of zero-shock paths that count as meeting
_CUT = 1e-9  # of the discounted future that the welfare comparison leaves out
_LEAST = 1e-17  # errors below have no meaning in float64

Report = dict[str, Any]


def certify(model: Model, policy: PolicyFunction, seed: int = 0) -> Report:
    """Examine a policy function of states ``[B, D]``.

    Returns:
        The content of ``certificate.json``: JSON values only, ``None`` where something is not defined for the model.
        ``passed`` says whether all targets of the model are met, ``failures`` which are not.
    """
    key = random.key(torch.tensor(seed), _STREAM)
    with torch.no_grad():
        state = _ergodic_sample(model, policy, random.key(key, 1))
        feasible = model.feasible(state, policy(state)) & state.isfinite().all(dim=-1)
        report: Report = {
            "states": len(state),
            "infeasible_states": int((~feasible).sum()),
            "first_infeasible": describe(model, state[~feasible][0]) if not feasible.all() else None,
        }
        state = state[feasible]
        if len(state):
            box = model.box_state(random.key(key, 2), len(state))
            report |= {
                "euler_log10": _euler_errors(model, policy, state),
                "box_euler_log10": _euler_errors(model, policy, box),
            }
            report |= _markets(model, policy, state) | {"policy_error": _policy_error(model, policy, state)}
            report |= _welfare(model, policy, random.key(key, 3))
            forecasts = den_haan_marcet(model, policy, random.key(key, 4))
            report["den_haan_marcet"] = None if forecasts is None else vars(forecasts)
    stable = stability(model, policy, random.key(key, 5))
    report["stability"] = vars(stable) | {"reference_spectral_radius": model.reference_spectral_radius()}
    failures = _failures(model, report)
    return {"passed": not failures, "failures": failures} | report


def _ergodic_sample(model: Model, policy: PolicyFunction, key: Tensor) -> Tensor:
    """States ``[tracks * kept, D]`` from fresh paths after their burn-in."""
    start = model.initial_state(random.key(key, 1), _TRACKS)
    path = simulate(model, policy, start, random.key(key, 2), _BURN_IN_PERIODS + _SPACING_PERIODS * _KEPT_PERIODS)
    return path[_BURN_IN_PERIODS::_SPACING_PERIODS].flatten(0, 1)


def _summary(errors: np.ndarray) -> dict[str, float]:
    """Statistics of absolute errors, as log10; ``mean_of_log10`` averages the logarithms instead."""
    errors = np.maximum(np.abs(errors), _LEAST)
    median, p90, p99, p999 = np.quantile(errors, [0.5, 0.9, 0.99, 0.999])
    values = {"mean": errors.mean(), "median": median, "p90": p90, "p99": p99, "p999": p999, "max": errors.max()}
    return {name: math.log10(value) for name, value in values.items()} | {
        "mean_of_log10": float(np.log10(errors).mean())
    }


def _euler_errors(model: Model, policy: PolicyFunction, state: Tensor) -> Report:
    """Statistics over all Euler equations, and of each; components (ages, countries) count from 1."""
    found = residuals(model, policy, state, fine=True)
    by_equation: dict[str, np.ndarray] = {}
    for name in model.euler_curvature:
        values = found[name].numpy(force=True)
        if values.ndim == 1:
            by_equation[name] = values
        else:
            by_equation |= {f"{name}[{component + 1}]": values[:, component] for component in range(values.shape[1])}
    return _summary(np.concatenate(list(by_equation.values()))) | {
        "per_equation": {name: _summary(values) for name, values in by_equation.items()}
    }


def _markets(model: Model, policy: PolicyFunction, state: Tensor) -> Report:
    """Complementarity, and how often each constraint binds; the largest excess demand."""
    decision = policy(state)
    complementarity = {
        name: {
            "violation": fischer_burmeister(slack, multiplier).abs().max().item(),
            "binding_share": (multiplier > slack).double().mean().item(),
        }
        for name, (slack, multiplier) in model.complementarity(state, decision).items()
    }
    excess = model.clearing(state, decision)
    return {"complementarity": complementarity, "clearing_max": None if excess is None else excess.abs().max().item()}


def _policy_error(model: Model, policy: PolicyFunction, state: Tensor) -> Report | None:
    """Distance from the reference policy, relative to it or, where it is smaller than its mean, to that."""
    reference = model.reference_policy(state)
    if reference is None:
        return None
    decision = policy(state)
    errors = {}
    for name, true in reference.items():
        errors[name] = (decision[name] - true).abs() / torch.maximum(true.abs(), true.abs().mean(dim=0))
    return {name: {"mean": error.mean().item(), "max": error.max().item()} for name, error in errors.items()}


def _welfare(model: Model, policy: PolicyFunction, key: Tensor) -> Report:
    """Consumption that an agent with the reference policy would give up to have this one, under the same shocks.

    The loss is second order in the policy error, so that for accurate policies its standard error is the larger number.
    """
    start = model.initial_state(random.key(key, 1), _TRACKS)
    if not isinstance(model, SingleAgent) or model.reference_policy(start) is None:
        return {"consumption_loss": None, "consumption_loss_standard_error": None}

    def reference(state: Tensor) -> Policy:
        found = model.reference_policy(state)
        assert found is not None
        return found

    best, own = (_value(model, function, start, random.key(key, 2)) for function in (reference, policy))
    loss, error = (own - best).mean().item(), (own - best).std().item() / math.sqrt(_TRACKS)
    level = best.mean().item()
    return {
        "consumption_loss": consumption_loss(level + loss, level, model.discount, model.risk_aversion),
        "consumption_loss_standard_error": abs(
            consumption_loss(level + error, level, model.discount, model.risk_aversion)
        ),
    }


def _value(model: SingleAgent, policy: PolicyFunction, state: Tensor, key: Tensor) -> Tensor:
    """Discounted utility along one path from each state ``[B]``."""
    value = torch.zeros_like(state[..., 0])
    for period in range(math.ceil(math.log(_CUT) / math.log(model.discount))):
        following, decision = advance(model, policy, state, random.key(key, period))
        value += model.discount**period * model.reward(state, decision)
        state = following
    return value


def _failures(model: Model, report: Report) -> list[str]:
    """Return the reasons why a policy fails its certificate, in words; none if it passes."""
    targets, failures = model.targets, []
    if report["infeasible_states"]:
        count = f"{report['infeasible_states']} of {report['states']}"
        failures.append(f"{count} states are infeasible, as {report['first_infeasible']}")
    if not report["stability"]["spectral_radius"] < 1:
        failures.append(f"unstable: the spectral radius is {report['stability']['spectral_radius']:.4f}")
    if not report["stability"]["spread"] < _SPREAD:
        failures.append(f"paths without shocks do not meet: they end {report['stability']['spread']:.1e} apart")
    if "euler_log10" not in report:
        return failures
    for statistic, target in (("mean", targets.mean), ("p99", targets.p99)):
        found = report["euler_log10"][statistic]
        if target is not None and not found <= target:
            failures.append(f"{statistic} Euler error is 10^{found:.2f}, the target 10^{target:.2f}")
    for name, found in report["complementarity"].items():
        if not found["violation"] <= 10**targets.complementarity:
            failures.append(f"complementarity of {name} is violated by {found['violation']:.1e}")
    if report["clearing_max"] is not None and not report["clearing_max"] <= 10**targets.clearing:
        failures.append(f"markets miss clearing by {report['clearing_max']:.1e} of output")
    if targets.policy_max is not None:
        for name, error in (report["policy_error"] or {}).items():
            if not error["max"] <= 10**targets.policy_max:
                failures.append(
                    f"{name} is up to {error['max']:.1e} from the reference, the target is 10^{targets.policy_max:.1f}"
                )
    return failures
