"""Plots of a solution: training, policy, ergodic distribution and errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.certificate import reference_of
from rlsuite.deqn.model import Model, PolicyFunction, residuals
from rlsuite.deqn.simulation import simulate
from rlsuite.tracking.jsonl import Series, read_metrics
from rlsuite.tracking.plots import quiet_matplotlib, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: people with any kind of colour-blindness can tell these apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_BANDS = ((0.1, 99.9, 0.15), (10.0, 90.0, 0.35))  # percentiles and opacity
_TRACKS, _BURN_IN_PERIODS, _KEPT_PERIODS = 128, 300, 20
_MOST_PANELS = 4


def draw_all(folder: Path, model: Model, policy: PolicyFunction, seed: int, title: str) -> None:
    """Write ``training.png``, ``policy.png``, ``ergodic.png``, ``errors.png`` and the model's own to the run's folder.

    Args:
        policy: of states ``[B, D]``.
    """
    key = random.key(torch.tensor(seed), 2_000_003)
    with torch.no_grad():
        start = model.initial_state(random.key(key, 1), min(_TRACKS, model.certificate_paths))
        path = simulate(model, policy, start, random.key(key, 2), _BURN_IN_PERIODS + _KEPT_PERIODS)
        state = path[_BURN_IN_PERIODS:].flatten(0, 1)
        state = state[state.isfinite().all(dim=-1)]
        if len(state) == 0:
            return  # a policy that explodes has no distribution to show
        errors = {name: values.numpy(force=True) for name, values in residuals(model, policy, state, fine=True).items()}
        _save(_training(read_metrics(folder / "metrics.jsonl")), folder / "training.png", title)
        _save(_policy(model, policy, state), folder / "policy.png", title)
        for name, figure in model.figures(policy, state).items():
            _save(figure, folder / f"{name}.png", title)
    _save(_ergodic(model, state), folder / "ergodic.png", title)
    _save(_errors(errors), folder / "errors.png", title)


def draw_responses(responses: Mapping[str, Tensor], path: Path, names: Sequence[str] | None = None) -> None:
    """Write a figure of impulse responses ``[periods]``, of some series or the first few, to a file."""
    shown = list(names or list(responses)[:_MOST_PANELS])
    figure, panels = new_figure(len(shown))
    for axes, name in zip(panels, shown, strict=True):
        axes.axhline(0, color="0.7", linewidth=0.8)
        axes.plot(responses[name].numpy(force=True), color=COLORS[0])
        axes.set_xlabel("periods after the shock")
        axes.set_ylabel(name.replace("_", " "))
    _save(figure, path, "responses to a shock")


def new_figure(panels: int) -> tuple["Figure", Sequence["Axes"]]:
    quiet_matplotlib()
    from matplotlib.figure import Figure  # takes half a second to import

    # A figure of its own, not pyplot's: nothing global changes, and no window system is touched.
    figure = Figure(figsize=(3.8 * panels, 3.4), dpi=130, layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels)))


def _save(figure: "Figure", path: Path, title: str) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    write_figure(figure, path)


def _training(metrics: Mapping[str, Series]) -> "Figure":
    """Root mean squared residuals, by equation in the first phase, over updates and seconds."""
    figure, panels = new_figure(2)
    for axes, clock, label in zip(panels, ("updates", "wall_seconds"), ("updates", "wall seconds"), strict=True):
        for color, (name, series) in zip(
            COLORS, sorted((n, s) for n, s in metrics.items() if n.startswith("loss/")), strict=False
        ):
            at = getattr(series, clock)
            rms = np.log10(np.sqrt(np.maximum(series.values, 1e-40)))
            axes.plot(at, rms.T, color=color, linewidth=0.6, alpha=0.4)
            axes.plot(at, np.nanmedian(rms, axis=0), color=color, label=name.removeprefix("loss/").replace("_", " "))
        axes.set_xlabel(label)
        axes.grid(color="0.9", linewidth=0.8)
    panels[0].set_ylabel("log10 root mean squared residual")
    panels[1].legend(frameon=False, fontsize="small", title="median over seeds", title_fontsize="small")
    return figure


def _policy(model: Model, policy: PolicyFunction, state: Tensor) -> "Figure":
    """Each decision against the reference where there is one, else the first aggregate; coloured by the second."""
    decision, (true, _) = policy(state), reference_of(model)
    reference = None if true is None else true(state)
    (x_name, x), (color_name, color) = model.aggregates(state).items()
    shown = reference if reference is not None else decision
    series = [(name, values if values.ndim > 1 else values.unsqueeze(-1)) for name, values in shown.items()]
    columns = [(name, component, values.shape[-1]) for name, values in series for component in range(values.shape[-1])]
    picked = [columns[i] for i in np.linspace(0, len(columns) - 1, min(_MOST_PANELS, len(columns))).round().astype(int)]
    figure, panels = new_figure(len(picked))
    for axes, (name, component, count) in zip(panels, picked, strict=True):
        label = name.replace("_", " ") + (f" {component + 1}" if count > 1 else "")
        own = decision[name] if count == 1 else decision[name][..., component]
        if reference is None:
            across = x
            axes.set_xlabel(x_name.replace("_", " "))
            axes.set_ylabel(label)
        else:
            across = reference[name] if count == 1 else reference[name][..., component]
            axes.axline((across.mean().item(),) * 2, slope=1, color="0.7", linewidth=0.8, zorder=0)
            axes.set_xlabel(f"{label}, reference")
            axes.set_ylabel(f"{label}, network")
        points = axes.scatter(across, own, c=color, s=4, cmap="viridis", rasterized=True)
        axes.ticklabel_format(useOffset=False)
    figure.colorbar(points, ax=panels[-1], label=color_name.replace("_", " "))
    return figure


def _ergodic(model: Model, state: Tensor) -> "Figure":
    """Plot the ergodic distribution of two aggregates, together and each alone."""
    figure, (both, *alone) = new_figure(3)
    (x_name, x), (y_name, y) = model.aggregates(state).items()
    both.scatter(x, y, s=3, alpha=0.4, color=COLORS[0], rasterized=True)
    both.set_xlabel(x_name.replace("_", " "))
    both.set_ylabel(y_name.replace("_", " "))
    for axes, name, values, color in zip(alone, (x_name, y_name), (x, y), COLORS, strict=False):
        axes.hist(values.numpy(force=True), bins=60, density=True, color=color)
        axes.set_xlabel(name.replace("_", " "))
        axes.set_ylabel("density")
    return figure


def _errors(errors: Mapping[str, np.ndarray]) -> "Figure":
    """Histograms of the errors of each equation and, where it has components, their percentiles by component."""
    from matplotlib.ticker import MaxNLocator

    logs = {name: np.log10(np.maximum(np.abs(values), 1e-17)) for name, values in errors.items()}
    by_component = {name: values for name, values in logs.items() if values.ndim == 2}
    figure, panels = new_figure(1 + len(by_component))
    for color, (name, values) in zip(COLORS, logs.items(), strict=False):
        panels[0].hist(values.ravel(), bins=80, density=True, alpha=0.6, color=color, label=name.replace("_", " "))
    panels[0].set_xlabel("log10 Euler error")
    panels[0].set_ylabel("density")
    panels[0].legend(frameon=False, fontsize="small")
    for axes, color, (name, values) in zip(panels[1:], COLORS, by_component.items(), strict=False):
        component = np.arange(1, values.shape[1] + 1)
        for low, high, opacity in _BANDS:
            ends = np.percentile(values, [low, high], axis=0)
            axes.fill_between(component, *ends, color=color, alpha=opacity, linewidth=0, label=f"{low:g} to {high:g} %")
        axes.plot(component, np.median(values, axis=0), color=color, marker=".", label="median")
        axes.set_xlabel(f"{name.replace('_', ' ')}: age or country")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("log10 Euler error")
        axes.legend(frameon=False, fontsize="small")
    return figure
