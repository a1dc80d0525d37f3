"""Updates a second of recurrent networks, one thread: beside plain PyTorch's, and eight seeds beside one."""

import time
from collections.abc import Callable
from typing import Any

import torch
from benchmarks.rounds import alternate, row
from torch import nn

from rlsuite.networks.population import Population, gradient
from rlsuite.networks.recurrent import RecurrentBackbone

_SECONDS = 1.0
_TORCHS = {"lstm": nn.LSTM, "gru": nn.GRU}


def rows() -> list[dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            *(_beside_torch(cell, hidden) for cell in ("lstm", "gru") for hidden in (128, 512)),
            *(_eight_seeds(cell) for cell in ("lstm", "gru")),
        ]
    finally:
        torch.set_num_threads(threads)


def _beside_torch(cell: Any, hidden: int) -> dict[str, Any]:
    """As in a model of characters: 50 sequences of 50 steps."""
    batch, steps, inputs = 50, 50, 64
    module = _TORCHS[cell](inputs, hidden, batch_first=True)
    x = torch.randn(batch, steps, inputs)

    def peer() -> None:
        torch.autograd.grad(module(x)[0].square().mean(), list(module.parameters()))

    figures = alternate(_speed(_ours(cell, inputs, hidden, x, 1)), _speed(peer))
    return row(f"{cell}, {hidden} hidden, one seed", "gradients/s", "plain PyTorch", figures)


def _eight_seeds(cell: Any) -> dict[str, Any]:
    """As in the task of adding: 32 sequences of 200 steps, 64 hidden."""
    x = torch.randn(32, 200, 2)
    eight, one = (_speed(_ours(cell, 2, 64, x, seeds)) for seeds in (8, 1))
    figures = alternate(lambda: 8.0 * eight(), one)
    return row(f"{cell}, 64 hidden, eight seeds as one program", "gradients/s", "one seed after the other", figures)


def _ours(cell: Any, inputs: int, hidden: int, x: torch.Tensor, seeds: int) -> Callable[[], Any]:
    population = Population(lambda: RecurrentBackbone(inputs, hidden, cell), range(seeds))
    own = x.expand(seeds, *x.shape)

    def loss(parameters: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return population(own, parameters=parameters)[0].square().mean(dim=(1, 2, 3)), {}

    return lambda: gradient(loss, population.parameters)


def _speed(update: Callable[[], Any]) -> Callable[[], float]:
    """Calls a second of the processor, so that what else the machine does matters less."""

    def measure() -> float:
        calls, started = 0, time.process_time()
        while (seconds := time.process_time() - started) < _SECONDS:
            update()
            calls += 1
        return calls / seconds

    return measure
