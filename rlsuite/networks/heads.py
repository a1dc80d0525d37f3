"""Output layers of agents: networks from an encoder's features to values or policies."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Dueling(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean_a A(s, a) (Wang et al., 2016, equation 9); features ``[B, F]`` to ``[B, A]``.

    With N numbers for each action, such as the parts of a distribution, so for each of them: to ``[B, A N]``.
    Both are linear maps of the same features, where the paper has a hidden layer for each.
    """

    def __init__(self, features: int, actions: int, numbers: int = 1) -> None:
        super().__init__()
        self.numbers = numbers
        self.value = nn.Linear(features, numbers)
        self.advantage = nn.Linear(features, actions * numbers)

    def forward(self, features: Tensor) -> Tensor:
        return self._combined(self.value(features), self.advantage(features))

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], features: Tensor) -> Tensor:
        """The same for S of them, features ``[S, B, F]``."""
        return self._combined(child("value", features), child("advantage", features))

    def _combined(self, value: Tensor, advantage: Tensor) -> Tensor:
        advantage = advantage.unflatten(-1, (-1, self.numbers))
        return (value.unsqueeze(-2) + advantage - advantage.mean(dim=-2, keepdim=True)).flatten(-2)


class ActionValue(nn.Module):
    """Q(s, a) for continuous actions: the head reads the encoded observation and the action side by side.

    Observations ``[B, ...]`` and actions ``[B, A]`` to values ``[B, 1]``.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(observation), action], dim=-1))

    def stacked(
        self, child: Callable[..., Tensor], named: dict[str, Tensor], observation: Tensor, action: Tensor
    ) -> Tensor:
        """The same for S of them."""
        return child("head", torch.cat([child("encoder", observation), action], dim=-1))


class Ensemble(nn.Module):
    """N networks of one kind that read the same inputs: outputs ``[B, N, O]``."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.stack([network(*inputs) for network in self.networks], dim=-2)

    def stacked(self, child: Callable[..., Tensor], named: dict[str, Tensor], *inputs: Tensor) -> Tensor:
        """The same for S of them."""
        return torch.stack([child(f"networks.{number}", *inputs) for number in range(len(self.networks))], dim=-2)
