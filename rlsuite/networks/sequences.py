"""Run recurrent cells along sequences: by torch's operation, by the hand-written gradient, or traced step by step."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rlsuite.networks.cell import Back, Cell, Run, Tensors, Track, weight_gradient


def along(
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
        of_weight = weight_gradient(x, of_into).mT
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
