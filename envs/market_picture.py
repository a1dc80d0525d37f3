"""Pictures of market environments: price, position and profit so far, each over the steps of the episode."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_INK, _OWN, _OTHER = "0.25", "#0072b2", "#d55e00"


def begin(first: Sequence[Tensor], steps: int) -> Tensor:
    """The lines ``[N, L, steps + 1]`` of an episode that begins, of L first values ``[N]``."""
    return F.pad(torch.stack(list(first), dim=-1).unsqueeze(-1), (0, steps))


def record(lines: Tensor, step: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The lines with L values ``[N]`` at each row's step ``[N]``."""
    here = torch.arange(lines.shape[-1], device=lines.device) == step.view(-1, 1, 1)
    return torch.where(here, torch.stack(list(values), dim=-1).unsqueeze(-1), lines)


def draw(panels: Mapping[str, Mapping[str, Tensor]], steps: int) -> np.ndarray:
    """Panels by the names of their axes, each with its lines ``[T]`` by name; uint8 ``[height, width, 3]``.

    The first line of a panel is the episode's so far, and ends in a dot; others are what it is compared with.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes half a second to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=100)  # laid out by hand, which is several times as quick
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        (name, own), *others = lines.items()
        for other_name, line in others:
            axis.plot(line.numpy(), color=_OTHER, linewidth=1.2, label=other_name)
        axis.plot(own.numpy(), color=_OWN, linewidth=1.6, label=name)
        axis.plot(len(own) - 1, float(own[-1]), "o", color=_OWN, markersize=5)
        axis.set_xlim(-0.02 * steps, 1.02 * steps)
        axis.set_ylabel(label, color=_INK, fontsize="small")
        axis.grid(color="0.92", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize="small")
        if others:
            axis.legend(frameon=False, fontsize="x-small", loc="best")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel("step", color=_INK, fontsize="small")
    figure.subplots_adjust(left=0.15, right=0.97, top=0.97, bottom=0.1, hspace=0.15)
    figure.align_ylabels()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
