"""Kinds of recurrent cells: plain, orthogonal, LSTM and GRU. ``rlsuite.networks.cell`` says what each has to have."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from rlsuite.networks.cell import Back, Cell, Run, Tensors, Track, log_durations, split_last, uniform, weight_gradient

Kind = Literal["rnn", "gru", "lstm", "orthogonal"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# With biases, one layer, no dropout, training, one direction, the batch not first: arguments of torch's operations.
_ONE_LAYER = (True, 1, 0.0, True, False, False)
_sigmoid_back = torch.ops.aten.sigmoid_backward
_tanh_back = torch.ops.aten.tanh_backward


class Vanilla(Cell):
    """h' = tanh(W x + U h + b) (Elman, 1990)."""

    gates = 1

    def is_torchs(self, device: torch.device) -> bool:
        return device.type == "cuda"

    def whole(self, x: Tensor, start: Tensors, weights: Tensors) -> Tensors:
        return torch.rnn_tanh(x, start[0].unsqueeze(0), weights, *_ONE_LAYER)[:1]

    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        weight, bias = recurrent
        return (torch.tanh(into + bias.unsqueeze(1) + torch.bmm(state[0], weight)),)

    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        (hidden,), (weight, bias) = tracks, recurrent
        into += bias[:, None, None]
        for time in range(into.shape[1]):
            torch.tanh(into[:, time].baddbmm_(hidden.at(time), weight), out=hidden.after[:, time])
        return ()

    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        (after,), weight = run.after, recurrent[0].mT
        into = torch.empty_like(after)
        for time in reversed(range(into.shape[1])):
            (own,) = back.at(time)
            _tanh_back.grad_input(own, after[:, time], grad_input=into[:, time])
            back.pass_on(time, torch.bmm(into[:, time], weight))
        return into, (weight_gradient(run.before[0], into), into.sum(dim=(1, 2)))


class Orthogonal(Cell):
    """h' = modrelu(W x + b + Q h): Q stays orthogonal, so that gradients neither vanish nor explode.

    Q is the matrix exponential of a skew-symmetric matrix (Lezcano-Casado and Martinez-Rubio, 2019), which begins as
    rotations by random angles; modrelu(z) = sign(z) max(|z| + b, 0) (Arjovsky et al., 2016).
    """

    gates = 1

    def parameters(self, inputs: int, hidden: int) -> dict[str, Tensor]:
        angles = torch.zeros(hidden, hidden)
        for first in range(0, hidden - 1, 2):
            angles[first, first + 1] = math.pi * (2.0 * torch.rand(()) - 1.0)
        weight = uniform(hidden, {"weight_ih": (hidden, inputs)})
        return weight | {"weight_hh": angles, "bias_ih": torch.zeros(hidden), "threshold": torch.zeros(hidden)}

    def recurrent(self, named: dict[str, Tensor]) -> Tensors:
        above = named["weight_hh"].triu(1)
        return torch.linalg.matrix_exp(above - above.mT).mT, named["threshold"]

    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        weight, threshold = recurrent
        own = into + torch.bmm(state[0], weight)
        return (own.sign() * (own.abs() + threshold.unsqueeze(1)).relu(),)

    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        (hidden,), (weight, threshold) = tracks, recurrent
        for time in range(into.shape[1]):
            own = into[:, time].baddbmm_(hidden.at(time), weight)
            size = own.abs().add_(threshold.unsqueeze(1)).relu_()
            torch.mul(own.sign_(), size, out=hidden.after[:, time])
        return ()

    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        weight, sign = recurrent[0].mT, run.after[0].sign()
        into = torch.empty_like(sign)
        for time in reversed(range(into.shape[1])):
            (own,) = back.at(time)
            torch.mul(own, sign[:, time].abs(), out=into[:, time])
            back.pass_on(time, torch.bmm(into[:, time], weight))
        return into, (weight_gradient(run.before[0], into), (into * sign).sum(dim=(1, 2)))


class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000), with torch's order of gates.

    Args:
        peephole: the output gate sees the new cells, each its own (Gers and Schmidhuber, 2000).
    """

    gates, parts = 4, 2

    def __init__(self, peephole: bool = False) -> None:
        self.peephole = peephole

    def is_torchs(self, device: torch.device) -> bool:
        return not self.peephole

    def whole(self, x: Tensor, start: Tensors, weights: Tensors) -> Tensors:
        y, _, last = torch.lstm(x, [part.unsqueeze(0) for part in start], weights, *_ONE_LAYER)
        return y, last.squeeze(0)

    def parameters(self, inputs: int, hidden: int) -> dict[str, Tensor]:
        return super().parameters(inputs, hidden) | uniform(hidden, {"peephole": (hidden,)} if self.peephole else {})

    def remember(self, parameters: dict[str, Tensor], steps: int) -> None:
        write, forget, _, _ = parameters["bias_ih"].chunk(4)
        forget.copy_(log_durations(len(forget), steps))
        write.copy_(-forget)
        parameters["bias_hh"][: 2 * len(forget)] = 0.0

    def recurrent(self, named: dict[str, Tensor]) -> Tensors:
        peephole = (named["peephole"],) if self.peephole else ()
        return named["weight_hh"].mT, named["bias_hh"], *peephole

    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        (hidden, cells), (weight, bias, *peephole) = state, recurrent
        write, forget, new, read = (into + bias.unsqueeze(1) + torch.bmm(hidden, weight)).chunk(4, dim=-1)
        cells = torch.sigmoid(forget) * cells + torch.sigmoid(write) * torch.tanh(new)
        if peephole:
            read = read + peephole[0].unsqueeze(1) * cells
        return torch.sigmoid(read) * torch.tanh(cells), cells

    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        (hidden, cells), (weight, bias, *peephole) = tracks, recurrent
        into += bias[:, None, None]
        squashed = torch.empty_like(cells.after)
        for time in range(into.shape[1]):
            own = into[:, time].baddbmm_(hidden.at(time), weight)
            write_forget, new, read = split_last(own, 2, 1, 1)
            write, forget = write_forget.sigmoid_().chunk(2, dim=-1)
            after = torch.mul(forget, cells.at(time), out=cells.after[:, time]).addcmul_(write, new.tanh_())
            if peephole:
                read.addcmul_(peephole[0].unsqueeze(1), after)
            torch.mul(read.sigmoid_(), torch.tanh(after, out=squashed[:, time]), out=hidden.after[:, time])
        return into, squashed

    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        (gates, squashed), weight, peephole = run.saved, recurrent[0].mT, recurrent[2:]
        into = torch.empty_like(gates)
        for time in reversed(range(into.shape[1])):
            of_hidden, of_cells = back.at(time)
            write, forget, new, read = gates[:, time].chunk(4, dim=-1)
            of_write, of_forget, of_new, of_read = into[:, time].chunk(4, dim=-1)
            torch.mul(of_hidden, squashed[:, time], out=of_read)
            _sigmoid_back.grad_input(of_read, read, grad_input=of_read)
            of_cells += _tanh_back(of_hidden * read, squashed[:, time])
            if peephole:
                of_cells.addcmul_(peephole[0].unsqueeze(1), of_read)
            torch.mul(of_cells, new, out=of_write)
            torch.mul(of_cells, run.before[1][:, time], out=of_forget)
            both, of_both = gates[:, time, :, : 2 * new.shape[-1]], into[:, time, :, : 2 * new.shape[-1]]
            _sigmoid_back.grad_input(of_both, both, grad_input=of_both)
            torch.mul(of_cells, write, out=of_new)
            _tanh_back.grad_input(of_new, new, grad_input=of_new)
            back.pass_on(time, torch.bmm(into[:, time], weight), of_cells.mul_(forget))
        of_read = split_last(into, 3, 1)[1]
        of_peephole = tuple((of_read * run.after[1]).sum(dim=(1, 2)) for _ in peephole)
        return into, (weight_gradient(run.before[0], into), into.sum(dim=(1, 2)), *of_peephole)


class GRU(Cell):
    """Gated recurrent unit (Cho et al., 2014), with torch's order of gates; ``update`` keeps the old state.

    Args:
        reset_after: the reset gate multiplies a product with the old state, as in torch; else the state before the
            product, as in the paper.
    """

    gates = 3

    def __init__(self, reset_after: bool = True) -> None:
        self.reset_after = reset_after

    def is_torchs(self, device: torch.device) -> bool:
        return self.reset_after and device.type == "cuda"  # that for CPUs is slower

    def whole(self, x: Tensor, start: Tensors, weights: Tensors) -> Tensors:
        return torch.gru(x, start[0].unsqueeze(0), weights, *_ONE_LAYER)[:1]

    def remember(self, parameters: dict[str, Tensor], steps: int) -> None:
        _, update, _ = parameters["bias_ih"].chunk(3)
        update.copy_(log_durations(len(update), steps))
        parameters["bias_hh"][len(update) : 2 * len(update)] = 0.0

    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        (hidden,), (weight, bias) = state, recurrent
        gates_in, new_in = split_last(into, 2, 1)
        gates_weight, new_weight = split_last(weight, 2, 1)
        gates_bias, new_bias = split_last(bias.unsqueeze(1), 2, 1)
        gates = torch.sigmoid(gates_in + gates_bias + torch.bmm(hidden, gates_weight))
        reset, update = gates.chunk(2, dim=-1)
        if self.reset_after:
            own = reset * (torch.bmm(hidden, new_weight) + new_bias)
        else:
            own = torch.bmm(reset * hidden, new_weight) + new_bias
        new = torch.tanh(new_in + own)
        return (new + update * (hidden - new),)

    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        (hidden,), (weight, bias) = tracks, recurrent
        gates_weight, new_weight = split_last(weight, 2, 1)
        gates_bias, new_bias = split_last(bias.unsqueeze(1), 2, 1)
        into[..., : gates_bias.shape[-1]] += gates_bias.unsqueeze(1)
        own = torch.empty_like(hidden.after)  # of the new state, before its input is added
        for time in range(into.shape[1]):
            before = hidden.at(time)
            gates, new = split_last(into[:, time], 2, 1)
            reset, update = gates.baddbmm_(before, gates_weight).sigmoid_().chunk(2, dim=-1)
            if self.reset_after:
                torch.baddbmm(new_bias, before, new_weight, out=own[:, time])
                new.addcmul_(reset, own[:, time])
            else:
                torch.mul(reset, before, out=own[:, time])
                new.baddbmm_(own[:, time], new_weight).add_(new_bias)
            torch.lerp(new.tanh_(), before, update, out=hidden.after[:, time])
        return into, own

    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        (gates, own), (before,) = run.saved, run.before
        gates_weight, new_weight = (part.mT for part in split_last(recurrent[0], 2, 1))
        into = torch.empty_like(gates)
        of_own = torch.empty_like(own) if self.reset_after else split_last(into, 2, 1)[1]
        for time in reversed(range(into.shape[1])):
            (of_hidden,) = back.at(time)
            reset, update, new = gates[:, time].chunk(3, dim=-1)
            of_gates, of_new = split_last(into[:, time], 2, 1)
            of_reset, of_update = of_gates.chunk(2, dim=-1)
            of_before = of_hidden * update
            torch.sub(of_hidden, of_before, out=of_new)
            _tanh_back.grad_input(of_new, new, grad_input=of_new)
            torch.mul(torch.sub(before[:, time], new), of_hidden, out=of_update)
            if self.reset_after:
                torch.mul(of_new, own[:, time], out=of_reset)
                torch.mul(of_new, reset, out=of_own[:, time])
                of_before.baddbmm_(of_own[:, time], new_weight)
            else:
                of_masked = torch.bmm(of_new, new_weight)
                torch.mul(of_masked, before[:, time], out=of_reset)
                of_before.addcmul_(of_masked, reset)
            _sigmoid_back.grad_input(of_gates, gates[:, time, :, : of_gates.shape[-1]], grad_input=of_gates)
            back.pass_on(time, of_before.baddbmm_(of_gates, gates_weight))
        of_gates = split_last(into, 2, 1)[0]
        of_weight = [weight_gradient(before, of_gates), weight_gradient(before if self.reset_after else own, of_own)]
        of_bias = [of_gates.sum(dim=(1, 2)), of_own.sum(dim=(1, 2))]
        return into, (torch.cat(of_weight, dim=-1), torch.cat(of_bias, dim=-1))


def make(kind: Kind, reset_after: bool = True, peephole: bool = False) -> Cell:
    """A cell by name; see the classes for what the options mean.

    Raises:
        ValueError: there is no such cell, or it has no such option.
    """
    if peephole and kind != "lstm":
        raise ValueError(f"only an lstm has a peephole, and this is the cell {kind!r}")
    if not reset_after and kind != "gru":
        raise ValueError(f"only a gru has a reset gate, and this is the cell {kind!r}")
    match kind:
        case "rnn":
            return Vanilla()
        case "gru":
            return GRU(reset_after)
        case "lstm":
            return LSTM(peephole)
        case "orthogonal":
            return Orthogonal()
    raise ValueError(f"cell must be rnn, gru, lstm or orthogonal, not {kind!r}")
