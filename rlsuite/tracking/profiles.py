"""Performance profiles: the share of seeds that scored more than each score (Agarwal et al., 2021).

Where one profile lies above another everywhere, its agent is better whatever score one asks for. Learning curves show
only the middle of the seeds.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rlsuite.tracking.plots import check_suffix, dress, new_figure, style, write_figure
from rlsuite.tracking.statistics import performance_profile

_POINTS = 200


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
    figure, axes = new_figure()
    margin = 0.02 * (np.ptp(everything) or 1.0)
    thresholds = np.linspace(everything.min() - margin, everything.max() + margin, _POINTS)
    for index, (name, own) in enumerate(scores.items()):
        color, dashes = style(index)
        share, low, high = performance_profile(own, thresholds)
        axes.plot(thresholds, share, color=color, linestyle=dashes, linewidth=1.8, label=f"{name} ({len(own)} seeds)")
        axes.fill_between(thresholds, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set_ylim(0, 1.02)
    legend = axes.legend(loc="best", frameon=False, fontsize="small")
    dress(axes, legend, x_label, "share of seeds above", title)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(figure, path)
