"""Optimisers that ``torch.optim`` does not have, and a learner that tries several side by side."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from rlsuite.state import check, check_tensor

B_contra = TypeVar("B_contra", contravariant=True)


class TwoRateMomentum(Optimizer):
    """Momentum that steps along the gradient too (quasi-hyperbolic: Ma and Yarats, 2019).

    ``m <- (1 - share) m + share g``, then ``w <- w - rate g - momentum_rate m``.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum_lr: float, share: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "momentum_lr": momentum_lr, "share": share})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                mean.lerp_(parameter.grad, group["share"])
                parameter.sub_(group["lr"] * parameter.grad + group["momentum_lr"] * mean)


class WindowedAdagrad(Optimizer):
    """AdaGrad that sums the squares of the last gradients only: ``w <- w - rate g / sqrt(start + sum of g^2)``."""

    def __init__(self, params: Iterable[Tensor], lr: float, window: int = 20, start: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "window": window, "start": start})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                nothing = torch.zeros(*parameter.shape, group["window"], dtype=parameter.dtype, device=parameter.device)
                squares = self.state[parameter].get("squares", nothing)
                squares = torch.cat([squares[..., 1:], parameter.grad.square().unsqueeze(-1)], dim=-1)
                self.state[parameter]["squares"] = squares
                parameter.sub_(group["lr"] * parameter.grad / (group["start"] + squares.sum(dim=-1)).sqrt())


class SideBySide(Generic[B_contra]):
    """A learner of several optimisers, each with parameters of its own, that all see the same batches.

    Seeds are rows of the parameters: torch's optimisers treat every number apart from the others, so that one of them
    serves all seeds.

    Args:
        start: the parameters at first, ``[S, P]``.
        optimisers: by name, made from a list of parameters.
        loss: of parameters and a batch, ``[S]``.
    """

    def __init__(
        self,
        start: Tensor,
        optimisers: Mapping[str, Callable[[list[Tensor]], Optimizer]],
        loss: Callable[[Tensor, B_contra], Tensor],
    ) -> None:
        self.loss = loss
        self.parameters = {name: start.clone().requires_grad_() for name in optimisers}
        self.optimisers = {name: make([self.parameters[name]]) for name, make in optimisers.items()}
        self.updates = 0

    def update(self, batch: B_contra) -> dict[str, Tensor]:
        found = {}
        for name, parameters in self.parameters.items():
            loss = self.loss(parameters, batch)
            (parameters.grad,) = torch.autograd.grad(loss.sum(), parameters)
            self.optimisers[name].step()
            found[f"loss/{name}"] = loss.detach()
        self.updates += 1
        return found | {"loss/train": torch.stack(list(found.values())).mean(dim=0)}

    def state_dict(self) -> dict[str, Any]:
        each = {name: {"parameters": self.parameters[name].detach()} | self._memory(name) for name in self.parameters}
        return {"updates": self.updates, **each}

    def _memory(self, name: str) -> dict[str, Tensor]:
        """State of an optimiser; its count of steps, a single number, is repeated for every seed."""
        seeds = len(self.parameters[name])
        state = self.optimisers[name].state[self.parameters[name]]
        tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
        return {key: value.expand(seeds).clone() if value.dim() == 0 else value for key, value in tensors.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check({"updates": 0}, {"updates": state["updates"]})
        self.updates = state["updates"]
        for name, parameters in self.parameters.items():
            saved = dict(state[name])
            found = saved.pop("parameters")
            check_tensor(found, parameters.shape, parameters.dtype, f"{name}/parameters")
            with torch.no_grad():
                parameters.copy_(found)
            memory = self.optimisers[name].state[parameters]
            memory.clear()
            memory |= {key: value[0].clone() if value.dim() == 1 else value.clone() for key, value in saved.items()}
