"""What turns an encoder's features into the quantity an agent needs."""

import torch
from torch import Tensor, nn


class Dueling(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean_a A(s, a) (Wang et al., 2016, equation 9); features ``[B, F]`` to ``[B, A]``."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.value = nn.Linear(features, 1)
        self.advantage = nn.Linear(features, actions)

    def forward(self, features: Tensor) -> Tensor:
        return self.combine(self.value(features), self.advantage(features))

    def combine(self, value: Tensor, advantage: Tensor) -> Tensor:
        """Q-values ``[..., A]`` from values ``[..., 1]`` and advantages ``[..., A]``."""
        return value + advantage - advantage.mean(dim=-1, keepdim=True)


class ActionValue(nn.Module):
    """Q(s, a) for continuous actions: the head reads the encoded observation and the action side by side.

    Observations ``[B, ...]`` and actions ``[B, A]`` to values ``[B, 1]``.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(observation), action], dim=-1))
