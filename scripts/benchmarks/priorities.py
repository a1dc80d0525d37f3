"""Prioritised draws at a million transitions, beside a binary sum tree of NumPy as others have it.

A draw is all that a batch takes: where each share of the sum lies, the weights, and the new priorities written back.
The peer goes down twenty levels with all draws at once and up again, in float64; nothing of it is a loop over a batch.
A ratio above 1 always speaks for rlsuite.
"""

import math
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from benchmarks.rounds import alternate, row

from rlsuite import random
from rlsuite.experience import Batch
from rlsuite.replay.prioritised import Prioritised
from rlsuite.training.execution import Execution, compiled

_TRANSITIONS = 1_000_000
_ALPHA, _BETA = 0.6, 0.4
_BATCH_SIZES = (32, 256)
_DRAWS = {32: 200, 256: 100}  # of one round
_WAYS: dict[str, Execution] = {"eager": "eager", "compiled": "compile"}
_PEER = "binary tree, NumPy"


def rows() -> Iterator[dict[str, Any]]:
    priorities = np.random.default_rng(0).exponential(size=_TRANSITIONS)
    peer = BinaryTree(_TRANSITIONS)
    peer.set(np.arange(_TRANSITIONS), priorities**_ALPHA)
    for batch_size in _BATCH_SIZES:
        for how, execution in _WAYS.items():
            ours = _ours(priorities, batch_size, execution)
            figures = alternate(ours, _theirs(peer, batch_size))
            yield row(f"draw({batch_size}) and its priorities, {how}", "batches/s", _PEER, figures)
    memory = Prioritised(1, _TRANSITIONS, beta_draws=1).nbytes / _TRANSITIONS, peer.sums.nbytes / _TRANSITIONS
    yield row("memory of a transition's priority", "bytes", _PEER, (*memory, memory[1] / memory[0]))


class BinaryTree:
    """Sums of two, of two such sums, and so on, in one array: node i has the children 2 i and 2 i + 1."""

    def __init__(self, size: int) -> None:
        self.first = 1 << math.ceil(math.log2(size))  # of the leaves
        self.sums = np.zeros(2 * self.first)

    def set(self, index: np.ndarray, value: np.ndarray) -> None:
        node = index + self.first
        self.sums[node] = value
        while node[0] > 1:
            node //= 2
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1]

    def get(self, index: np.ndarray) -> np.ndarray:
        return self.sums[index + self.first]

    def find(self, share: np.ndarray) -> np.ndarray:
        """The indices at which the numbers before add up to ``share`` of the total."""
        left, node = share * self.sums[1], np.ones(len(share), dtype=np.int64)
        while node[0] < self.first:
            node *= 2
            below = self.sums[node]
            right = left >= below
            left -= right * below
            node += right
        return node - self.first


def _ours(priorities: np.ndarray, batch_size: int, execution: Execution) -> Callable[[], float]:
    sampler = Prioritised(1, _TRANSITIONS, alpha=_ALPHA, beta=_BETA, beta_draws=1_000_000)
    every = torch.arange(_TRANSITIONS).unsqueeze(0)
    first = torch.from_numpy(priorities).float().unsqueeze(0)
    sampler.feedback(_batch({"index": every}), first)
    store: Any = SimpleNamespace(size=torch.tensor([_TRANSITIONS]))
    seeds, drawn = torch.tensor([0]), torch.zeros((), dtype=torch.int64)

    def draw() -> None:
        drawn.add_(1)
        key = random.key(seeds, drawn)
        _, extras = sampler.draw(store, batch_size, key)
        sampler.feedback(_batch(extras), random.uniform(key, batch_size))

    return _rate(compiled(draw, execution), batch_size)


def _batch(extras: dict[str, torch.Tensor]) -> Batch:
    """A batch of transitions with nothing in them but what the sampler reads."""
    nothing = torch.zeros(1)
    return Batch(nothing, nothing, nothing, nothing, nothing, extras)


def _theirs(tree: BinaryTree, batch_size: int) -> Callable[[], float]:
    generator, strata = np.random.default_rng(1), np.arange(batch_size)

    def draw() -> None:
        index = tree.find((strata + generator.random(batch_size)) / batch_size)
        weight = (_TRANSITIONS * tree.get(index) / tree.sums[1]) ** -_BETA
        weight /= weight.max()
        tree.set(index, (generator.random(batch_size) + 1e-6) ** _ALPHA)

    return _rate(draw, batch_size)


def _rate(draw: Callable[[], object], batch_size: int) -> Callable[[], float]:
    def measure() -> float:
        started = time.perf_counter()
        for _ in range(_DRAWS[batch_size]):
            draw()
        return _DRAWS[batch_size] / (time.perf_counter() - started)

    return measure
