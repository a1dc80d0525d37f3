"""Numbers that change over a run, and numbers that differ by seed."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from rlsuite.compiling import materialised
from rlsuite.configuration import option


def linear(now: Tensor, duration: int, start: float, end: Tensor | float) -> Tensor:
    """Interpolate from ``start`` at 0 to ``end`` at ``duration`` and after; ``now`` is a count on the device."""
    fraction = (now.to(torch.float32) / max(duration, 1)).clamp(max=1.0)
    return start + fraction * (end - start)


class FallingRate(Protocol):
    """Options of learning rates that fall linearly over a run."""

    @property
    def total_updates(self) -> int: ...

    @property
    def final_learning_rate_fraction(self) -> float: ...


def learning_rate_scale(updates: Tensor, config: FallingRate) -> Tensor:
    """The fraction of its learning rates ``[S]`` that a run has after so many updates ``[S]``."""
    return linear(updates, config.total_updates, 1.0, config.final_learning_rate_fraction)


def every(period: int, updates: Tensor) -> Tensor:
    """Whether each seed's count of updates ``[S]`` is a multiple of ``period``: bool ``[S]``, unknown to the host."""
    return materialised(updates % period == 0)


def target_share(updates: Tensor, period_updates: int, tau: float | None) -> Tensor | float:
    """The share of the way that a target network moves at an update: ``tau``, or all of it once in a period.

    The second is bool ``[S]``: no branch on the host, so that the update can be compiled.
    """
    return every(period_updates, updates) if tau is None else tau


def per_seed(name: str, values: Sequence[float], seeds: Sequence[int]) -> Tensor:
    """``[S]``: one value for all seeds, or one for each.

    Raises:
        ValueError: neither one nor S values.
    """
    if len(values) not in (1, len(seeds)):
        many = f"{len(seeds)} seeds: give 1 or {len(seeds)}"
        wanted = f"1 seed: give 1, or --seeds {len(values)}" if len(seeds) == 1 else many
        raise ValueError(f"{option(name)} has {len(values)} values for {wanted}")
    return torch.tensor(values, dtype=torch.float32).expand(len(seeds)).clone()


class Plateau:
    """A share of the learning rate ``[S]``, which is halved whenever scores have not been better for some time.

    Args:
        seeds: S.
        patience: how many scores in a row must be no better than the best before the share is halved.
        device: where it is kept.
    """

    def __init__(self, seeds: int, patience: int, device: torch.device | str = "cpu") -> None:
        self.patience = patience
        self.share = torch.ones(seeds, device=device)
        self.best = torch.full((seeds,), torch.finfo().min, device=device)
        self.waited = torch.zeros(seeds, dtype=torch.int64, device=device)

    def see(self, scores: Tensor) -> None:
        """Take note of a score of each seed ``[S]``, of which more is better."""
        scores = scores.to(self.best)
        better = scores > self.best
        self.best.copy_(torch.where(better, scores, self.best))
        self.waited.copy_(torch.where(better, 0, self.waited + 1))
        stalled = self.waited >= self.patience
        self.share.copy_(torch.where(stalled, 0.5 * self.share, self.share))
        self.waited.masked_fill_(stalled, 0)

    def state_dict(self) -> dict[str, Tensor]:
        return {"share": self.share, "best": self.best, "waited": self.waited}
