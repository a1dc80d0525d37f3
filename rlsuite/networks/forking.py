"""Forecasts of several quantiles at several horizons from every time of a sequence (MQ-RNN; Wen et al., 2017).

An LSTM reads the past. At every time, not only at the end of the sequence, a decoder forks off: a global network makes
of the state and of all inputs that are known for the future a context for each horizon and one for all; a local network
makes quantiles of the horizon's context, the common one, and the inputs that are known for just that time.

Shapes: B sequences of T times, K horizons, C inputs that are known ahead, Q quantiles.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rlsuite.networks.mlp import mlp
from rlsuite.networks.recurrent import RecurrentBackbone


class ForkingForecaster(nn.Module):
    """The past ``[B, T, F]`` and what is known of the K times after each ``[B, T, K, C]`` to ``[B, T, K, Q]``.

    Args:
        past: F.
        known: C, which may be 0.
        horizons: K.
        quantiles: Q.
        hidden: outputs of the LSTM.
        context: numbers of a horizon's context, and of the common one.
    """

    def __init__(
        self, past: int, known: int, horizons: int, quantiles: int, hidden: int = 32, context: int = 8
    ) -> None:
        super().__init__()
        self.horizons, self.context = horizons, context
        self.recurrent = RecurrentBackbone(past, hidden, "lstm")
        self.whole = mlp([hidden + horizons * known, hidden, (horizons + 1) * context])
        self.local = mlp([2 * context + known, hidden, quantiles])

    def stacked(self, child: Callable[..., Any], named: dict[str, Tensor], past: Tensor, known: Tensor) -> Tensor:
        """S of them, with inputs ``[S, B, ...]``."""
        seeds, batch, times, horizons, _ = known.shape
        states, _ = child("recurrent", past)
        seen = torch.cat([states, known.flatten(-2)], dim=-1).flatten(1, 2)
        contexts = child("whole", seen).unflatten(-1, (horizons + 1, self.context))  # [S, B T, K + 1, context]
        common = contexts[:, :, -1:].expand(-1, -1, horizons, -1)
        inputs = torch.cat([contexts[:, :, :-1], common, known.flatten(1, 2)], dim=-1)
        return child("local", inputs.flatten(1, 2)).view(seeds, batch, times, horizons, -1)
