"""The progress of a run as a panel for the terminal."""

import math

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rlsuite.tracking.progress import Progress
from rlsuite.tracking.text import duration_text, number_text, range_text, rate_text

_WIDEST = 100
_NARROW = 72  # below this width, only the most important lines are shown
_STACKED = 56  # below this width, all parts stand in one column
_SPARKS = "▁▂▃▄▅▆▇█"
# From Okabe and Ito's palette, which people with colour-blindness can tell apart.
_SECTION_COLORS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442")


def progress_panel(progress: Progress, title: str, footer: str, width: int) -> Panel:
    """The panel, ``width`` columns or less; its height does not depend on what is known yet."""
    width = min(width, _WIDEST)
    inside = width - 4
    bar, place = _bar(progress)
    rows: list[RenderableType] = [
        _beside(inside, bar, place),
        Text(),
        _beside(inside, _headlines(progress, inside), _pace(progress)),
        Text(),
        *_time_split(progress, inside),
    ]
    return Panel(
        Group(*rows),
        title=Text(title, style="bold"),
        title_align="left",
        subtitle=Text(footer, style="dim"),
        subtitle_align="right",
        border_style="bright_black",
        box=box.ROUNDED,
        width=width,
        padding=(0, 1),
    )


def _beside(width: int, left: RenderableType, right: RenderableType) -> RenderableType:
    """Two things side by side where there is room, else one below the other."""
    table = Table.grid(expand=True, padding=(0, 2))
    table.add_column(ratio=1)
    if width < _STACKED:
        table.add_row(left)
        table.add_row(right)
    else:
        table.add_column(justify="right")
        table.add_row(left, right)
    return table


def _bar(progress: Progress) -> tuple[RenderableType, RenderableType]:
    bar = ProgressBar(total=1.0, completed=progress.fraction, style="bright_black", complete_style="#56b4e9")
    place = Text.assemble(
        (f"{100 * progress.fraction:3.0f} %", "bold"), f"  {progress.place}", no_wrap=True, overflow="ellipsis"
    )
    return bar, place


def _headlines(progress: Progress, width: int) -> RenderableType:
    """One row a headline: its name, mean over seeds, range over seeds, and its course over the run."""
    with_range = progress.num_seeds > 1 and width >= _NARROW
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", style="bold", min_width=7)
    table.add_column(style="dim", no_wrap=True, min_width=18 if with_range else 0)
    table.add_column(style="#56b4e9", no_wrap=True)
    for name, label in progress.headlines.items():
        values = progress.latest.get(name, np.array([math.nan]))
        spread = range_text(values) if with_range and values.min() < values.max() else ""
        table.add_row(
            label, number_text(values.mean()), spread, sparkline(progress.courses[name].points, min(24, width - 66))
        )
    return table


def _pace(progress: Progress) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", min_width=7)
    if progress.axis == "env_steps":
        table.add_row("env steps/s", rate_text(progress.per_second("env_steps")))
    table.add_row("updates/s", rate_text(progress.per_second("updates")))
    table.add_row("elapsed", duration_text(progress.clock.wall_seconds))
    table.add_row("left", duration_text(progress.seconds_left))
    return table


def _time_split(progress: Progress, width: int) -> list[RenderableType]:
    """Return a bar of the wall time spent in each section, and its legend."""
    if not progress.time_fractions:
        return [Text("━" * width, style="bright_black"), Text("where the time goes", style="dim")]
    sections = list(progress.time_fractions.items())
    bar, legend = Text(no_wrap=True), Text(no_wrap=True, overflow="ellipsis")
    shares = [*sections, ("other", max(0.0, 1.0 - sum(progress.time_fractions.values())))]
    ends = np.cumsum([share for _, share in shares])
    places = np.round(width * ends / max(1.0, ends[-1])).astype(int)
    for index, (section, share) in enumerate(shares):
        color = _SECTION_COLORS[index % len(_SECTION_COLORS)] if index < len(sections) else "bright_black"
        bar.append("━" * (places[index] - (places[index - 1] if index else 0)), style=color)
        legend.append("   ■ " if index else "■ ", style=color)
        legend.append(f"{section} {100 * share:.0f} %", style="dim")
    return [bar, legend]


def sparkline(values: list[float], width: int) -> str:
    """The course of a metric in ``width`` characters or less; long courses are averaged."""
    if len(values) < 2 or width < 2:
        return ""
    heights = np.array([part.mean() for part in np.array_split(np.array(values), min(width, len(values)))])
    low, high = heights.min(), heights.max()
    levels = (heights - low) / (high - low if high > low else 1.0) * (len(_SPARKS) - 1)
    return "".join(_SPARKS[round(level)] for level in levels)
