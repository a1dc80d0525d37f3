"""The interface of recurrent cells: one step as its definition, and whole sequences with a gradient written by hand.

``step`` is differentiable, and what compiled code traces. ``run`` takes the same steps in place, and ``back`` returns
through them: autograd would keep every number in between, and add to the gradient of the weights at each step, where
one product does for all steps. That takes less than half the time on a CPU, and suits any number of networks. Where
torch has one operation for a whole sequence that is quicker still, it takes the networks one after the other.

Shapes: S networks, B sequences of T steps, H hidden outputs, G = gates x H numbers into a step. Sequences are
``[S, T, B, ...]``, so that a step lies together in memory. A state has one tensor a part: the outputs and, of an LSTM,
its cells.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]


class Track:
    """A part of the state along a sequence, from where it starts; ``kept`` ``[S, T, B, 1]`` is zero at resets."""

    def __init__(self, start: Tensor, steps: int, kept: Tensor | None) -> None:
        seeds, batch, hidden = start.shape
        whole = start.new_empty(seeds, steps + 1, batch, hidden)
        whole[:, 0] = start
        self.after, self.kept, self._unmasked = whole[:, 1:], kept, whole[:, :-1]
        self.before = self._unmasked if kept is None else torch.empty_like(self.after)

    def at(self, time: int) -> Tensor:
        """Inputs of a step."""
        if self.kept is not None:
            torch.mul(self._unmasked[:, time], self.kept[:, time], out=self.before[:, time])
        return self.before[:, time]


class Run(NamedTuple):
    """Record of a run that ``back`` needs."""

    before: Tensors  # of each part, [S, T, B, H]
    after: Tensors
    saved: Tensors
    kept: Tensor | None


class Back:
    """The gradient of the state on the way back through a run.

    Args:
        run: that is gone through.
        outputs: the gradient of the outputs ``[S, T, B, H]``.
        last: that of the other parts of the state where a sequence ends ``[S, B, H]``.
        ends: each sequence's last step ``[S, B, 1]``; the last of all by default.
    """

    def __init__(self, run: Run, outputs: Tensor, last: Tensors, ends: Tensor | None) -> None:
        self.outputs, self.last, self.ends, self.kept = outputs, last, ends, run.kept
        self.parts = [torch.zeros_like(outputs[:, 0]) for _ in run.after]
        if ends is None:
            for part, own in zip(self.parts[1:], last, strict=True):
                part.copy_(own)

    def at(self, time: int) -> list[Tensor]:
        """The gradient of each part of the state after a step."""
        self.parts[0] += self.outputs[:, time]
        if self.ends is not None:
            for part, own in zip(self.parts[1:], self.last, strict=True):
                part.addcmul_(own, (self.ends == time).to(own.dtype))
        return self.parts

    def pass_on(self, time: int, *parts: Tensor) -> None:
        """Take the gradient of what the step was given."""
        self.parts = list(parts)
        if self.kept is not None:
            for part in self.parts:
                part.mul_(self.kept[:, time])


class Cell(ABC):
    """A kind of cell: how much a step takes (``gates``), and the parts of its state."""

    gates: int
    parts = 1

    def is_torchs(self, device: torch.device) -> bool:
        """Whether torch has this cell as one operation for a whole sequence, which is quicker than ``run``."""
        return False

    def whole(self, x: Tensor, start: Tensors, weights: Tensors) -> Tensors:
        """Run torch's operation for one network along ``[T, B, F]``; returns as ``sequences.along`` does."""
        raise NotImplementedError

    def parameters(self, inputs: int, hidden: int) -> dict[str, Tensor]:
        """The parameters by torch's names, as they are at the start."""
        numbers = self.gates * hidden
        shapes = {"weight_ih": (numbers, inputs), "weight_hh": (numbers, hidden)}
        return uniform(hidden, shapes | dict.fromkeys(("bias_ih", "bias_hh"), (numbers,)))

    def remember(self, parameters: dict[str, Tensor], steps: int) -> None:  # noqa: B027
        """Let gates begin so that memories last from one to so many steps (Tallec and Ollivier, 2018).

        Else gates begin half open: half of a memory is gone after a step, and so is half of a gradient.
        """

    def recurrent(self, named: dict[str, Tensor]) -> Tensors:
        """Parameters as a step takes them, now ``[S, ...]``: the weights as ``[S, H, G]``, then others."""
        return named["weight_hh"].mT, named["bias_hh"]

    @abstractmethod
    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        """The state after a step, given what comes from the input ``[S, B, G]``."""

    @abstractmethod
    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        """Fill the tracks along ``into`` ``[S, T, B, G]``, which is overwritten; returns what ``back`` needs too."""

    @abstractmethod
    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        """The gradients of ``into`` and ``recurrent``; that of the start is left in ``back``."""


def weight_gradient(x: Tensor, of_products: Tensor) -> Tensor:
    """The gradient of weights ``[S, F, G]``, summed over steps and sequences."""
    return torch.bmm(x.flatten(1, 2).mT, of_products.flatten(1, 2))


def split_last(numbers: Tensor, *shares: int) -> Tensors:
    """The last axis in parts of sizes that are to each other as ``shares``."""
    one = numbers.shape[-1] // sum(shares)
    return numbers.split([one * share for share in shares], dim=-1)


def uniform(hidden: int, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Numbers as torch draws them for recurrent layers."""
    bound = hidden**-0.5
    return {name: torch.empty(shape).uniform_(-bound, bound) for name, shape in shapes.items()}


def log_durations(count: int, steps: int) -> Tensor:
    """Logarithms of numbers between 1 and ``steps - 1``."""
    return torch.empty(count).uniform_(1.0, max(steps - 1.0, 1.0)).log()
