import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlsuite.tracking.plots import Curve, learning_curve


def curve(label: str = "dqn", seeds: int = 10, points: int = 20) -> Curve:
    steps = np.linspace(1_000, 50_000, points)
    noise = np.random.default_rng(0).normal(0.0, 10.0, size=(seeds, points))
    return Curve(label, steps, steps / 100 + noise)


def pixels_of_color(path: Path, color: tuple[int, int, int]) -> int:
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(picture - color).max(axis=-1) < 8).sum())


BLUE, BAND = (0, 114, 178), (204, 227, 240)  # the first colour, and the same at a fifth of its strength


def test_line_and_band_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curve.png"
    learning_curve(path, [curve()], title="dqn on CartPole-v1")
    assert pixels_of_color(path, BLUE) > 500
    assert pixels_of_color(path, BAND) > 1_000


def test_one_seed_has_no_band(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    learning_curve(path, [curve(seeds=1)])
    assert pixels_of_color(path, BLUE) > 500
    assert pixels_of_color(path, BAND) < 300


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_single_point_is_visible(tmp_path: Path, seeds: int) -> None:
    path = tmp_path / "curve.png"
    learning_curve(path, [curve(seeds=seeds, points=1)])
    line_in_legend = 200
    assert pixels_of_color(path, BLUE) > line_in_legend


def test_seeds_that_start_late_do_not_matter(tmp_path: Path) -> None:
    path, late = tmp_path / "curve.png", curve()
    late.values[:, :3] = np.nan
    late.values[4, :10] = np.nan
    learning_curve(path, [late])
    assert pixels_of_color(path, BAND) > 1_000


def test_many_runs_get_a_legend_below(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    learning_curve(few, [curve(f"run {index}") for index in range(2)])
    learning_curve(many, [curve(f"run {index}") for index in range(9)])
    assert Image.open(few).size == Image.open(many).size == (1024, 640)

    def lowest_line(path: Path) -> int:
        dark_pixels = (np.asarray(Image.open(path).convert("L")) < 64).sum(axis=1)
        return int(np.flatnonzero(dark_pixels > 500).max())

    assert lowest_line(many) < lowest_line(few) - 50  # the x axis makes room


def test_pdf(tmp_path: Path) -> None:
    learning_curve(tmp_path / "curve.pdf", [curve()])
    assert (tmp_path / "curve.pdf").read_bytes().startswith(b"%PDF")


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png or \.pdf, not in '\.jpeg'"):
        learning_curve(tmp_path / "curve.jpeg", [curve()])


@pytest.mark.parametrize("curves", [[], [Curve("dqn", np.array([1.0]), np.array([[np.nan]]))]])
def test_nothing_to_draw_is_refused(tmp_path: Path, curves: list[Curve]) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        learning_curve(tmp_path / "curve.png", curves)


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import sys, numpy; from rlsuite.tracking.plots import Curve, learning_curve;"
        f"learning_curve({str(tmp_path / 'curve.png')!r}, [Curve('a', numpy.arange(3.0), numpy.ones((2, 3)))]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"


@pytest.mark.parametrize("name", ["a$b$c_^{", "_private", "naïve 走る", "\\frac", "x" * 300])
def test_names_are_drawn_as_they_are(tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        learning_curve(tmp_path / "named.png", [curve(name)], title=name)
        learning_curve(tmp_path / "plain.png", [curve("plain")], title="plain")
    assert pixels_of_color(tmp_path / "named.png", BLUE) > 500


def test_a_name_that_begins_with_an_underscore_has_its_place_in_the_legend(tmp_path: Path) -> None:
    learning_curve(tmp_path / "with.png", [curve("_run", seeds=1)])
    learning_curve(tmp_path / "without.png", [curve("", seeds=1)])
    assert pixels_of_color(tmp_path / "with.png", (0, 0, 0)) > pixels_of_color(tmp_path / "without.png", (0, 0, 0))


def test_a_figure_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "curve.png"
    learning_curve(path, [curve()])
    before = path.read_bytes()

    def write_half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        learning_curve(path, [curve("other")])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_matplotlib_says_nothing_where_it_has_no_place_for_its_cache(tmp_path: Path) -> None:
    script = (
        "import numpy; from rlsuite.tracking.plots import Curve, learning_curve;"
        f"learning_curve({str(tmp_path / 'curve.png')!r}, [Curve('走', numpy.arange(3.0), numpy.ones((2, 3)))])"
    )
    (tmp_path / "file").touch()
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path / "file" / "none")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "curve.png").exists()
