"""Recurrent networks over sequences, with a state that the caller keeps: for agents with memory and supervised models.

Shapes: B sequences of T steps with F inputs and H outputs. ``reset`` says where a sequence or an episode begins, inside
the window too; the state is zero there.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlsuite.networks import cells, sequences
from rlsuite.networks.cells import Kind
from rlsuite.networks.population import Population

Child = Callable[..., Any]


class RecurrentBackbone(nn.Module):
    """Layers of recurrent cells: see ``rlsuite.networks.cells`` for the kinds.

    Parameters have torch's names, shapes and initialisation, so that ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` give the
    same outputs from the same parameters. The state is one tensor ``[B, state_size]``: of every layer, and there of
    every direction, the hidden outputs and, for an LSTM, its cells. Truncated backpropagation through time is to give
    the state of one window, detached, to the next.

    Args:
        inputs: F.
        hidden: H, or half of it in both directions.
        cell: rnn, gru, lstm or orthogonal.
        layers: each on the outputs of the one before.
        reset_after: a GRU's reset gate is applied after the product with the state, as in torch, not before.
        peephole: an LSTM's output gate sees the new cells.
        memory_steps: gates begin so that memories last up to so many steps, for dependencies that are known to be long.
        bidirectional: a second network reads from the end, and outputs stand side by side; for whole sequences only.

    Raises:
        ValueError: there is no such cell, or it has no such option.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        cell: Kind = "gru",
        layers: int = 1,
        *,
        reset_after: bool = True,
        peephole: bool = False,
        memory_steps: int | None = None,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.cell = cells.make(cell, reset_after, peephole)
        self.hidden, self.layers = hidden, layers
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.state_size = layers * len(self.directions) * self.cell.parts * hidden
        for layer in range(layers):
            for direction in self.directions:
                own = self.cell.parameters(inputs if layer == 0 else hidden * len(self.directions), hidden)
                if memory_steps is not None:
                    self.cell.remember(own, memory_steps)
                self._names = tuple(own)
                for name, parameter in own.items():
                    self.register_parameter(f"{name}_l{layer}{direction}", nn.Parameter(parameter))

    def forward(
        self, x: Tensor, state: Tensor | None = None, reset: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Outputs ``[B, T, H]`` and the next state of inputs ``[B, T, F]``.

        Args:
            x: the inputs.
            state: ``[B, state_size]``, zero by default.
            reset: bool ``[B, T]``; nowhere by default, which may be quicker than to say so.
            lengths: ``[B]`` int64 of sequences that are padded at their ends: outputs are zero there, and the next
                state is that after a sequence's own last step.

        Raises:
            ValueError: there are no steps, or resets are given to a bidirectional network.
        """
        named = {name: parameter.unsqueeze(0) for name, parameter in self.named_parameters()}
        one = (None if own is None else own.unsqueeze(0) for own in (x, state, reset, lengths))
        outputs, state = self.stacked(None, named, *one)  # type: ignore[arg-type]
        return outputs.squeeze(0), state.squeeze(0)

    def stacked(
        self,
        child: Child | None,
        named: dict[str, Tensor],
        x: Tensor,
        state: Tensor | None = None,
        reset: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks with parameters ``[S, ...]``, all inputs ``[S, B, ...]``: one product a step."""
        seeds, batch, steps, _ = x.shape
        if steps == 0:
            raise ValueError("a sequence must have at least one step")
        if reset is not None and len(self.directions) > 1:
            raise ValueError("a bidirectional network reads whole sequences, without resets inside")
        if state is None:
            state = x.new_zeros(seeds, batch, self.state_size)
        x = x.transpose(1, 2)
        kept = None if reset is None else (~reset).to(x.dtype).mT.unsqueeze(-1)
        ends = None if lengths is None else (lengths - 1).unsqueeze(-1)
        starts, states = iter(state.split(self.hidden, dim=-1)), []
        for layer in range(self.layers):
            outputs = []
            for direction in self.directions:
                own = x if not direction else _reversed(x, ends)
                start = tuple(next(starts) for _ in range(self.cell.parts))
                weights = {name: named[f"{name}_l{layer}{direction}"] for name in self._names}
                y, *others = sequences.along(self.cell, own, start, kept, ends, weights)
                states += [sequences.at_ends(y, ends), *others]
                outputs.append(y if not direction else _reversed(y, ends))
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        y = x.transpose(1, 2)
        if lengths is not None:
            y = y * (torch.arange(steps, device=y.device) < lengths.unsqueeze(-1)).to(y.dtype).unsqueeze(-1)
        return y, torch.cat(states, dim=-1)


def _reversed(x: Tensor, ends: Tensor | None) -> Tensor:
    """Sequences ``[S, T, B, F]`` from their ends to their starts; what lies behind the end stays."""
    if ends is None:
        return x.flip(1)
    times = torch.arange(x.shape[1], device=x.device).view(1, -1, 1, 1)
    last = ends.unsqueeze(1)
    places = torch.where(times <= last, last - times, times)
    return x.gather(1, places.expand_as(x))


class WithMemory(nn.Module):
    """An encoder, a recurrent network that carries its features through time, if any, and a head.

    Observations ``[B, T, ...]``, state ``[B, M]`` and reset ``[B, T]`` to outputs ``[B, T, A]`` and the next state; the
    state is None where nothing is remembered.
    """

    def __init__(self, encoder: nn.Module, recurrent: RecurrentBackbone | None, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.recurrent, self.head = encoder, recurrent, head

    @property
    def state_size(self) -> int:
        """M, 0 without memory."""
        return self.recurrent.state_size if self.recurrent is not None else 0

    def forward(
        self, observation: Tensor, state: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        features = self.encoder(observation.flatten(0, 1)).unflatten(0, observation.shape[:2])
        if self.recurrent is not None:
            features, state = self.recurrent(features, state, reset)
        return self.head(features.flatten(0, 1)).unflatten(0, observation.shape[:2]), state

    def stacked(
        self,
        child: Child,
        named: dict[str, Tensor],
        observation: Tensor,
        state: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The same for S networks, with inputs ``[S, B, ...]``."""
        axes = observation.shape[1:3]
        features = child("encoder", observation.flatten(1, 2))
        if self.recurrent is not None:
            outputs, state = child("recurrent", features.unflatten(1, axes), state, reset)
            features = outputs.flatten(1, 2)
        return child("head", features).unflatten(1, axes), state


def with_memory(
    encoder: nn.Module,
    features: int,
    head: Callable[[int], nn.Module],
    kind: Literal["none", "gru", "lstm"],
    units: int,
    memory_steps: int | None = None,
) -> WithMemory:
    """An encoder with so many features, a memory of a kind and so many units, or none, and a head on that many inputs.

    ``memory_steps`` is as for ``RecurrentBackbone``.
    """
    if kind == "none":
        return WithMemory(encoder, None, head(features))
    return WithMemory(encoder, RecurrentBackbone(features, units, kind, memory_steps=memory_steps), head(units))


def memory_size(network: Population) -> int:
    """M, the numbers that networks made by ``with_memory`` (or with a ``state_size``) carry; 0 without memory."""
    return int(network.module.state_size)  # type: ignore[arg-type]


def empty_memory(network: Population, num_envs: int) -> dict[str, Tensor]:
    """The acting state of networks before an episode: ``memory`` ``[S, E, M]``, or nothing where M is 0."""
    size, parameters = memory_size(network), network.parameters
    return {"memory": parameters.new_zeros(len(parameters), num_envs, size)} if size else {}


class LastOutput(nn.Module):
    """A recurrent layer that answers with its last hidden output: sequences ``[B, T, F]`` to ``[B, H]``."""

    def __init__(self, inputs: int, hidden: int, cell: Kind = "lstm") -> None:
        super().__init__()
        self.recurrent = RecurrentBackbone(inputs, hidden, cell)

    def forward(self, sequence: Tensor) -> Tensor:
        outputs, _ = self.recurrent(sequence)
        return outputs[:, -1]

    def stacked(self, child: Child, named: dict[str, Tensor], sequence: Tensor) -> Tensor:
        """The same for S networks, with sequences ``[S, B, T, F]``."""
        outputs, _ = child("recurrent", sequence)
        return outputs[:, :, -1]


def reader(inputs: int, hidden: int, outputs: int, cell: Kind = "lstm") -> nn.Sequential:
    """Sequences ``[B, T, inputs]``, read by recurrent cells, to ``[B, outputs]``."""
    return nn.Sequential(LastOutput(inputs, hidden, cell), nn.Linear(hidden, outputs))
