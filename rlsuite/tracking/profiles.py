"""Performance profiles: the share of seeds that scored more than each score (Agarwal et al., 2021).

Where one profile lies above another everywhere, its agent is better whatever score one asks for. Learning curves show
only the middle of the seeds.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rlsuite.tracking.plots import COLORS, DASHES, check_suffix, quiet_matplotlib, write_figure

_POINTS = 200
_RESAMPLES = 2_000


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of ``scores`` [S] above each of ``thresholds`` [T], with pointwise percentile bootstrap bands.

    Returns:
        share, low, high: [T] each, between 0 and 1.
    """
    above = np.asarray(scores, dtype=np.float64)[:, None] > np.asarray(thresholds)[None]
    count = len(above)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    tails = (1 - confidence) / 2
    low, high = np.quantile(draws @ above / count, [tails, 1 - tails], axis=0)
    return above.mean(axis=0), low, high


def draw_profiles(
    path_out: Path | str, scores: Mapping[str, np.ndarray], x_label: str = "score", title: str = ""
) -> None:
    """Draw the profiles of the scores [S] of several agents, by their names.

    Raises:
        ValueError: the file's suffix is not known, or a score is not finite.
    """
    path = Path(path_out)
    check_suffix(path)
    everything = np.concatenate(list(scores.values()))
    if not np.isfinite(everything).all():
        raise ValueError("a profile needs scores that are all finite")
    quiet_matplotlib()
    from matplotlib.figure import Figure  # takes half a second to import

    margin = 0.02 * (np.ptp(everything) or 1.0)
    thresholds = np.linspace(everything.min() - margin, everything.max() + margin, _POINTS)
    figure = Figure(figsize=(6.4, 4.0), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    for index, (name, own) in enumerate(scores.items()):
        color, dashes = COLORS[index % len(COLORS)], DASHES[index // len(COLORS) % len(DASHES)]
        share, low, high = performance_profile(own, thresholds)
        axes.plot(thresholds, share, color=color, linestyle=dashes, linewidth=1.8, label=f"{name} ({len(own)} seeds)")
        axes.fill_between(thresholds, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel("share of seeds above")
    axes.set_title(title, fontsize="medium", loc="left")
    axes.set_ylim(0, 1.02)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend = axes.legend(loc="best", frameon=False, fontsize="small")
    for text in (axes.title, *legend.get_texts()):
        text.set_parse_math(False)  # a dollar sign in a run's name is one
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(figure, path)
