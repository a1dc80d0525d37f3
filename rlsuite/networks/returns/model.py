"""Distributions of returns as values with probabilities, and what a network must say to be one that learns them.

Shapes: S seeds, B transitions of each, A actions, N values of a distribution, M of a target.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

Head = Callable[[int, int], nn.Module]  # of inputs and N: features [B, F] to outputs [B, A N]


class Returns(NamedTuple):
    """Values ``[..., N]`` that a return may have, and their probabilities, which sum to 1."""

    value: Tensor
    probability: Tensor

    @property
    def mean(self) -> Tensor:
        return (self.value * self.probability).sum(dim=-1)


class ReturnModel:
    """Reads N outputs for each action as a return, and says how they learn one.

    Attributes:
        outputs: N.
    """

    outputs: int

    def start(self) -> Tensor | float:
        """An addition to the biases ``[N]`` of each action's outputs at the start; nothing by default."""
        return 0.0

    def network(self, body: nn.Module, features: int, head: Head) -> nn.Module:
        """The network ``[B, ...]`` to ``[B, A N]`` on an encoder with so many features."""
        return nn.Sequential(body, head(features, self.outputs))

    def inputs(self, observation: Tensor, seeds: Tensor | None = None, *counters: Tensor | int) -> tuple[Tensor, ...]:
        """Further inputs of the network beside observations ``[S, B, ...]``.

        A draw by seeds ``[S]`` and counters, as for ``random.key``; without them the same each time.
        """
        return ()

    def mean(self, outputs: Tensor) -> Tensor:
        """Q-values ``[...]`` of outputs ``[..., N]``."""
        return self.returns(outputs).mean

    def returns(self, outputs: Tensor) -> Returns:
        """The distribution that outputs ``[..., N]`` stand for."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, target: Returns, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Losses ``[S, B]`` of outputs ``[S, B, N]`` that should say ``target``, and priorities for a replay."""
        raise NotImplementedError
