"""A mean of parameters that change: a target network that follows slowly, or an average of all iterates so far."""

from torch import Tensor


class Average:
    """A mean that moves towards parameters ``[S, ...]`` as they change: ``mean <- mean + share (parameters - mean)``.

    A constant share forgets exponentially, as the targets of DDPG do. A share of 0 or 1 keeps the mean or copies, as
    the targets of DQN do. A share that is a weight over the sum of all weights so far gives the mean of all that it was
    shown, so weighted.

    Attributes:
        mean: of the shape of the parameters, at first a copy of them.
    """

    def __init__(self, parameters: Tensor) -> None:
        self.mean = parameters.clone()

    def follow(self, parameters: Tensor, share: Tensor | float) -> None:
        """Move by this share of the way; ``[S]``, or more of the first axes, where they differ."""
        if isinstance(share, Tensor):
            share = share.to(parameters.dtype).view(*share.shape, *[1] * (parameters.dim() - share.dim()))
        self.mean.lerp_(parameters, share)
