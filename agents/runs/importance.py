"""A figure of how the trials of a search did by each option, the most important first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.runs.proposals import Trial
from agents.runs.search_space import Parameter
from rlsuite.tracking.plots import quiet_matplotlib, write_figure

_COLUMNS = 4
_COLOR, _TO_THE_END = "#0072b2", "#d55e00"  # Okabe and Ito's


def draw(
    path: Path,
    trials: Sequence[Trial],
    space: Sequence[Parameter],
    importance: Mapping[str, float],
    env_steps: int,
    title: str,
) -> None:
    """Draw the score of every trial after so many env steps over its values, one panel an option.

    Args:
        importance: the share of each option, by its label.
    """
    quiet_matplotlib()
    from matplotlib.figure import Figure  # takes half a second to import
    from matplotlib.ticker import NullFormatter

    scored = [one for one in trials if env_steps in one.scores]
    scores = [one.scores[env_steps] for one in scored]
    colors = [_TO_THE_END if one.state == "finished" else _COLOR for one in scored]
    ordered = sorted(space, key=lambda one: -importance.get(one.label, 0.0))
    columns = min(_COLUMNS, len(ordered))
    rows = -(-len(ordered) // columns)
    figure = Figure(figsize=(1.0 + 2.6 * columns, 0.6 + 2.6 * rows), dpi=160, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for panel, parameter in zip(panels, ordered, strict=False):
        values = [one.values[parameter.label] for one in scored]
        if parameter.choices:
            panel.set_xticks(range(len(parameter.choices)), parameter.choices)
            panel.set_xlim(-0.5, len(parameter.choices) - 0.5)
            values = [parameter.choices.index(value) for value in values]
        elif parameter.is_log:
            panel.set_xscale("log")
            panel.xaxis.set_minor_formatter(NullFormatter())
        panel.scatter(values, scores, s=20, color=colors, alpha=0.8, linewidths=0)
        panel.set_xlabel(parameter.label)
        panel.set_title(f"{100 * importance.get(parameter.label, 0.0):.0f} %", fontsize="medium", loc="left")
        panel.grid(color="0.9", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    for unused in panels[len(ordered) :]:
        unused.set_visible(False)
    figure.supylabel(f"score after {env_steps:,} env steps", fontsize="medium")
    figure.suptitle(title, fontsize="medium")
    write_figure(figure, path)
