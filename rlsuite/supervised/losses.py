"""The losses of regression and classification, and their names in ``torch.nn.functional``.

Of outputs f and targets y; with two classes y is -1 or 1, with more it is the number of the class.

    absolute               |y - f|                            l1_loss
    squared                1/2 (y - f)^2                      half of mse_loss
    epsilon-insensitive    max(0, |y - f| - epsilon)          none
    Huber, r = |y - f|     1/2 r^2 if r <= 1, else r - 1/2    huber_loss; smooth_l1_loss is the same at beta 1
    logistic               log(1 + exp(-y f))                 soft_margin_loss; for y of 0 and 1
                                                              binary_cross_entropy_with_logits
    hinge, "soft margin"   max(0, 1 - y f)                    none: hinge_embedding_loss is another one
    multiclass logistic    log sum exp f - f_y                cross_entropy
    large margin           max over c of                      none: multi_margin_loss sums over c, and divides
                           (f_c + cost(y, c)) - f_y           by the number of classes

Functions here return one number an example, ``[...]``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the square of the error."""
    return 0.5 * (targets - outputs).square()


def absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    """The error without its sign."""
    return (targets - outputs).abs()


def epsilon_insensitive(outputs: Tensor, targets: Tensor, epsilon: float = 0.1) -> Tensor:
    """Zero in a tube of this radius, and the distance from the tube outside (Vapnik, 1995)."""
    return ((targets - outputs).abs() - epsilon).clamp(min=0.0)


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared for errors below 1, absolute above, with one slope where they meet (Huber, 1964)."""
    return F.huber_loss(outputs, targets, reduction="none")


def logistic(outputs: Tensor, labels: Tensor) -> Tensor:
    """The negative log-likelihood of labels -1 and 1."""
    return F.softplus(-labels * outputs)


def hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    """Zero for labels -1 and 1 that are on the right side with a margin of 1."""
    return (1.0 - labels * outputs).clamp(min=0.0)


def multiclass_logistic(outputs: Tensor, labels: Tensor) -> Tensor:
    """The negative log-likelihood of classes ``[...]`` by logits ``[..., C]``."""
    return outputs.logsumexp(dim=-1) - _of_class(outputs, labels)


def large_margin(outputs: Tensor, labels: Tensor, cost: Tensor | None = None) -> Tensor:
    """Large-margin loss: how much the right class lacks to lead every other by the cost of mistaking it for that one.

    Args:
        outputs: ``[..., C]``.
        labels: ``[...]``.
        cost: ``[C, C]``, of taking a class (row) for another; by default 1 for all mistakes.
    """
    classes = outputs.shape[-1]
    cost = 1.0 - torch.eye(classes, device=outputs.device) if cost is None else cost
    return (outputs + cost[labels]).amax(dim=-1) - _of_class(outputs, labels)


def _of_class(outputs: Tensor, labels: Tensor) -> Tensor:
    return outputs.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
