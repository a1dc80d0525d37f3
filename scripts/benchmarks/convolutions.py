"""Updates a second of supervised networks, beside the same modules in a plain PyTorch loop with torch's Adam.

``CASES`` names what is measured; each case gives two functions that make one update: ours, and the plain one.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.rounds import alternate, row
from torch import nn

from rlsuite.networks.vision import classifier
from rlsuite.supervised.classification import Examples, cross_entropy
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.learner import Learner

_SECONDS = 2.0
_BATCH = 100

Update = Callable[[], Any]


def lenet() -> tuple[Update, Update]:
    """LeNet on MNIST's sizes, one seed."""
    pictures, labels = torch.rand(_BATCH, 1, 28, 28), torch.randint(0, 10, (_BATCH,))
    config = SupervisedConfig(epochs=1, batch_size=_BATCH)
    learner = Learner(lambda: classifier("lenet", (1, 28, 28), 10), cross_entropy, config, 10**9, [0])
    batch = Examples(pictures.unsqueeze(0), labels.unsqueeze(0))
    module = nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 512),
        nn.ReLU(),
        nn.Linear(512, 10),
    )
    return lambda: learner.update(batch), plain(module, lambda: F.cross_entropy(module(pictures), labels))


def plain(module: nn.Module, loss: Callable[[], torch.Tensor]) -> Update:
    """An update as people write it with torch alone."""
    optimiser = torch.optim.Adam(module.parameters())

    def update() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return update


CASES: dict[str, Callable[[], tuple[Update, Update]]] = {
    "LeNet, batch 100": lenet,
}


def rows() -> list[dict[str, Any]]:
    found = []
    for name, case in CASES.items():
        ours, peer = case()
        found.append(row(name, "updates/s", "plain PyTorch", alternate(_speed(ours), _speed(peer))))
    return found


def _speed(update: Update) -> Callable[[], float]:
    def measure() -> float:
        updates, started = 0, time.perf_counter()
        while (seconds := time.perf_counter() - started) < _SECONDS:
            update()
            updates += 1
        return updates / seconds

    return measure
