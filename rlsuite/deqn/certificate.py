"""An independent examination of a policy: what its loss does not show.

Everything is evaluated in float64 on states that training never saw and with expectations finer than in training.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.box import reach
from rlsuite.deqn.dynamics import den_haan_marcet, stability
from rlsuite.deqn.heads import fischer_burmeister
from rlsuite.deqn.model import Model, Policy, PolicyFunction, residuals
from rlsuite.deqn.preferences import consumption_loss
from rlsuite.deqn.simulation import advance, describe, simulate
from rlsuite.deqn.single_agent import SingleAgent
from rlsuite.faults import told

_STREAM = 1_000_003  # keeps the certificate's draws apart from those of training with the same seed
_TRACKS, _BURN_IN_PERIODS, _SPACING_PERIODS, _KEPT_PERIODS = 1024, 300, 10, 40  # tracks: at most
_SPREAD = 1e-4  # of zero-shock paths that count as meeting,
_SLACK = 10.0  # or this times what their spectral radius promises, where that is still more
_CUT = 1e-9  # of the discounted future that the welfare comparison leaves out
_LEAST, _MOST = 1e-17, 1e17  # errors below have no meaning in float64, and what is not finite counts as the largest
_REACH_STATES = 10**6  # of the paths that must stay inside the box
_PART_STATES = 2**20  # of tomorrow that are evaluated at a time
_STATISTICS = {"p99": "99 %", "max": "largest"}  # in words, where they differ from their names
_LEAST_WEIGHT = 1e-3  # of what the largest error is taken over, relative to the mean weight
_NO_REFERENCE = (RuntimeError, ValueError, ArithmeticError, np.linalg.LinAlgError)  # of a solver that gives up

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
            states = _REACH_STATES * min(Model.certificate_paths, model.certificate_paths) // Model.certificate_paths
            bounds = reach(model, policy, state, random.key(key, 6), states)
            box = bounds.spread(model, state, random.key(key, 2))
            feasible = model.feasible(box, policy(box))
            report |= {
                "euler_log10": _errors(model, policy, state),
                "box_euler_log10": _errors(model, policy, box),
                "infeasible_box_states": int((~feasible).sum()),
                "first_infeasible_in_box": describe(model, box[~feasible][0]) if not feasible.all() else None,
            }
            report |= _markets(model, policy, state)
            report |= _reference(model, policy, state, random.key(key, 3))
            report["den_haan_marcet"] = vars(den_haan_marcet(model, policy, random.key(key, 4)))
            report |= _distances(model, policy)
    stable = stability(model, policy, random.key(key, 5))
    report["stability"] = vars(stable) | {"reference_spectral_radius": model.reference_spectral_radius()}
    failures = _failures(model, report)
    return {"passed": not failures, "failures": failures} | report


def _ergodic_sample(model: Model, policy: PolicyFunction, key: Tensor) -> Tensor:
    """States ``[tracks * kept, D]`` from fresh paths after their burn-in."""
    start = model.initial_state(random.key(key, 1), min(_TRACKS, model.certificate_paths))
    path = simulate(model, policy, start, random.key(key, 2), _BURN_IN_PERIODS + _SPACING_PERIODS * _KEPT_PERIODS)
    return path[_BURN_IN_PERIODS::_SPACING_PERIODS].flatten(0, 1)


def _summary(errors: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Statistics of absolute errors, as log10; ``mean_of_log10`` averages the logarithms instead.

    An error counts as often as its weight says; the largest is that of all with a thousandth of the mean weight.
    """
    errors = np.clip(np.nan_to_num(np.abs(errors), nan=_MOST), _LEAST, _MOST)
    method: Any = "linear" if weights is None else "inverted_cdf"
    median, p90, p99, p999 = np.quantile(errors, [0.5, 0.9, 0.99, 0.999], weights=weights, method=method)
    largest = (errors if weights is None else errors[weights >= _LEAST_WEIGHT]).max()
    mean = np.average(errors, weights=weights)
    values = {"mean": mean, "median": median, "p90": p90, "p99": p99, "p999": p999, "max": largest}
    return {name: math.log10(value) for name, value in values.items()} | {
        "mean_of_log10": float(np.average(np.log10(errors), weights=weights))
    }


def _errors(model: Model, policy: PolicyFunction, state: Tensor) -> Report:
    """Statistics over all equations, of each, and of each component (ages, countries; they count from 1)."""
    nodes = len(model.shocks.quadrature(state[:1], fine=True).nodes)
    parts = [residuals(model, policy, part, fine=True) for part in state.split(max(1, _PART_STATES // nodes))]
    found = {name: torch.cat([part[name] for part in parts]).numpy(force=True) for name in model.equation_names}
    weights = {name: weight.numpy(force=True).ravel() for name, weight in model.weights(state).items()}
    every = np.concatenate([weights[name] for name in found]) if weights else None
    return _summary(np.concatenate([values.ravel() for values in found.values()]), every) | {
        "per_equation": {name: _summary(values.ravel(), weights.get(name)) for name, values in found.items()},
        "per_component": {
            f"{name}[{component + 1}]": _summary(values[:, component])
            for name, values in found.items()
            if values.ndim == 2 and not weights
            for component in range(values.shape[1])
        },
    }


def _markets(model: Model, policy: PolicyFunction, state: Tensor) -> Report:
    """Complementarity, and how often each constraint binds; the largest excess demand."""
    decision, weights = policy(state), model.weights(state)
    complementarity = {
        name: {
            "violation": fischer_burmeister(slack, multiplier).abs().max().item(),
            "binding_share": _average(multiplier > slack, weights.get(name)),
        }
        for name, (slack, multiplier) in model.complementarity(state, decision).items()
    }
    excess = model.clearing(state, decision)
    return {"complementarity": complementarity, "clearing_max": None if excess is None else excess.abs().max().item()}


def _average(values: Tensor, weights: Tensor | None) -> float:
    return (values.double().mean() if weights is None else (values * weights).sum() / weights.sum()).item()


def reference_of(model: Model) -> tuple[PolicyFunction | None, str | None]:
    """The reference policy of a model, or why there is none."""
    try:
        if model.reference_policy(model.initial_state(torch.tensor(0), 2)) is None:
            return None, None
    except _NO_REFERENCE as error:
        return None, told(error)

    def reference(state: Tensor) -> Policy:
        found = model.reference_policy(state)
        assert found is not None
        return found

    return reference, None


def _reference(model: Model, policy: PolicyFunction, state: Tensor, key: Tensor) -> Report:
    """The distance from the reference where it is a solution, how good that is itself, and the loss of welfare."""
    none = {"policy_error": None, "consumption_loss": None, "consumption_loss_standard_error": None}
    reference, fault = reference_of(model)
    if reference is None:
        return none | {"reference": fault and {"fault": fault}}
    covered = state[model.reference_covers(state)]
    own: Report = {"coverage": len(covered) / len(state)}
    if not len(covered):
        return none | {"reference": own | {"fault": "it covers no state that was visited"}}
    errors = model.reference_residuals(covered)
    own["errors_log10"] = errors and _summary(np.concatenate([e.numpy(force=True).ravel() for e in errors.values()]))
    return none | (
        {"reference": own}
        | {"policy_error": _policy_error(policy(covered), reference(covered))}
        | (_welfare(model, policy, reference, key) if isinstance(model, SingleAgent) else {})
    )


def _distances(model: Model, policy: PolicyFunction) -> Report:
    """The distances that the model defines, or why there are none."""
    try:
        return {"distances": {name: distance._asdict() for name, distance in model.distances(policy).items()}}
    except _NO_REFERENCE as error:
        return {"distances": {}, "reference": {"fault": told(error)}}


def _policy_error(decision: Policy, reference: Policy) -> Report:
    """Distance from the reference policy, relative to it or, where it is smaller than its mean, to that."""
    errors = {}
    for name, true in reference.items():
        errors[name] = (decision[name] - true).abs() / torch.maximum(true.abs(), true.abs().mean(dim=0))
    return {name: {"mean": error.mean().item(), "max": error.max().item()} for name, error in errors.items()}


def _welfare(model: SingleAgent, policy: PolicyFunction, reference: PolicyFunction, key: Tensor) -> Report:
    """Consumption that an agent with the reference policy would give up to have this one, under the same shocks.

    The loss is second order in the policy error, so that for accurate policies its standard error is the larger number.
    """
    tracks = min(_TRACKS, model.certificate_paths)
    start = model.initial_state(random.key(key, 1), tracks)
    best, own = (_value(model, function, start, random.key(key, 2)) for function in (reference, policy))
    loss, error = (own - best).mean().item(), (own - best).std().item() / math.sqrt(tracks)
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
    stable = report["stability"]
    if not stable["spectral_radius"] < 1:
        failures.append(f"unstable: the spectral radius is {stable['spectral_radius']:.4f}")
    if not stable["spread"] < max(_SPREAD, _SLACK * stable["promised_spread"]):
        failures.append(f"paths without shocks do not meet: they end {stable['spread']:.1e} apart")
    if "euler_log10" not in report:
        return failures
    if report["infeasible_box_states"]:
        count = f"{report['infeasible_box_states']} of {report['states']}"
        failures.append(f"{count} states of the box are infeasible, as {report['first_infeasible_in_box']}")
    for place, key, statistics in (
        ("", "euler_log10", {"mean": targets.mean, "p99": targets.p99, "max": targets.max}),
        (" in the box", "box_euler_log10", {"p99": targets.box_p99, "max": targets.box_max}),
    ):
        for equation, errors in report[key]["per_equation"].items():
            for statistic, target in statistics.items():
                if not errors[statistic] <= target:
                    failures.append(
                        f"{equation}: {_STATISTICS.get(statistic, statistic)} error{place} is "
                        f"10^{errors[statistic]:.2f}, the target 10^{target:.2f}"
                    )
    for name, distance in report["distances"].items():
        if distance["target"] is not None and not distance["found"] <= distance["target"]:
            failures.append(f"{name}: {distance['found']:.1e}, the target is {distance['target']:.1e}")
    for name, found in report["complementarity"].items():
        if not found["violation"] <= 10**targets.complementarity:
            failures.append(f"complementarity of {name} is violated by {found['violation']:.1e}")
    if report["clearing_max"] is not None and not report["clearing_max"] <= 10**targets.clearing:
        failures.append(f"markets miss clearing by {report['clearing_max']:.1e} of output")
    own = (report["reference"] or {}).get("errors_log10") or {"max": -math.inf}
    if targets.policy_max is not None and report["policy_error"] and own["max"] <= targets.policy_max:
        for name, error in report["policy_error"].items():  # by a reference that is better itself
            if not error["max"] <= 10**targets.policy_max:
                failures.append(
                    f"{name} is up to {error['max']:.1e} from the reference, the target is 10^{targets.policy_max:.1f}"
                )
    return failures
