"""Levenberg-Marquardt for S small networks at once: Gauss-Newton steps, damped until they help (Marquardt, 1963)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from rlsuite import ranks

_TRIALS = 8  # dampings tried on one Jacobian
_EASE, _TIGHTEN = 0.25, 5.0  # what success and failure do to the damping
_LEAST_DAMPING, _MOST_DAMPING = 1e-13, 1e8


class LevenbergMarquardt:
    """Minimises the mean of squared residuals of each seed, over the states of all ranks.

    Args:
        residual_of_one: residuals ``[E]`` of one seed's parameters ``[P]`` at one state ``[D]``.
        residuals: residuals ``[S, B, E]`` of parameters ``[S, P]`` at states ``[S, B, D]``: the same, for speed.
        seeds: how many, S.
        damping: of the first step, relative to the diagonal of the normal equations.
    """

    def __init__(
        self,
        residual_of_one: Callable[[Tensor, Tensor], Tensor],
        residuals: Callable[[Tensor, Tensor], Tensor],
        seeds: int,
        damping: float,
        device: torch.device | str = "cpu",
    ) -> None:
        def with_value(parameters: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            value = residual_of_one(parameters, state)
            return value, value

        self._jacobian = vmap(vmap(jacrev(with_value, has_aux=True), in_dims=(None, 0)))
        self._residuals = residuals
        self.evaluated = 0  # states of each seed at which residuals were computed
        self.damping = torch.full((seeds,), damping, dtype=torch.float64, device=device)

    @torch.no_grad()
    def loss(self, parameters: Tensor, states: Tensor) -> Tensor:
        """Mean squared residual ``[S]``."""
        self.evaluated += states.shape[1]
        return ranks.averaged(self._residuals(parameters, states).square().flatten(1).mean(dim=1))

    @torch.no_grad()
    def step(self, parameters: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters ``[S, P]`` after one step, and the loss ``[S]`` before it.

        A seed whose residuals are not finite, or whom no damping helps, stays where it is.
        """
        self.evaluated += states.shape[1]
        jacobian, value = self._jacobian(parameters, states)
        jacobian, value = jacobian.flatten(1, 2), value.flatten(1)  # [S, B * E, P], [S, B * E]
        normal = ranks.averaged(jacobian.mT @ jacobian)
        descent = ranks.averaged(jacobian.mT @ value.unsqueeze(-1))
        diagonal = normal.diagonal(dim1=-2, dim2=-1)
        # A weight that moves nothing still needs a little of the others' scale, or the system is singular.
        scale = torch.maximum(diagonal, 1e-10 * diagonal.amax(dim=1, keepdim=True))
        loss = ranks.averaged(value.square().mean(dim=1))
        waiting = torch.isfinite(loss)
        result = parameters
        for _ in range(_TRIALS):
            factor, failed = torch.linalg.cholesky_ex(normal + torch.diag_embed(self.damping.unsqueeze(1) * scale))
            candidate = parameters - torch.cholesky_solve(descent, factor).squeeze(-1)
            helps = (failed == 0) & (self.loss(candidate, states) < loss)  # False for what is not finite
            result = torch.where((waiting & helps).unsqueeze(1), candidate, result)
            factor_of_damping = torch.where(helps, _EASE, _TIGHTEN)
            self.damping = torch.where(waiting, self.damping * factor_of_damping, self.damping).clamp(
                _LEAST_DAMPING, _MOST_DAMPING
            )
            waiting = waiting & ~helps
            if not waiting.any():
                break
        return result, loss
