"""Performance profiles, by hand and as pictures."""

from pathlib import Path

import numpy as np
import pytest

from rlsuite.tracking.profiles import draw_profiles
from rlsuite.tracking.statistics import performance_profile


def test_it_is_the_share_above_each_score() -> None:
    share, low, high = performance_profile([1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 3.5, 4.0])
    assert share.tolist() == [1.0, 0.5, 0.25, 0.0]
    assert low.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert high.tolist() == [1.0, 1.0, 0.75, 0.0]


def test_the_band_covers_the_truth_about_as_often_as_promised() -> None:
    covered = 0
    for number in range(200):
        scores = np.random.default_rng(number).uniform(size=40)
        _, low, high = performance_profile(scores, [0.5])
        covered += bool(low[0] <= 0.5 <= high[0])
    assert 180 <= covered <= 200


def test_they_are_drawn(tmp_path: Path) -> None:
    draw_profiles(tmp_path / "profile.pdf", {"a": np.arange(4.0), "b $x$": np.full(3, 2.0)}, "score", "title")
    assert (tmp_path / "profile.pdf").read_bytes().startswith(b"%PDF")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ends in .png or .pdf"):
        draw_profiles(tmp_path / "profile.gif", {"a": np.arange(4.0)})
    with pytest.raises(ValueError, match="all finite"):
        draw_profiles(tmp_path / "profile.png", {"a": np.array([1.0, np.nan])})
