"""Expected returns alone, as in DQN (Mnih et al., 2015)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite.networks.returns.model import ReturnModel, Returns


class Scalar(ReturnModel):
    """One output, the mean; it learns the mean of its target by a loss of the error."""

    outputs = 1

    def __init__(self, loss: Literal["huber", "mse"]) -> None:
        self._loss = F.huber_loss if loss == "huber" else F.mse_loss

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(-1)

    def returns(self, outputs: Tensor) -> Returns:
        return Returns(outputs, torch.ones_like(outputs))

    def loss(self, outputs: Tensor, target: Returns, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        value, wanted = outputs.squeeze(-1), target.mean
        return self._loss(value, wanted, reduction="none"), (value - wanted).abs()
