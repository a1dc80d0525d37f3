"""Quantiles of returns at any level, which the network reads: implicit quantile networks (Dabney et al., 2018b)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.networks.returns.model import Head, Returns
from rlsuite.networks.returns.quantiles import QuantileRegression, quantile_huber


class ImplicitQuantiles(QuantileRegression):
    """The quantiles at levels that are drawn anew for each transition.

    Decisions are made by the mean of quantiles at even levels, where the paper draws them: the same mean with less
    noise.

    Args:
        samples: levels of a transition, both of what is learned and of its target.
        acting_samples: levels by which the best action is found.
        cosines: of the embedding.
        limit: as in ``QuantileRegression``.
    """

    def __init__(
        self, samples: int, acting_samples: int, cosines: int, limit: float, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(acting_samples, limit, device)
        self.outputs, self.samples, self.cosines = 1, samples, cosines

    def network(self, body: nn.Module, features: int, head: Head) -> nn.Module:
        return ImplicitQuantileNetwork(body, features, self.cosines, head(features, 1))

    def inputs(self, observation: Tensor, seeds: Tensor | None = None, *counters: Tensor | int) -> tuple[Tensor, ...]:
        """Levels ``[S, B, K]``: as many as are learned from, drawn, or even ones to decide by."""
        leading = observation.shape[:2]
        if seeds is None:
            return (self.levels.expand(*leading, -1),)
        return (random.uniform(random.key(seeds, *counters), leading[1], self.samples),)

    def loss(self, outputs: Tensor, target: Returns, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        (levels,) = inputs
        each = quantile_huber(outputs, levels, target, self.limit)
        return each, each


class CosineEmbedding(nn.Module):
    """Levels ``[B]`` to ``[B, F]``: a layer of units on cos(i pi level), i = 0 .. N - 1 (the paper's equation 4)."""

    def __init__(self, cosines: int, features: int) -> None:
        super().__init__()
        self.cosines = cosines
        self.linear = nn.Linear(cosines, features)

    def forward(self, levels: Tensor) -> Tensor:
        return self.linear(self._waves(levels)).relu()

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], levels: Tensor) -> Tensor:
        """The same for S of them."""
        return child("linear", self._waves(levels)).relu()

    def _waves(self, levels: Tensor) -> Tensor:
        return (math.pi * torch.arange(self.cosines, device=levels.device) * levels.unsqueeze(-1)).cos()


class ImplicitQuantileNetwork(nn.Module):
    """Observations ``[B, ...]`` and levels ``[B, K]`` to quantiles ``[B, A K]``.

    The encoder's features times the embedded level go through another layer of as many units, as in the paper, whose
    product stands before the last hidden layer.
    """

    def __init__(self, body: nn.Module, features: int, cosines: int, head: nn.Module) -> None:
        super().__init__()
        self.body, self.embedding = body, CosineEmbedding(cosines, features)
        self.head = nn.Sequential(nn.Linear(features, features), nn.ReLU(), head)

    def forward(self, observation: Tensor, levels: Tensor) -> Tensor:
        both = self.body(observation).unsqueeze(-2) * self.embedding(levels.flatten()).unflatten(0, levels.shape)
        return self.head(both.flatten(0, 1)).unflatten(0, levels.shape).mT.flatten(-2)

    def stacked(
        self, child: Callable[..., Tensor], named: dict[str, Tensor], observation: Tensor, levels: Tensor
    ) -> Tensor:
        """The same for S of them, observations ``[S, B, ...]`` and levels ``[S, B, K]``."""
        embedded = child("embedding", levels.flatten(1)).unflatten(1, levels.shape[1:])
        both = child("body", observation).unsqueeze(-2) * embedded
        return child("head", both.flatten(1, 2)).unflatten(1, levels.shape[1:]).mT.flatten(-2)
