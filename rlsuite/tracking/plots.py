"""Learning curves as figures."""

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlsuite.tracking.statistics import aggregate_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

# Okabe and Ito's palette: people with any kind of colour-blindness can tell these apart.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")  # change when the colours have been used up
_FEW_SEEDS = 5
_LONGEST_NAME = 60
_LEGEND_INSIDE = 6  # curves; longer legends, and those of long labels, go below
_LONG_LABEL = 40


@dataclass(frozen=True)
class Curve:
    """One run's course."""

    label: str
    steps: np.ndarray  # [T], in the unit of the figure's x axis
    values: np.ndarray  # [S, T], NaN where a seed has no value


def learning_curve(
    path_out: Path | str,
    curves: Sequence[Curve],
    y_label: str = "return",
    x_label: str = "env steps",
    title: str = "",
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draw the IQM over seeds of every curve, with a 95 % bootstrap band.

    Runs with few seeds show each seed as a thin line too; a run with one seed is a line without a band.

    Args:
        path_out: the file; ``.png`` or ``.pdf`` by its suffix.
        curves: at least one.
        y_label, x_label: names of the axes, with their units.
        title: printed above.
        levels: horizontal lines, by name.

    Raises:
        ValueError: the suffix is not known, or there is nothing to draw.
    """
    path = Path(path_out)
    check_suffix(path)
    if not any(np.isfinite(curve.values).any() for curve in curves):
        raise ValueError("there is nothing to draw: no curve has a finite value")
    figure, axes = new_figure()
    from matplotlib.ticker import EngFormatter

    for index, curve in enumerate(curves):
        _draw(axes, curve, *style(index))
    for name, level in (levels or {}).items():
        axes.axhline(level, label=_short(name), color="0.5", linestyle="--", linewidth=1.0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    is_long = max(len(curve.label) for curve in curves) > _LONG_LABEL
    if len(curves) > _LEGEND_INSIDE or (is_long and len(curves) > 1):
        columns = 1 if is_long else 2
        legend = figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
    else:
        legend = axes.legend(loc="best", frameon=False, fontsize="small")
    if any(len(curve.values) > 1 for curve in curves):
        legend.set_title("IQM over seeds, 95 % band")
        legend.get_title().set_fontsize("small")
        legend.set_alignment("left")
    dress(axes, legend, x_label, y_label, _short(title))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(figure, path)


def new_figure() -> "tuple[Figure, Axes]":
    """A figure of its own, not pyplot's: nothing global changes, and no window system is touched."""
    quiet_matplotlib()
    from matplotlib.figure import Figure  # takes half a second to import

    figure = Figure(figsize=(6.4, 4.0), dpi=160, layout="constrained")
    return figure, figure.add_subplot()


def style(index: int) -> tuple[str, str]:
    """Colour and dashes of the line of that number."""
    return _COLORS[index % len(_COLORS)], _DASHES[index // len(_COLORS) % len(_DASHES)]


def dress(axes: "Axes", legend: "Legend", x_label: str, y_label: str, title: str) -> None:
    """Name the axes, and give them the look of all figures of scores."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for text in (axes.title, *legend.get_texts()):
        text.set_parse_math(False)  # a dollar sign in a run's name is one


def check_suffix(path: Path) -> None:
    """Raise ``ValueError`` where a figure cannot be written to a file of such a name."""
    if path.suffix.lower() not in (".png", ".pdf"):
        raise ValueError(f"a figure's file name ends in .png or .pdf, not in {path.suffix!r}: {path}")


def quiet_matplotlib() -> None:
    """Keep its warnings of caches, fonts and missing characters to itself; to be called before it is imported."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)


def write_figure(figure: "Figure", path: Path) -> None:
    """Draw a figure and write it to a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower())
    unfinished = path.with_name(f".{path.name}")
    try:
        unfinished.write_bytes(picture.getvalue())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _short(name: str) -> str:
    """A name that leaves room for the curves."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _draw(axes: "Axes", curve: Curve, color: str, dashes: str) -> None:
    num_seeds = len(curve.values)
    label = f"{curve.label} ({num_seeds} seeds)" if num_seeds > 1 else curve.label
    label = _short(f" {label}" if label.startswith("_") else label)  # an underscore would keep it out of the legend
    middle, low, high = aggregate_curve(curve.values)
    marker = "o" if len(curve.steps) == 1 else ""  # a line through one point cannot be seen
    axes.plot(curve.steps, middle, color=color, linestyle=dashes, marker=marker, linewidth=1.8, label=label)
    axes.fill_between(curve.steps, low, high, color=color, alpha=0.2, linewidth=0)
    if 1 < num_seeds <= _FEW_SEEDS:
        axes.plot(curve.steps, curve.values.T, color=color, linewidth=0.6, alpha=0.4)
