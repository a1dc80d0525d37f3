"""The loss of critics that learn the same target.

Shapes: S seeds, B transitions of each, C critics.
"""

import torch.nn.functional as F
from torch import Tensor


def critic_loss(value: Tensor, target: Tensor, weight: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared errors of values ``[S, B, C]``, summed over critics: losses ``[S]``, and metrics.

    Args:
        target: ``[S, B]``.
        weight: ``[S, B]`` of the transitions of a prioritised batch. The metrics then hold new priorities ``[S, B]``
            too, the largest absolute error of the critics, by the name ``priority``.
    """
    errors = F.mse_loss(value, target.unsqueeze(-1).expand_as(value), reduction="none")
    weighted = errors if weight is None else weight.unsqueeze(-1) * errors
    losses = weighted.mean(dim=1).sum(dim=-1)
    metrics = {"loss/critic": losses, "value/q": value.mean(dim=(1, 2))}
    return losses, metrics if weight is None else metrics | {"priority": errors.max(dim=-1).values.sqrt()}
