"""Dynamic programming on a grid: one agent's problem by value iteration, with Howard's improvement.

``V(x) = max over shares of u(x, share) + beta E V(x')`` with tensor-product cubic splines between the grid's points,
straight lines beyond them, and the maximum by golden section. Of the model it uses what an environment uses: ``step``,
``reward`` and ``save``; no Euler equation.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.box import Box
from rlsuite.deqn.model import Policy
from rlsuite.deqn.simulation import simulate
from rlsuite.deqn.single_agent import SingleAgent

_SECTION = (math.sqrt(5) - 1) / 2
_SECTION_STEPS = 42  # leave 2e-9 of the bounds, finer than values in float64 can tell shares apart
_RANGE_STATES = 4_000  # drawn to find what the grid must hold
_PATHS, _PERIODS = 256, 300  # simulated to the same end
_REFINEMENTS = 2


class _Axis:
    """One dimension of the grid: the weights that its points have in the value at any other."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = torch.from_numpy(points)
        self._spline = CubicSpline(points, np.eye(len(points)))
        self._slope = self._spline.derivative()

    def weights(self, at: Tensor) -> Tensor:
        """``[..., len(points)]`` for ``at [...]``."""
        inside = at.clamp(self.points[0], self.points[-1])
        value, slope = (torch.from_numpy(f(inside.numpy())) for f in (self._spline, self._slope))
        return value + (at - inside).unsqueeze(-1) * slope


@dataclass(frozen=True)
class Solution:
    """Values and policy on the grid ``[N0, N1]``, and how the iteration went.

    Attributes:
        share: what to save.
        changes: the largest change of a value, sweep by sweep.
        transitions: from a state to a node of tomorrow that it took, those of simulations and coarser grids included.
    """

    model: SingleAgent
    axes: tuple[_Axis, _Axis]
    value: Tensor
    share: Tensor
    changes: tuple[float, ...]
    transitions: int = 0

    def policy(self, state: Tensor) -> Policy:
        """The policy function of states ``[..., B, 2]``; without multipliers, as ``SingleAgent.save``."""
        share = interpolate(self.axes, self.share, state).clamp(*self.model.saving_bounds)
        return self.model.save(share, state)

    def value_at(self, state: Tensor) -> Tensor:
        """The value function ``[..., B]``."""
        return interpolate(self.axes, self.value, state)


def interpolate(axes: tuple[_Axis, _Axis], values: Tensor, state: Tensor) -> Tensor:
    """``values [N0, N1]`` at states ``[..., 2]``."""
    first, second = (axis.weights(state[..., column]) for column, axis in enumerate(axes))
    return ((first @ values) * second).sum(dim=-1)


@torch.no_grad()
def solve(
    model: SingleAgent,
    *,
    grid: tuple[int, int] = (40, 17),
    tolerance: float = 1e-8,
    max_sweeps: int = 100,
    howard: bool = True,
) -> Solution:
    """The value function of a model with two state columns.

    Args:
        grid: points a column.
        tolerance: stop once no value changes by more between two sweeps.
        howard: after each improvement of the policy, value it exactly by one linear solve. Without, each sweep applies
            the Bellman operator once, whose error falls by the discount only.

    Raises:
        ValueError: the model has more than two columns.
        RuntimeError: no convergence.
    """
    if len(model.state_names) != 2:
        raise ValueError(f"value iteration is for two state columns, not {', '.join(model.state_names)}")
    key = random.key(torch.tensor(0), 1)
    start = model.initial_state(key, _RANGE_STATES)
    cloud = torch.cat([start, Box.around(model, start).spread(model, start, key)])
    solution = _solve_on(model, _axes(cloud, grid), tolerance, max_sweeps, howard)
    for _ in range(_REFINEMENTS):
        # Again over all that paths visit: beyond its grid a solution is only roughly right.
        path = simulate(model, solution.policy, cloud[:_PATHS], random.key(key, 2), _PERIODS).flatten(0, 1)
        before = solution.transitions + len(path)
        solution = _solve_on(model, _axes(torch.cat([cloud, path]), grid), tolerance, max_sweeps, howard)
        solution = dataclasses.replace(solution, transitions=before + solution.transitions)
    return solution


def _solve_on(
    model: SingleAgent, axes: tuple[_Axis, _Axis], tolerance: float, max_sweeps: int, howard: bool
) -> Solution:
    shape = len(axes[0].points), len(axes[1].points)
    state = torch.cartesian_prod(*(axis.points for axis in axes))  # [N, 2]
    nodes, chances = model.shocks.quadrature(state, fine=False)

    def following(share: Tensor) -> Tensor:
        return model.step(state, model.save(share, state), nodes.unsqueeze(1))  # [Q, N, 2]

    def reward(share: Tensor) -> Tensor:
        return model.reward(state, model.save(share, state))

    value = reward(torch.full_like(state[:, 0], 0.5 * sum(model.saving_bounds))) / (1 - model.discount)
    changes: list[float] = []
    for _ in range(max_sweeps):
        table = value.view(shape)

        def worth(share: Tensor, table: Tensor = table) -> Tensor:
            tomorrow = chances @ interpolate(axes, table, following(share))
            return reward(share) + model.discount * tomorrow

        share = _maximise(worth, model.saving_bounds, len(state))
        if howard:
            first, second = (axis.weights(following(share)[..., column]) for column, axis in enumerate(axes))
            transition = torch.einsum("q,qni,qnj->nij", chances, first, second).flatten(1)  # [N, N]
            new = torch.linalg.solve(torch.eye(len(state)) - model.discount * transition, reward(share))
        else:
            new = worth(share)
        changes.append((new - value).abs().max().item())
        value = new
        if changes[-1] < tolerance:
            each = len(state) * len(nodes) * (_SECTION_STEPS + 3)  # two more to begin with, one to value what was found
            return Solution(model, axes, value.view(shape), share.view(shape), tuple(changes), each * len(changes))
    raise RuntimeError(f"value iteration did not converge: still {changes[-1]:.1e} apart after {max_sweeps} sweeps")


def _axes(cloud: Tensor, grid: tuple[int, int]) -> tuple[_Axis, _Axis]:
    """Return a grid over the range of the states ``[N, 2]``: half of it even, half with their density."""
    first, second = (
        _Axis((np.linspace(column.min(), column.max(), count) + np.quantile(column, np.linspace(0, 1, count))) / 2)
        for column, count in zip(cloud.numpy().T, grid, strict=True)
    )
    return first, second


def _maximise(function: Callable[[Tensor], Tensor], bounds: tuple[float, float], count: int) -> Tensor:
    """Return the maximisers of ``count`` unimodal functions by golden section; of a flat peak the upper end."""
    low, high = (torch.full((count,), bound, dtype=torch.float64) for bound in bounds)
    left, right = high - _SECTION * (high - low), low + _SECTION * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in itertools.repeat(None, _SECTION_STEPS):
        rising = at_left <= at_right
        low, high = torch.where(rising, left, low), torch.where(rising, high, right)
        fresh = torch.where(rising, low + _SECTION * (high - low), high - _SECTION * (high - low))
        at_fresh = function(fresh)
        left, right = torch.where(rising, right, fresh), torch.where(rising, fresh, left)
        at_left, at_right = torch.where(rising, at_right, at_fresh), torch.where(rising, at_fresh, at_left)
    return (low + high) / 2
