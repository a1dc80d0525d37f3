"""The interface of economies: pure tensor functions of states, policies and shocks.

Shapes: states ``[..., B, D]``, B states with D named columns each; everything else a model returns keeps the leading
axes ``[..., B]`` and may add one component axis (ages, countries). Inside expectations one more axis, the nodes, stands
in front of all others, so that values of today and tomorrow combine without reshaping.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rlsuite.deqn.quadrature import Quadrature, Shocks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Policy = dict[str, Tensor]
PolicyFunction = Callable[[Tensor], Policy]
Expect = Callable[[Callable[[Tensor, Policy], Tensor]], Tensor]


@dataclass(frozen=True)
class Targets:
    """The largest errors that pass a certificate, as log10.

    Every equation is held to the same five bounds by itself, on the ergodic set and in the box around it.
    """

    mean: float = -4.0
    p99: float = -3.0
    max: float = -2.0
    box_p99: float = -3.0
    box_max: float = -2.0
    policy_max: float | None = None  # against the reference policy
    complementarity: float = -6.0  # Fischer-Burmeister of slack and multiplier, both free of units
    clearing: float = -7.0  # relative to output


class Distance(NamedTuple):
    """A number that a certificate reports and, where it has a target, holds against it."""

    found: float
    target: float | None


class Model(ABC):
    """One economy. A subclass in a file of its own under ``models`` is all that a new one needs.

    Class attributes:
        calibrations: by name, the default first. Frozen dataclasses that refuse impossible values.

    Attributes:
        calibration: the one that it was built with.
        state_names: one a column of the state.
        equation_names: of the residuals, in their order.
        euler_curvature: of those residuals that are Euler errors ``(E ratio)^(-1/curvature) - 1``: their curvature, a
            number, one a component, or the name of the state's column that holds it.
        emphasis: of equations in the loss: what their residuals are multiplied by, 1 where not named.
        exogenous: those columns of the state that no policy moves: shocks, regimes, parameters.
        num_features, num_outputs: of the network between ``features`` and ``head``.
        shocks: what moves the economy, and the rules to integrate over it.
        discount: of one period, in (0, 1).
        targets: what its certificate demands.
        certificate_paths: simulated side by side for it; fewer where a state is large, more where parameters differ.
    """

    calibrations: ClassVar[Mapping[str, Any]]
    calibration: Any
    state_names: tuple[str, ...]
    equation_names: tuple[str, ...]
    euler_curvature: Mapping[str, float | Tensor | str]
    emphasis: Mapping[str, float] = MappingProxyType({})
    exogenous: tuple[str, ...] = ()
    num_features: int
    num_outputs: int
    shocks: Shocks
    discount: float
    targets: Targets = Targets()
    certificate_paths: int = 256

    @abstractmethod
    def __init__(self, calibration: Any) -> None: ...

    @classmethod
    def tuned(cls, calibration: Any) -> dict[str, Any]:
        """Settings of the solver that suit it with a calibration, where not the defaults of ``SolverConfig``."""
        return {}

    @abstractmethod
    def initial_state(self, key: Tensor, count: int) -> Tensor:
        """States ``[*key.shape, count, D]`` to start paths from, near the steady state; float64."""

    def training_state(self, key: Tensor, count: int) -> Tensor:
        """States to start paths of training from: by default the same, or some that reach further."""
        return self.initial_state(key, count)

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """Network inputs ``[..., B, F]`` of about unit scale; ``[..., B, N, F]`` where it decides for N in turn."""

    @abstractmethod
    def head(self, raw: Tensor, state: Tensor) -> Policy:
        """Turn network outputs, with O columns in place of F, into a feasible policy.

        Near the steady state's where ``raw`` is 0.
        """

    @abstractmethod
    def step(self, state: Tensor, policy: Policy, shock: Tensor) -> Tensor:
        """Tomorrow's state, for shocks ``[..., K]`` that broadcast against today's."""

    @abstractmethod
    def residuals(self, state: Tensor, policy: Policy, expect: Expect) -> dict[str, Tensor]:
        """Return the residuals, 0 in equilibrium and free of units, by name of equation.

        Shapes: ``[..., B]`` or ``[..., B, components]``.

        ``expect(f)`` is the expectation of ``f(next_state, next_policy)`` given today.
        """

    @abstractmethod
    def feasible(self, state: Tensor, policy: Policy) -> Tensor:
        """Return a mask ``[..., B]`` of states that can exist and in which all consumption is positive."""

    def coordinates(self, state: Tensor) -> Tensor:
        """Numbers ``[..., B, C]`` in which the box around what paths visit is a box; by default the state's columns."""
        return state

    def moved(self, state: Tensor, coordinates: Tensor) -> Tensor:
        """The states ``[..., B, D]`` moved to other coordinates: feasible, whatever these are."""
        return coordinates

    def reference_policy(self, state: Tensor) -> Policy | None:
        """The true policy from a closed form or an independent method, or what ``step`` and ``reward`` need of it.

        Not differentiable.

        Raises:
            RuntimeError: the method finds no solution.
        """
        return None

    def reference_covers(self, state: Tensor) -> Tensor:
        """Return a mask ``[..., B]`` of the states that the reference policy is a solution for."""
        return torch.ones_like(state[..., 0], dtype=torch.bool)

    def reference_residuals(self, state: Tensor) -> dict[str, Tensor] | None:
        """The reference's own errors, as ``residuals``; None where it leaves out decisions that equations need."""

        def reference(state: Tensor) -> Policy:
            found = self.reference_policy(state)
            assert found is not None
            return found

        try:
            return residuals(self, reference, state, fine=True)
        except KeyError:
            return None

    def reference_spectral_radius(self) -> float | None:
        """Return the spectral radius at the steady state by an independent method, or None without one."""
        return None

    def aggregates(self, state: Tensor) -> dict[str, Tensor]:
        """Two numbers ``[..., B]`` that tell most about a state, for plots; by default its first two columns."""
        return {name: state[..., column] for column, name in enumerate(self.state_names[:2])}

    def complementarity(self, state: Tensor, policy: Policy) -> dict[str, tuple[Tensor, Tensor]]:
        """Slack and multiplier of each constraint, both free of units."""
        return {}

    def distances(self, policy: PolicyFunction) -> dict[str, Distance]:
        """Further figures for a certificate, by name: how far paths of states ``[B, D]`` are from an independent
        method's."""
        return {}

    def figures(self, policy: PolicyFunction, state: Tensor) -> "dict[str, Figure]":
        """Plots of this economy alone, by name of file; ``state`` is a sample ``[B, D]`` of what the policy visits."""
        return {}

    def weights(self, state: Tensor) -> dict[str, Tensor]:
        """Share of the economy that each component of every equation stands for, 1 in the mean; by default all alike.

        By name of equation, and of constraint where these have components of the same kind.
        """
        return {}

    def clearing(self, state: Tensor, policy: Policy) -> Tensor | None:
        """Excess demand relative to output ``[..., B]``, for economies with markets."""
        return None


def columns(*parts: Tensor) -> Tensor:
    """A state from its columns, which may be broadcast against each other."""
    return torch.stack(torch.broadcast_tensors(*parts), dim=-1)


def blocks(*parts: Tensor) -> Tensor:
    """A state from groups of columns ``[..., columns]`` whose leading axes may be broadcast against each other."""
    leading = torch.broadcast_shapes(*[part.shape[:-1] for part in parts])
    return torch.cat([part.expand(*leading, part.shape[-1]) for part in parts], dim=-1)


def _flatten_nodes(tensor: Tensor) -> Tensor:
    """``[Q, ..., B, D]`` as ``[..., Q * B, D]``."""
    return tensor.movedim(0, -3).flatten(-3, -2)


def expectation(model: Model, policy: PolicyFunction, state: Tensor, decision: Policy, *, fine: bool = False) -> Expect:
    """``expect`` for ``Model.residuals``: all nodes go through one call of the policy.

    Args:
        policy: tomorrow's policy function.
        state: today, ``[..., B, D]``.
        decision: today's policy there.
        fine: take the certificate's rule.
    """
    nodes, weights = model.shocks.quadrature(state, fine=fine)
    return expectation_by(
        model, policy, state, decision, Quadrature(nodes.view(len(nodes), *[1] * (state.ndim - 1), -1), weights)
    )


def expectation_by(model: Model, policy: PolicyFunction, state: Tensor, decision: Policy, rule: Quadrature) -> Expect:
    """Return an ``expectation`` by a rule whose nodes ``[Q, ..., K]`` broadcast against the states."""
    nodes, weights = rule
    next_state = model.step(state, decision, nodes)
    leading = state.shape[:-1]
    batch_axis = len(leading) - 1

    def unflatten(value: Tensor) -> Tensor:
        return value.unflatten(batch_axis, (len(nodes), leading[-1])).movedim(batch_axis, 0)

    next_policy = {name: unflatten(value) for name, value in policy(_flatten_nodes(next_state)).items()}

    def expect(function: Callable[[Tensor, Policy], Tensor]) -> Tensor:
        values = function(next_state, next_policy)  # [Q, ..., B] or [Q, ..., B, components]
        aligned = weights.view(*weights.shape, *[1] * (values.ndim - weights.ndim))
        return (aligned * values).sum(dim=0)

    return expect


def residuals(model: Model, policy: PolicyFunction, state: Tensor, *, fine: bool = False) -> dict[str, Tensor]:
    """The residuals of a policy function at states ``[..., B, D]``, by equation."""
    decision = policy(state)
    return model.residuals(state, decision, expectation(model, policy, state, decision, fine=fine))


def stack_residuals(named: Mapping[str, Tensor], leading_axes: int) -> Tensor:
    """All residuals in one tensor ``[..., B, E]``, E counting the components of all equations."""
    return torch.cat([r if r.ndim > leading_axes else r.unsqueeze(-1) for r in named.values()], dim=-1)
