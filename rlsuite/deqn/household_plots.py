"""Plots of economies with many households, beside a reference: choices, distribution, aggregate capital."""

from typing import TYPE_CHECKING

from rlsuite.deqn.plots import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rlsuite.deqn.references.krusell_smith import Array


def consumption(capital: "Array", own: "Array", reference: "Array") -> "Figure":
    """Consumption ``[regime, job, P]`` over a household's capital ``[P]``: for all, and where few have so little."""
    figure, panels = new_figure(2)
    for axes, shown in zip(panels, (capital <= capital[-1], capital < 5), strict=True):
        for regime, style in enumerate(("--", "-")):
            for job, color in enumerate(COLORS[:2]):
                label = f"{'with' if job else 'without'} a job, {'good' if regime else 'bad'} times"
                axes.plot(capital[shown], own[regime, job, shown], color=color, linestyle=style, label=label)
                axes.plot(capital[shown], reference[regime, job, shown], ".", color="0.3", markersize=3, zorder=3)
        axes.set_xlabel("capital of the household")
        axes.grid(color="0.9", linewidth=0.8)
    panels[0].set_ylabel("consumption")
    panels[1].legend(frameon=False, fontsize="small", title="lines: network, dots: reference", title_fontsize="small")
    return figure


def distribution(bins: "Array", own: "Array", reference_bins: "Array", reference: "Array") -> "Figure":
    """The average density of capital over households, plain and with a logarithmic axis for its tails."""
    figure, panels = new_figure(2)
    for axes in panels:
        axes.plot(bins, own, color=COLORS[0], label="network")
        axes.plot(reference_bins, reference, color=COLORS[1], linestyle="--", label="reference")
        axes.set_xlabel("capital of the household")
        axes.grid(color="0.9", linewidth=0.8)
    panels[1].set_yscale("log")
    panels[1].set_ylim(1e-8, 1e-1)
    panels[0].set_ylabel("density")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def capital(own: "Array", reference: "Array") -> "Figure":
    """Aggregate capital ``[T]`` on one path of regimes, and the distance between the two."""
    figure, (levels, gaps) = new_figure(2)
    levels.plot(own, color=COLORS[0], label="network")
    levels.plot(reference, color=COLORS[1], linestyle="--", label="reference")
    levels.set_ylabel("aggregate capital")
    levels.legend(frameon=False, fontsize="small")
    gaps.plot(100 * (own / reference - 1), color=COLORS[0])
    gaps.set_ylabel("distance (%)")
    for axes in (levels, gaps):
        axes.set_xlabel("quarters")
        axes.grid(color="0.9", linewidth=0.8)
    return figure
