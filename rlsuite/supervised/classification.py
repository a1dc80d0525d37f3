"""Classification on the shared run loop: a source of shuffled minibatches and a learner of cross-entropy."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import random
from rlsuite.networks.population import Adam, Population, gradient
from rlsuite.state import check, restore

_SHUFFLE_STREAM = 11


class Examples(NamedTuple):
    """Inputs ``[S, B, ...]`` and classes ``[S, B]``."""

    inputs: Tensor
    labels: Tensor


class Minibatches:
    """Every epoch goes once through the data, for each seed in an order of its own; a short last batch is left out.

    Args:
        inputs: ``[N, ...]``; labels: ``[N]``.
        batch_size: at most N.
        seeds: one integer a seed.
    """

    env_steps = 0
    updates_due = 1

    def __init__(self, inputs: Tensor, labels: Tensor, batch_size: int, seeds: Sequence[int]) -> None:
        self.inputs, self.labels, self.batch_size = inputs, labels, batch_size
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=inputs.device)
        self.batches_an_epoch = len(inputs) // batch_size
        self.drawn = 0
        self._order = torch.empty(0)

    def collect(self) -> None:
        """The data are all there."""

    def finish_round(self) -> None:
        """Batches are counted when they are drawn."""

    def feedback(self, batch: Examples, priority: Tensor) -> None:
        """Examples have no priorities."""

    def sample(self) -> Examples:
        epoch, batch = divmod(self.drawn, self.batches_an_epoch)
        if batch == 0 or not len(self._order):
            keys = random.key(self.seeds, _SHUFFLE_STREAM, epoch)
            self._order = random.uniform(keys, len(self.inputs)).argsort(dim=1, stable=True)
        chosen = self._order[:, batch * self.batch_size : (batch + 1) * self.batch_size]
        self.drawn += 1
        return Examples(self.inputs[chosen], self.labels[chosen])

    def statistics(self) -> dict[str, np.ndarray | float]:
        return {"train/epoch": self.drawn / self.batches_an_epoch}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check(self.state_dict(), state)
        self.drawn = state["drawn"]
        self._order = torch.empty(0)

    def close(self) -> None:
        """Holds nothing open."""


class Classifier:
    """A population of networks trained by cross-entropy.

    Args:
        network: makes one network, ``[B, ...]`` to logits ``[B, classes]``.
        seeds: one integer a copy.
    """

    def __init__(
        self,
        network: Callable[[], nn.Module],
        seeds: Sequence[int],
        learning_rate: float = 1e-3,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = Population(network, seeds, device)
        self.optimiser = Adam(self.network.parameters, torch.full((len(seeds),), learning_rate))

    def update(self, batch: Examples) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            logits = self.network(batch.inputs, parameters=parameters)
            losses = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="none")
            per_seed = losses.view(batch.labels.shape).mean(dim=1)
            hits = (logits.argmax(dim=-1) == batch.labels).float().mean(dim=1)
            return per_seed, {"loss/cross_entropy": per_seed, "train/accuracy": hits}

        gradients, metrics = gradient(loss, self.network.parameters)
        self.optimiser.step(self.network.parameters, gradients)
        return metrics

    @torch.no_grad()
    def accuracy(self, inputs: Tensor, labels: Tensor, batch_size: int = 1_000) -> np.ndarray:
        """The share of ``inputs`` ``[N, ...]`` that each seed's network gets right, ``[S]``."""
        seeds = len(self.network.parameters)
        hits = sum(
            (self.network(x.expand(seeds, *x.shape)).argmax(dim=-1) == y).sum(dim=1)
            for x, y in zip(inputs.split(batch_size), labels.split(batch_size), strict=True)
        )
        assert isinstance(hits, Tensor)
        return (hits / len(inputs)).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"parameters": self.network.parameters, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
