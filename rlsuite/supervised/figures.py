"""Figures of supervised experiments: pictures in a grid, heat maps, curves, scatter plots."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.tracking.plots import quiet_matplotlib, write_figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("--", ":", "-.")
_DPI = 140
# A character of a text takes whole pixels, since it is drawn at whole pixels; DejaVu Sans Mono's are 0.602 of its size.
_COLUMN_INCHES, _LINE_INCHES = 10 / _DPI, 0.16
_POINTS = 72.0 * _COLUMN_INCHES / 0.602


@contextmanager
def figure(
    path: Path, width_inches: float, height_inches: float, rows: int = 1, columns: int = 1
) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes ``[rows, columns]``, written to ``path`` on leaving."""
    quiet_matplotlib()
    from matplotlib.figure import Figure  # takes half a second to import

    drawn = Figure(figsize=(width_inches, height_inches), dpi=_DPI, layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False)
    yield drawn, axes
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(drawn, path)


def heat_map(
    path: Path,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    texts: np.ndarray | None = None,
    x_label: str = "",
    y_label: str = "",
    title: str = "",
) -> None:
    """Draw values ``[R, C]`` in [0, 1] as colours, with texts in the cells if given."""
    width, height = 1.6 + 0.42 * len(columns), 1.2 + 0.36 * len(rows)
    with figure(path, max(width, 3.2), max(height, 2.6)) as (_, axes):
        axis = axes[0, 0]
        axis.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
        axis.set_xticks(range(len(columns)), columns, rotation=45 if max(map(len, columns)) > 2 else 0, ha="right")
        axis.set_yticks(range(len(rows)), rows)
        for text in (*axis.get_xticklabels(), *axis.get_yticklabels()):
            text.set_parse_math(False)
        for (row, column), text in np.ndenumerate(texts) if texts is not None else ():
            colour = "white" if values[row, column] > 0.5 else "0.2"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_title(title, fontsize="medium", loc="left")


def picture_grid(
    path: Path, pictures: np.ndarray, columns: int, titles: Sequence[str] = (), title: str = "", scale: float = 1.0
) -> None:
    """Draw pictures ``[N, H, W]`` (grey) or ``[N, H, W, 3]`` in rows, each between its own extremes."""
    pictures = np.stack([_between_extremes(picture) for picture in pictures])
    rows = -(-len(pictures) // columns)
    if not titles:  # one picture is drawn much quicker than many
        pictures, rows, columns, scale = _mosaic(pictures, rows, columns)[None], 1, 1, scale * columns
    height, width = pictures.shape[1:3]
    size = scale * columns, scale * rows * height / width * (1.25 if titles else 1.0) + 0.3
    with figure(path, *size, rows, columns) as (drawn, axes):
        for place, axis in enumerate(axes.flat):
            axis.axis("off")
            if place < len(pictures):
                axis.imshow(pictures[place], cmap="gray", vmin=0.0, vmax=1.0)
                if titles:
                    axis.set_title(titles[place], fontsize="small")
        drawn.suptitle(title, fontsize="medium" if size[0] > 5.0 else "small")


def _between_extremes(picture: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture, dtype=np.float64)
    low, high = picture.min(), picture.max()
    return (picture - low) / max(high - low, 1e-12)


def _mosaic(pictures: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Pictures ``[N, H, W, ...]`` side by side in one ``[rows * H', columns * W', ...]``, with white between them."""
    gap = max(pictures.shape[2] // 14, 1)
    missing = rows * columns - len(pictures)
    around = [(0, missing), (0, gap), (0, gap)] + [(0, 0)] * (pictures.ndim - 3)
    padded = np.pad(pictures, around, constant_values=1.0)
    tiles = padded.reshape(rows, columns, *padded.shape[1:]).swapaxes(1, 2)
    return tiles.reshape(rows * padded.shape[1], columns * padded.shape[2], *padded.shape[3:])


def curves(
    path: Path,
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    x_label: str,
    y_label: str,
    title: str = "",
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draw named lines ``(x, y)``, and named horizontal levels."""
    with figure(path, 6.4, 4.0) as (_, axes):
        axis = axes[0, 0]
        for place, (name, (x, y)) in enumerate(lines.items()):
            axis.plot(x, y, label=name, color=COLOURS[place % len(COLOURS)], linewidth=1.5)
        for place, (name, level) in enumerate((levels or {}).items()):
            axis.axhline(level, label=name, color="0.5", linestyle=_DASHES[place % len(_DASHES)], linewidth=1.0)
        if log_y:
            axis.set_yscale("log")
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_title(title, fontsize="medium", loc="left")
        axis.grid(color="0.9", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small")


def coloured_texts(path: Path, texts: Mapping[str, tuple[str, np.ndarray]], title: str = "") -> None:
    """Draw texts, each under its heading, with every character's number in [-1, 1] as its colour."""
    grids = {heading: _grid(*text) for heading, text in texts.items()}
    width = _COLUMN_INCHES * max(values.shape[1] for _, values in grids.values())
    heights = [_LINE_INCHES * len(lines) for lines, _ in grids.values()]
    whole = width + 1.0, sum(heights) + 0.4 * len(heights) + 0.3
    with figure(path, *whole, len(grids)) as (drawn, axes):
        drawn.set_layout_engine("none")  # a line is one text, under which its characters' colours must lie exactly
        top = whole[1] - 0.3
        for axis, height, (heading, (lines, values)) in zip(axes[:, 0], heights, grids.items(), strict=True):
            top -= 0.4 + height
            own = _COLUMN_INCHES * values.shape[1]
            axis.set_position((0.1 / whole[0], (top + 0.1) / whole[1], own / whole[0], height / whole[1]))
            colours = axis.imshow(values, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto", alpha=0.55)
            for row, line in enumerate(lines):
                text = axis.text(-0.5, row, line, va="center_baseline", fontsize=_POINTS, family="DejaVu Sans Mono")
                text.set_parse_math(False)
            axis.axis("off")
            axis.set_title(heading, fontsize="small", loc="left")
        bar = drawn.add_axes(((width + 0.3) / whole[0], 0.2 / whole[1], 0.1 / whole[0], 1.0 - 0.6 / whole[1]))
        drawn.colorbar(colours, cax=bar).ax.tick_params(labelsize="small")
        drawn.suptitle(title, fontsize="medium")


def _grid(text: str, values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The lines of a text, each with its end as a blank, and the values ``[lines, columns]``, NaN where nothing is."""
    lines = [line.replace("\n", " ") for line in text.splitlines(keepends=True)]
    grid = np.full((len(lines), max(map(len, lines))), np.nan)
    first = 0
    for row, line in enumerate(lines):
        grid[row, : len(line)] = values[first : first + len(line)]
        first += len(line)
    return lines, grid


def scatter(path: Path, points: Mapping[str, np.ndarray], labels: np.ndarray, names: Sequence[str]) -> None:
    """Draw points ``[N, 2]`` side by side, each with its title, coloured by their class ``[N]``."""
    quiet_matplotlib()
    from matplotlib import colormaps

    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    with figure(path, 5.2 * len(points) + 1.2, 5.2, 1, len(points)) as (_, axes):
        for axis, (title, own) in zip(axes[0], points.items(), strict=True):
            for number, name in enumerate(names):
                x, y = own[labels == number].T
                axis.scatter(x, y, s=4, label=name, color=colours[number % len(colours)], linewidths=0)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(title, fontsize="medium", loc="left")
        axis.legend(frameon=False, fontsize="small", markerscale=3, loc="center left", bbox_to_anchor=(1.0, 0.5))


def regions(
    path: Path,
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    classify: Callable[[np.ndarray], np.ndarray],
    title: str = "",
    axes_labels: tuple[str, str] = ("", ""),
) -> None:
    """Draw points ``[N, 2]`` of classes ``[N]``, and the parts of the plane that are taken for each class.

    Args:
        classify: the classes ``[M]`` of points ``[M, 2]``.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = (np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], 300) for axis in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    found = classify(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    with figure(path, 5.2, 4.2) as (_, axes):
        axis = axes[0, 0]
        edges = np.arange(len(names) + 1) - 0.5
        axis.contourf(x, y, found, levels=edges, colors=COLOURS[: len(names)], alpha=0.2)
        for number, name in enumerate(names):
            own = points[labels == number]
            axis.scatter(own[:, 0], own[:, 1], s=18, label=name, color=COLOURS[number], linewidths=0)
        axis.set_xlabel(axes_labels[0])
        axis.set_ylabel(axes_labels[1])
        axis.set_title(title, fontsize="medium", loc="left")
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
