"""A sum tree: sample in proportion to changing numbers in a few tensor operations."""

import torch
from torch import Tensor

_CHILDREN = 64


class SumTree:
    """S rows of N non-negative numbers, with the sums of 64 neighbours each, of 64 such sums each, and so on.

    Wide nodes make the tree of a million numbers four levels deep: a draw goes down with one small cumulative sum a
    level, where a binary tree would take twenty dependent steps. Sums are taken anew from the numbers below, so that
    no rounding builds up. All operations have fixed shapes and work in place.
    """

    def __init__(self, rows: int, size: int, device: torch.device | str = "cpu") -> None:
        widths = [-(-size // _CHILDREN) * _CHILDREN]
        while widths[-1] > _CHILDREN:
            widths.append(-(-(widths[-1] // _CHILDREN) // _CHILDREN) * _CHILDREN)
        # From the numbers up to the one node whose sum is the total.
        self.levels = [torch.zeros(rows, width, device=device) for width in widths]

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self.levels)

    @property
    def total(self) -> Tensor:
        """Their sums ``[S]``."""
        return self.levels[-1].sum(dim=1)

    def set(self, index: Tensor, value: Tensor) -> None:
        """Write numbers ``[S, C]`` at int64 indices ``[S, C]``; of an index that comes twice, either may stay."""
        self.levels[0].scatter_(1, index, value)
        for below, above in zip(self.levels, self.levels[1:], strict=False):
            index = index // _CHILDREN
            above.scatter_(1, index, _children(below, index).sum(dim=-1))

    def get(self, index: Tensor) -> Tensor:
        """The numbers ``[S, C]`` at int64 indices ``[S, C]``."""
        return self.levels[0].gather(1, index)

    def find(self, share: Tensor) -> Tensor:
        """The indices ``[S, B]`` at which the numbers before add up to ``share`` (in [0, 1)) of the total."""
        node = torch.zeros_like(share, dtype=torch.int64)
        left = share * self.total.unsqueeze(1)
        for level in reversed(self.levels):
            children = _children(level, node)
            upto = children.cumsum(dim=-1)
            # Rounding may leave a little more than there is: the last child that has something takes it.
            last = (children > 0).long().mul_(torch.arange(_CHILDREN, device=share.device)).amax(dim=-1)
            child = torch.minimum((upto <= left.unsqueeze(-1)).sum(dim=-1), last)
            before = (upto - children).gather(-1, child.unsqueeze(-1)).squeeze(-1)
            left = (left - before).clamp(min=0.0)
            node = node * _CHILDREN + child
        return node


def _children(level: Tensor, node: Tensor) -> Tensor:
    """The numbers ``[S, B, 64]`` below nodes ``[S, B]``."""
    rows, nodes = level.shape[0], level.shape[1] // _CHILDREN
    first = torch.arange(rows, device=level.device).unsqueeze(1) * nodes
    return level.view(-1, _CHILDREN)[first + node]
