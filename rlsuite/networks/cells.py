"""Cells of recurrent networks: one step as its definition, and whole sequences with a gradient written by hand.

``step`` is differentiable, and what compiled code traces. ``run`` takes the same steps in place, and ``back`` returns
through them: autograd would keep every number in between, and add to the gradient of the weights at each step, where
one product does for all steps. That takes less than half the time on a CPU, and suits any number of networks. Where
torch has one operation for a whole sequence that is quicker still, it takes the networks one after the other.

Shapes: S networks, B sequences of T steps, H hidden outputs, G = gates x H numbers into a step. Sequences are
``[S, T, B, ...]``, so that a step lies together in memory. A state has one tensor a part: the outputs and, of an LSTM,
its cells.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Kind = Literal["rnn", "gru", "lstm", "orthogonal"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Tensors = tuple[Tensor, ...]
# With biases, one layer, no dropout, training, one direction, the batch not first: arguments of torch's operations.
_ONE_LAYER = (True, 1, 0.0, True, False, False)
_sigmoid_back = torch.ops.aten.sigmoid_backward
_tanh_back = torch.ops.aten.tanh_backward


class Track:
    """A part of the state along a sequence, from where it starts; ``kept`` ``[S, T, B, 1]`` is zero at resets."""

    def __init__(self, start: Tensor, steps: int, kept: Tensor | None) -> None:
        seeds, batch, hidden = start.shape
        whole = start.new_empty(seeds, steps + 1, batch, hidden)
        whole[:, 0] = start
        self.after, self.kept, self._unmasked = whole[:, 1:], kept, whole[:, :-1]
        self.before = self._unmasked if kept is None else torch.empty_like(self.after)

    def at(self, time: int) -> Tensor:
        """Inputs of a step."""
        if self.kept is not None:
            torch.mul(self._unmasked[:, time], self.kept[:, time], out=self.before[:, time])
        return self.before[:, time]


class Run(NamedTuple):
    """Record of a run that ``back`` needs."""

    before: Tensors  # of each part, [S, T, B, H]
    after: Tensors
    saved: Tensors
    kept: Tensor | None


class Back:
    """The gradient of the state on the way back through a run.

    Args:
        run: that is gone through.
        outputs: the gradient of the outputs ``[S, T, B, H]``.
        last: that of the other parts of the state where a sequence ends ``[S, B, H]``.
        ends: each sequence's last step ``[S, B, 1]``; the last of all by default.
    """

    def __init__(self, run: Run, outputs: Tensor, last: Tensors, ends: Tensor | None) -> None:
        self.outputs, self.last, self.ends, self.kept = outputs, last, ends, run.kept
        self.parts = [torch.zeros_like(outputs[:, 0]) for _ in run.after]
        if ends is None:
            for part, own in zip(self.parts[1:], last, strict=True):
                part.copy_(own)

    def at(self, time: int) -> list[Tensor]:
        """The gradient of each part of the state after a step."""
        self.parts[0] += self.outputs[:, time]
        if self.ends is not None:
            for part, own in zip(self.parts[1:], self.last, strict=True):
                part.addcmul_(own, (self.ends == time).to(own.dtype))
        return self.parts

    def pass_on(self, time: int, *parts: Tensor) -> None:
        """Take the gradient of what the step was given."""
        self.parts = list(parts)
        if self.kept is not None:
            for part in self.parts:
                part.mul_(self.kept[:, time])


class Cell(ABC):
    """A kind of cell: how much a step takes (``gates``), and the parts of its state."""

    gates: int
    parts = 1

    def is_torchs(self, device: torch.device) -> bool:
        """Whether torch has this cell as one operation for a whole sequence, which is quicker than ``run``."""
        return False

    def whole(self, x: Tensor, start: Tensors, weights: Tensors) -> Tensors:
        """Run torch's operation for one network along ``[T, B, F]``; returns as ``sequence`` does."""
        raise NotImplementedError

    def parameters(self, inputs: int, hidden: int) -> dict[str, Tensor]:
        """The parameters by torch's names, as they are at the start."""
        numbers = self.gates * hidden
        shapes = {"weight_ih": (numbers, inputs), "weight_hh": (numbers, hidden)}
        return _uniform(hidden, shapes | dict.fromkeys(("bias_ih", "bias_hh"), (numbers,)))

    def remember(self, parameters: dict[str, Tensor], steps: int) -> None:  # noqa: B027
        """Let gates begin so that memories last from one to so many steps (Tallec and Ollivier, 2018).

        Else gates begin half open: half of a memory is gone after a step, and so is half of a gradient.
        """

    def recurrent(self, named: dict[str, Tensor]) -> Tensors:
        """Parameters as a step takes them, now ``[S, ...]``: the weights as ``[S, H, G]``, then others."""
        return named["weight_hh"].mT, named["bias_hh"]

    @abstractmethod
    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        """The state after a step, given what comes from the input ``[S, B, G]``."""

    @abstractmethod
    def run(self, into: Tensor, tracks: Sequence[Track], recurrent: Tensors) -> Tensors:
        """Fill the tracks along ``into`` ``[S, T, B, G]``, which is overwritten; returns what ``back`` needs too."""

    @abstractmethod
    def back(self, run: Run, back: Back, recurrent: Tensors) -> tuple[Tensor, Tensors]:
        """The gradients of ``into`` and ``recurrent``; that of the start is left in ``back``."""


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
        return into, (_of_weight(run.before[0], into), into.sum(dim=(1, 2)))


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
        weight = _uniform(hidden, {"weight_ih": (hidden, inputs)})
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
        return into, (_of_weight(run.before[0], into), (into * sign).sum(dim=(1, 2)))


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
        return super().parameters(inputs, hidden) | _uniform(hidden, {"peephole": (hidden,)} if self.peephole else {})

    def remember(self, parameters: dict[str, Tensor], steps: int) -> None:
        write, forget, _, _ = parameters["bias_ih"].chunk(4)
        forget.copy_(_log_durations(len(forget), steps))
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
            write_forget, new, read = _parts(own, 2, 1, 1)
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
        of_read = _parts(into, 3, 1)[1]
        of_peephole = tuple((of_read * run.after[1]).sum(dim=(1, 2)) for _ in peephole)
        return into, (_of_weight(run.before[0], into), into.sum(dim=(1, 2)), *of_peephole)


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
        update.copy_(_log_durations(len(update), steps))
        parameters["bias_hh"][len(update) : 2 * len(update)] = 0.0

    def step(self, into: Tensor, state: Tensors, recurrent: Tensors) -> Tensors:
        (hidden,), (weight, bias) = state, recurrent
        gates_in, new_in = _parts(into, 2, 1)
        gates_weight, new_weight = _parts(weight, 2, 1)
        gates_bias, new_bias = _parts(bias.unsqueeze(1), 2, 1)
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
        gates_weight, new_weight = _parts(weight, 2, 1)
        gates_bias, new_bias = _parts(bias.unsqueeze(1), 2, 1)
        into[..., : gates_bias.shape[-1]] += gates_bias.unsqueeze(1)
        own = torch.empty_like(hidden.after)  # of the new state, before its input is added
        for time in range(into.shape[1]):
            before = hidden.at(time)
            gates, new = _parts(into[:, time], 2, 1)
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
        gates_weight, new_weight = (part.mT for part in _parts(recurrent[0], 2, 1))
        into = torch.empty_like(gates)
        of_own = torch.empty_like(own) if self.reset_after else _parts(into, 2, 1)[1]
        for time in reversed(range(into.shape[1])):
            (of_hidden,) = back.at(time)
            reset, update, new = gates[:, time].chunk(3, dim=-1)
            of_gates, of_new = _parts(into[:, time], 2, 1)
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
        of_gates = _parts(into, 2, 1)[0]
        of_weight = [_of_weight(before, of_gates), _of_weight(before if self.reset_after else own, of_own)]
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


def sequence(
    cell: Cell, x: Tensor, start: Tensors, kept: Tensor | None, ends: Tensor | None, weights: dict[str, Tensor]
) -> Tensors:
    """Run cells along ``x`` ``[S, T, B, F]``.

    Args:
        cell: what kind.
        x: the inputs.
        start: the state before.
        kept: ``[S, T, B, 1]``, zero where the state is set to zero before a step.
        ends: the last step of each sequence ``[S, B, 1]`` int64; the last of all by default.
        weights: the parameters ``[S, ...]`` by name.

    Returns:
        The outputs ``[S, T, B, H]``, and of the other parts of the state what they are at the end ``[S, B, H]``.
    """
    compiling = torch.compiler.is_compiling()
    if kept is None and ends is None and cell.is_torchs(x.device) and not compiling:
        own = [weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if x.is_cuda:  # cuDNN wants them so
            own, start = [part.contiguous() for part in own], tuple(part.contiguous() for part in start)
        states, parameters = (zip(*(part.unbind() for part in parts), strict=True) for parts in (start, own))
        rows = zip(x.unbind(), states, parameters, strict=True)
        return tuple(map(_stack, zip(*(cell.whole(*row) for row in rows), strict=True)))
    run = _steps if compiling else _Sequence.apply
    return run(cell, x, kept, ends, weights["weight_ih"], weights["bias_ih"], *start, *cell.recurrent(weights))


def _steps(
    cell: Cell,
    x: Tensor,
    kept: Tensor | None,
    ends: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    *tensors: Tensor,
) -> Tensors:
    """Step after step by the definition, for compilers."""
    into, states, state, recurrent = _into(x, weight, bias), [], tensors[: cell.parts], tensors[cell.parts :]
    for time in range(x.shape[1]):
        if kept is not None:
            state = tuple(part * kept[:, time] for part in state)
        state = cell.step(into[:, time], state, recurrent)
        states.append(state)
    outputs, *others = (torch.stack(part, dim=1) for part in zip(*states, strict=True))
    return outputs, *(at_ends(part, ends) for part in others)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        x: Tensor,
        kept: Tensor | None,
        ends: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        *tensors: Tensor,
    ) -> Tensors:
        start, recurrent = tensors[: cell.parts], tensors[cell.parts :]
        tracks = [Track(part, x.shape[1], kept) for part in start]
        saved = cell.run(_into(x, weight, bias), tracks, recurrent)
        before, after = tuple(track.before for track in tracks), tuple(track.after for track in tracks)
        ctx.cell, ctx.count = cell, len(saved)
        ctx.save_for_backward(x, kept, ends, weight, *before, *after, *saved, *recurrent)
        return after[0], *(at_ends(part, ends) for part in after[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, *of_last: Tensor) -> tuple[Tensor | None, ...]:
        cell: Cell = ctx.cell
        x, kept, ends, weight, *rest = ctx.saved_tensors
        before, after, saved, recurrent = _take(rest, cell.parts, cell.parts, ctx.count)
        run = Run(before, after, saved, kept)
        back = Back(run, of_outputs, of_last, ends)
        of_into, of_recurrent = cell.back(run, back, recurrent)
        of_x = torch.bmm(of_into.flatten(1, 2), weight).view_as(x) if ctx.needs_input_grad[1] else None
        of_weight = _of_weight(x, of_into).mT
        return None, of_x, None, None, of_weight, of_into.sum(dim=(1, 2)), *back.parts, *of_recurrent


def at_ends(states: Tensor, ends: Tensor | None) -> Tensor:
    """Of ``[S, T, B, H]`` what is at the step ``ends`` ``[S, B, 1]``, or at the last, ``[S, B, H]``."""
    if ends is None:
        return states[:, -1].clone()
    return states.gather(1, ends.unsqueeze(1).expand(-1, 1, -1, states.shape[-1])).squeeze(1)


def _stack(rows: Tensors) -> Tensor:
    """``[S, ...]`` from a tensor for each network, without a copy where there is but one."""
    return torch.stack(rows) if len(rows) > 1 else rows[0].unsqueeze(0)


def _take(tensors: Sequence[Tensor], *counts: int) -> Iterator[Tensors]:
    """So many of the tensors one after the other, and then the rest."""
    first = 0
    for count in counts:
        yield tuple(tensors[first : first + count])
        first += count
    yield tuple(tensors[first:])


def _into(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The part of all steps that does not depend on the state, at once: ``[S, T, B, G]``."""
    return torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weight.mT).unflatten(1, x.shape[1:3])


def _of_weight(x: Tensor, of_products: Tensor) -> Tensor:
    """The gradient of weights ``[S, F, G]``, summed over steps and sequences."""
    return torch.bmm(x.flatten(1, 2).mT, of_products.flatten(1, 2))


def _parts(numbers: Tensor, *shares: int) -> Tensors:
    """The last axis taken apart."""
    one = numbers.shape[-1] // sum(shares)
    return numbers.split([one * share for share in shares], dim=-1)


def _uniform(hidden: int, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Numbers as torch draws them for recurrent layers."""
    bound = hidden**-0.5
    return {name: torch.empty(shape).uniform_(-bound, bound) for name, shape in shapes.items()}


def _log_durations(count: int, steps: int) -> Tensor:
    """Logarithms of numbers between 1 and ``steps - 1``."""
    return torch.empty(count).uniform_(1.0, max(steps - 1.0, 1.0)).log()
