"""Sources of batches for supervised learning: a batch is a function of its number, so nothing else needs saving."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlsuite import random, ranks
from rlsuite.state import check

_SHUFFLE_STREAM, _AUGMENTATION_STREAM, _MADE_STREAM = 11, 12, 13

B = TypeVar("B")
FULL_BATCH = "each update learns from all there is"  # why ranks cannot share such batches


class Batches(Generic[B]):
    """Batches 0, 1, 2 ... of a function, for the run loop.

    Ranks share out the batches of an epoch: of N ranks number r draws r, N + r, 2 N + r ...; a last few that do not go
    round are left out.

    Args:
        batch: the batch of a number.
        an_epoch: batches in an epoch, of all ranks together.
        alone: why ranks cannot share them.

    Attributes:
        an_epoch: batches that this rank draws in an epoch.

    Raises:
        ValueError: there are several ranks, and nothing to share out.
    """

    env_steps = 0
    updates_due = 1

    def __init__(self, batch: Callable[[int], B], an_epoch: int, alone: str | None = None) -> None:
        if alone is not None and ranks.size() > 1:
            raise ValueError(f"ranks cannot share these batches: {alone}")
        if an_epoch < ranks.size():
            raise ValueError(f"an epoch has fewer batches ({an_epoch}) than there are ranks ({ranks.size()})")
        self.batch, self.an_epoch = batch, an_epoch // ranks.size()
        self._of_all = an_epoch
        self.drawn = 0

    def collect(self) -> None:
        """The data are all there."""

    def finish_round(self) -> None:
        """Batches are counted when they are drawn."""

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Examples have no priorities."""

    def sample(self) -> B:
        epoch, place = divmod(self.drawn, self.an_epoch)
        batch = self.batch(epoch * self._of_all + place * ranks.size() + ranks.rank())
        self.drawn += 1
        return batch

    def statistics(self) -> dict[str, np.ndarray | float]:
        return {"train/epoch": self.drawn / self.an_epoch}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check(self.state_dict(), state)
        self.drawn = state["drawn"]

    def close(self) -> None:
        """Holds nothing open."""


class Order:
    """The order in which each seed goes through N examples, another one every epoch."""

    def __init__(self, examples: int, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.examples = examples
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self._epoch, self._order = -1, torch.empty(0)

    def __call__(self, epoch: int) -> Tensor:
        """Indices ``[S, N]``."""
        if epoch != self._epoch:  # the last one is kept: a batch after the other asks for it
            keys = random.key(self.seeds, _SHUFFLE_STREAM, epoch)
            self._epoch, self._order = epoch, random.uniform(keys, self.examples).argsort(dim=1, stable=True)
        return self._order

    def part(self, number: int, size: int) -> Tensor:
        """Indices ``[S, size]`` of the batch of that number; a short last batch of an epoch is left out."""
        epoch, place = divmod(number, self.examples // size)
        return self(epoch)[:, place * size : (place + 1) * size]


def minibatches(
    examples: B,
    batch_size: int,
    seeds: Sequence[int],
    augment: Callable[[B, Tensor], B] | None = None,
) -> Batches[B]:
    """Every epoch goes once through the data, for each seed in an order of its own; a short last batch is left out.

    Args:
        examples: a named tuple of tensors ``[N, ...]``; batches are of the same kind, ``[S, B, ...]``.
        batch_size: B, at most N.
        seeds: one integer a seed.
        augment: changes a batch, given random keys ``[S]``.

    Raises:
        ValueError: there are fewer examples than a batch takes.
    """
    tensors: tuple[Tensor, ...] = tuple(examples)  # type: ignore[arg-type]
    kind: Any = type(examples)
    count = len(tensors[0])
    if batch_size > count:
        raise ValueError(f"--batch-size {batch_size} is more than the {count} examples there are")
    order = Order(count, seeds, tensors[0].device)

    def batch(number: int) -> B:
        chosen = order.part(number, batch_size)
        found: B = kind(*(tensor[chosen] for tensor in tensors))
        return found if augment is None else augment(found, random.key(order.seeds, _AUGMENTATION_STREAM, number))

    return Batches(batch, count // batch_size)


def passes(examples: B, seeds: Sequence[int], batch_size: int | None = None) -> Batches[B]:
    """The same where every seed has examples of its own; by default a batch is one pass through all of them.

    Args:
        examples: a named tuple of tensors ``[S, N, ...]``.
        seeds: one integer a seed.
        batch_size: at most N.
    """
    tensors: tuple[Tensor, ...] = tuple(examples)  # type: ignore[arg-type]
    kind: Any = type(examples)
    count = tensors[0].shape[1]
    size = min(batch_size or count, count)
    order = Order(count, seeds, tensors[0].device)
    rows = torch.arange(len(seeds)).unsqueeze(1)

    def batch(number: int) -> B:
        chosen = order.part(number, size)
        found: B = kind(*(tensor[rows, chosen] for tensor in tensors))
        return found

    return Batches(batch, count // size)


def made_up(
    make: Callable[[Tensor], B], seeds: Sequence[int], an_epoch: int, device: torch.device | str = "cpu"
) -> Batches[B]:
    """Batches that ``make`` makes up from random keys ``[S]``, a new one for every number."""
    numbers = torch.tensor(seeds, dtype=torch.int64, device=device)
    return Batches(lambda number: make(random.key(numbers, _MADE_STREAM, number)), an_epoch)
