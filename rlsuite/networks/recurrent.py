"""Recurrent networks over sequences, with a state that the caller keeps: for agents with memory and supervised models.

Shapes: B sequences of T steps with F inputs and H outputs. ``reset`` says where a sequence or an episode begins, inside
the window too; the state is zero there.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

Cell = Literal["gru", "lstm"]
Child = Callable[..., Any]
_GATES: dict[Cell, int] = {"gru": 3, "lstm": 4}


class RecurrentBackbone(nn.Module):
    """``layers`` layers of a GRU (Cho et al., 2014) or an LSTM (Hochreiter and Schmidhuber, 1997), as torch's own.

    Parameters have torch's names, shapes and initialisation, so that ``nn.GRU`` and ``nn.LSTM`` give the same outputs
    from the same parameters. The state is one tensor ``[B, state_size]``: of every layer the hidden outputs and, for
    an LSTM, its cells.
    """

    def __init__(self, inputs: int, hidden: int, cell: Cell = "gru", layers: int = 1) -> None:
        super().__init__()
        if cell not in _GATES:
            raise ValueError(f"cell must be gru or lstm, not {cell!r}")
        self.hidden, self.cell, self.layers = hidden, cell, layers
        self.state_size = layers * hidden * (2 if cell == "lstm" else 1)
        bound = hidden**-0.5
        for layer in range(layers):
            for name, columns in (("weight_ih", inputs if layer == 0 else hidden), ("weight_hh", hidden)):
                weight = torch.empty(_GATES[cell] * hidden, columns).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(weight))
            for name in ("bias_ih", "bias_hh"):
                bias = torch.empty(_GATES[cell] * hidden).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(bias))

    def forward(self, x: Tensor, state: Tensor, reset: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs ``[B, T, H]`` and the next state of inputs ``[B, T, F]``; ``reset`` is bool ``[B, T]``."""
        named = {name: parameter.unsqueeze(0) for name, parameter in self.named_parameters()}
        outputs, state = self.stacked(None, named, x.unsqueeze(0), state.unsqueeze(0), reset.unsqueeze(0))
        return outputs.squeeze(0), state.squeeze(0)

    def stacked(
        self, child: Child | None, named: dict[str, Tensor], x: Tensor, state: Tensor, reset: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks with parameters ``[S, ...]``, all inputs ``[S, B, ...]``: one product a step."""
        kept = (~reset).to(x.dtype).unsqueeze(-1)
        states = []
        for layer, before in enumerate(state.chunk(self.layers, dim=-1)):
            weights = {name: named[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
            x, after = self._layer(x, before, kept, weights)
            states.append(after)
        return x, torch.cat(states, dim=-1)

    def _layer(self, x: Tensor, state: Tensor, kept: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        seeds, batch, steps, _ = x.shape
        # The part that does not depend on the state is computed for all steps at once.
        into = torch.bmm(x.flatten(1, 2), weights["weight_ih"].mT) + weights["bias_ih"].unsqueeze(1)
        into = into.view(seeds, batch, steps, -1)
        recurrent, bias = weights["weight_hh"].mT, weights["bias_hh"].unsqueeze(1)
        step = self._gru if self.cell == "gru" else self._lstm
        outputs = []
        for time in range(steps):
            state = state * kept[:, :, time]
            state = step(into[:, :, time], state, recurrent, bias)
            outputs.append(state[..., : self.hidden])
        return torch.stack(outputs, dim=2), state

    def _gru(self, into: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        own = torch.bmm(hidden, weight) + bias
        reset_in, update_in, new_in = into.chunk(3, dim=-1)
        reset_own, update_own, new_own = own.chunk(3, dim=-1)
        update = torch.sigmoid(update_in + update_own)
        new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_own) * new_own)
        return new + update * (hidden - new)

    def _lstm(self, into: Tensor, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        hidden, memory = state.chunk(2, dim=-1)
        write, forget, new, read = (into + torch.bmm(hidden, weight) + bias).chunk(4, dim=-1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(write) * torch.tanh(new)
        return torch.cat([torch.sigmoid(read) * torch.tanh(memory), memory], dim=-1)


class WithMemory(nn.Module):
    """An encoder, a recurrent network that carries its features through time, and a head.

    Observations ``[B, T, ...]``, state ``[B, M]`` and reset ``[B, T]`` to outputs ``[B, T, A]`` and the next state.
    """

    def __init__(self, encoder: nn.Module, recurrent: RecurrentBackbone, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.recurrent, self.head = encoder, recurrent, head

    def forward(self, observation: Tensor, state: Tensor, reset: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(observation.flatten(0, 1)).unflatten(0, observation.shape[:2])
        outputs, state = self.recurrent(features, state, reset)
        return self.head(outputs.flatten(0, 1)).unflatten(0, observation.shape[:2]), state

    def stacked(
        self, child: Child, named: dict[str, Tensor], observation: Tensor, state: Tensor, reset: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks, with inputs ``[S, B, ...]``."""
        axes = observation.shape[1:3]
        features = child("encoder", observation.flatten(1, 2)).unflatten(1, axes)
        outputs, state = child("recurrent", features, state, reset)
        return child("head", outputs.flatten(1, 2)).unflatten(1, axes), state


class LastOutput(nn.Module):
    """A recurrent layer that answers with its last hidden output: sequences ``[B, T, F]`` to ``[B, H]``."""

    def __init__(self, inputs: int, hidden: int, cell: Cell = "lstm") -> None:
        super().__init__()
        self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](inputs, hidden, batch_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        outputs, _ = self.recurrent(sequence)
        return outputs[:, -1]


def reader(inputs: int, hidden: int, outputs: int, cell: Cell = "lstm") -> nn.Sequential:
    """Sequences ``[B, T, inputs]``, read by an LSTM or a GRU, to ``[B, outputs]``."""
    return nn.Sequential(LastOutput(inputs, hidden, cell), nn.Linear(hidden, outputs))
