import dataclasses

import numpy as np
import pytest

from rlsuite.tracking.watch_panel import (
    BACKGROUND,
    BAR,
    CHOSEN,
    PANEL,
    Bars,
    Frame,
    Histogram,
    Sliders,
    WatchPanel,
    pixels,
    scaled,
)

PICTURE = np.full((400, 600, 3), 255, np.uint8)


def example(action: Bars | Sliders, **changes: object) -> Frame:
    facts = {"return": "12.00", "env step": "34", "episode": "1 of 2", "seed": "0"}
    plain = Frame(PICTURE, "dqn on CartPole-v1", "a run", facts, action, "value", (0.5, 0.7, 0.6))
    return dataclasses.replace(plain, **changes)


def bars(count: int, chosen: int, values: np.ndarray | None = None) -> Bars:
    values = np.linspace(0.2, 0.8, count) if values is None else values
    return Bars("Q(s, a)", [f"action {index}" for index in range(count)], values, chosen, (0.0, 1.0))


def drawn(shown: Frame) -> np.ndarray:
    return pixels(WatchPanel().draw(shown))


def blobs(frame: np.ndarray, color: tuple[int, int, int], columns: slice) -> list[tuple[int, int]]:
    """First row and widest extent of each run of rows that have pixels of the colour within the columns."""
    counts = (frame[:, columns] == color).all(axis=-1).sum(axis=1)
    starts = np.flatnonzero((counts > 0) & (np.concatenate([[0], counts[:-1]]) == 0))
    ends = np.flatnonzero((counts > 0) & (np.concatenate([counts[1:], [0]]) == 0))
    return [(int(start), int(counts[start : end + 1].max())) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("chosen", [0, 2, 3])
def test_the_chosen_action_alone_is_marked_by_a_triangle_and_a_coloured_bar(chosen: int) -> None:
    frame = drawn(example(bars(4, chosen)))
    gutter, tracks = slice(600, 616), slice(735, 870)
    assert len(blobs(frame, CHOSEN, gutter)) == 1
    chosen_bar, *_ = blobs(frame, CHOSEN, tracks)  # the value's plot may come below
    above = [row for row, _ in blobs(frame, BAR, tracks)[:3] if row < chosen_bar[0]]
    assert len(above) == chosen


def test_bars_are_as_long_as_their_values_say() -> None:
    frame = drawn(example(bars(3, chosen=0, values=np.array([0.5, 0.25, 1.0]))))
    (_, chosen), *_ = blobs(frame, CHOSEN, slice(730, 882))
    (_, quarter), (_, whole), *_ = blobs(frame, BAR, slice(730, 882))
    assert whole == pytest.approx(2 * chosen, abs=2)
    assert whole == pytest.approx(4 * quarter, abs=2)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (18, 18), (22, 22)])
def test_every_action_has_its_row(count: int, rows: int) -> None:
    frame = drawn(example(bars(count, chosen=0)))
    assert frame.shape[0] <= 640
    plot = frame.shape[0] - 18 - 112
    bars_drawn = [row for row, _ in blobs(frame, BAR, slice(735, 745)) if row < plot]
    assert len(bars_drawn) == rows - 1


@pytest.mark.parametrize("chosen", [0, 59])
def test_too_many_actions_still_show_the_chosen_one(chosen: int) -> None:
    frame = drawn(example(bars(60, chosen)))
    assert frame.shape[0] == 640
    assert len(blobs(frame, CHOSEN, slice(600, 616))) == 1


def test_sliders_sit_where_their_values_are_between_the_bounds() -> None:
    low, high = np.array([-2.0, 0.0, -np.inf], np.float32), np.array([2.0, 1.0, np.inf], np.float32)

    def knobs(values: list[float]) -> list[float]:
        frame = drawn(example(Sliders("action", ["a", "b", "c"], np.array(values, np.float32), low, high), values=()))
        places = (frame[130:] == CHOSEN).all(axis=-1)
        return [float(np.flatnonzero(row.any(axis=0)).mean()) for row in np.array_split(places[22:100], 3)]

    left, middle, right = knobs([-2.0, 0.0, 5.0]), knobs([0.0, 0.5, 5.0]), knobs([9.0, 1.0, 5.0])
    assert left[0] == left[1] < middle[0] == middle[1] < right[0] == right[1]
    assert middle[0] == pytest.approx((left[0] + right[0]) / 2, abs=1)
    assert left[2] == middle[2] == right[2]  # without bounds there is no place to show


def test_the_plot_follows_the_values() -> None:
    rising = drawn(example(bars(2, 0), values=tuple(range(100))))
    falling = drawn(example(bars(2, 0), values=tuple(range(100, 0, -1))))
    top, bottom = slice(480 - 100, 480 - 70), slice(480 - 45, 480 - 18)
    now = slice(620 + 110, 620 + 170)  # where the line ends
    assert (rising[top, now] == CHOSEN).all(axis=-1).any()
    assert not (rising[bottom, now] == CHOSEN).all(axis=-1).any()
    assert (falling[bottom, now] == CHOSEN).all(axis=-1).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_drawn_all_the_same(bad: float) -> None:
    drawn(example(bars(3, 1, np.array([bad, 1.0, -bad])), values=(bad, 1.0, bad)))
    drawn(example(bars(3, 1), values=(bad, bad)))


@pytest.mark.parametrize("shape", [(210, 160), (84, 84), (33, 51), (480, 480), (1081, 1923), (2, 3)])
def test_sizes_are_even_and_sensible(shape: tuple[int, int]) -> None:
    height, width, _ = drawn(example(bars(2, 0), picture=np.zeros((*shape, 3), np.uint8))).shape
    assert height % 2 == width % 2 == 0
    assert 480 <= height <= 640 and 360 < width <= 1322


def test_small_pictures_grow_pixel_by_pixel() -> None:
    game = np.random.default_rng(0).integers(0, 256, (210, 160, 3), dtype=np.uint8)
    assert np.array_equal(pixels(scaled(game)), game.repeat(2, axis=0).repeat(2, axis=1))


def test_picture_panel_and_background_are_where_they_belong() -> None:
    frame = drawn(example(bars(2, 0)))
    assert frame.shape == (480, 960, 3)
    assert (frame[40:440, :600] == 255).all()
    assert (frame[:40, :600] == BACKGROUND).all() and (frame[440:, :600] == BACKGROUND).all()
    assert (frame[:, -1] == PANEL).all()
    assert not np.array_equal(frame[:40, :600], drawn(example(bars(2, 0), note="terminated"))[:40, :600])


def test_long_names_stay_in_their_column() -> None:
    names = ["x" * 200, "y"]
    frame = drawn(example(Bars("Q", names, np.zeros(2), 1, (0.0, 1.0))))
    shorter = drawn(example(Bars("Q", ["x" * 60, "y"], np.zeros(2), 1, (0.0, 1.0))))
    assert np.array_equal(frame, shorter)


@pytest.mark.parametrize(("height", "width"), [(500, 600), (400, 300), (40, 60), (1200, 100)])
def test_pictures_of_other_sizes_get_the_room_of_the_first(height: int, width: int) -> None:
    panel = WatchPanel()
    first = pixels(panel.draw(example(bars(2, 0))))
    changed = pixels(panel.draw(example(bars(2, 0), picture=np.full((height, width, 3), 200, np.uint8))))
    assert changed.shape == first.shape
    rows, columns = np.nonzero((np.abs(changed[:, :600].astype(int) - 200) <= 5).all(axis=-1))
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert tall / wide == pytest.approx(height / width, rel=0.05)  # not distorted
    assert tall >= 396 or wide >= 596  # and as large as can be
    assert np.array_equal(pixels(panel.draw(example(bars(2, 0)))), first)


def test_what_is_remembered_is_a_strip_over_time() -> None:
    memory = np.zeros((120, 3))  # half as many env steps as there is room for
    memory[:, 0], memory[60:, 2] = -1.0, 1.0
    frame, inside = drawn(example(bars(2, chosen=0), memory=memory)), slice(620, 942)
    _, (first, whole), *_ = blobs(frame, BAR, inside)  # below the bar of an action
    _, (third, half), *_ = blobs(frame, CHOSEN, inside)
    assert (whole, half) == (156, 78)  # half of the room, and half of that
    assert 40 < third - first < 55  # two thirds of the strip's height


def test_returns_are_columns_as_high_as_they_are_likely() -> None:
    histogram = Histogram("return", np.array([0.0, 0.25, 0.0, 0.5]), (0.0, 4.0))
    plain, frame = drawn(example(bars(2, chosen=0))), drawn(example(bars(2, chosen=0), returns=histogram))
    top, bottom = frame.shape[0] - 18 - 112 - 14 - 78, frame.shape[0] - 18 - 112 - 14
    columns = (frame[top:bottom, 618:942] == CHOSEN).all(axis=-1).sum(axis=0)
    assert not (plain[top:bottom, 618:942] == CHOSEN).all(axis=-1).any()
    quarters = [part.max() for part in np.array_split(columns[6:-6], 4)]
    assert quarters[0] == quarters[2] == 0
    assert quarters[3] == pytest.approx(2 * quarters[1], abs=1) and quarters[3] > 60


def test_numbers_beyond_one_are_drawn_as_one() -> None:
    assert np.array_equal(
        drawn(example(bars(2, 0), memory=np.full((9, 2), 7.0))), drawn(example(bars(2, 0), memory=np.ones((9, 2))))
    )
