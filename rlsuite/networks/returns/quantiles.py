"""Quantiles of returns at fixed levels: QR-DQN (Dabney et al., 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite.networks.returns.model import ReturnModel, Returns


class QuantileRegression(ReturnModel):
    """The quantiles of the return at ``quantiles`` levels, the midpoints of as many equal parts of [0, 1].

    Args:
        limit: error beyond which the loss grows linearly; 0 for the plain quantile loss.
    """

    def __init__(self, quantiles: int, limit: float, device: torch.device | str = "cpu") -> None:
        self.outputs, self.limit = quantiles, limit
        self.levels = midpoints(quantiles, device)

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.mean(dim=-1)

    def returns(self, outputs: Tensor) -> Returns:
        return Returns(outputs, torch.full_like(outputs, 1.0 / outputs.shape[-1]))

    def loss(self, outputs: Tensor, target: Returns, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        each = quantile_huber(outputs, self.levels, target, self.limit)
        return each, each


def midpoints(parts: int, device: torch.device | str = "cpu") -> Tensor:
    """The midpoints ``[parts]`` of equal parts of [0, 1]."""
    return (torch.arange(parts, device=device) + 0.5) / parts


def quantile_huber(quantiles: Tensor, levels: Tensor, target: Returns, limit: float) -> Tensor:
    """The quantile Huber loss ``[...]`` (the paper's equation 10) of quantiles ``[..., N]`` at levels ``[..., N]``.

    Summed over the quantiles, and the expectation over the values ``[..., M]`` of the target. At its least a share of
    ``levels`` of the target lies below the quantiles, nearly so with a ``limit`` above 0.
    """
    error = target.value.unsqueeze(-2) - quantiles.unsqueeze(-1)
    size = F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=limit) / limit if limit else error.abs()
    tilt = (levels.unsqueeze(-1) - (error < 0).float()).abs()
    return (tilt * size * target.probability.unsqueeze(-2)).sum(dim=(-2, -1))
