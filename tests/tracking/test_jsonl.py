import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rlsuite.tracking.jsonl import JsonlWriter, read_metrics
from rlsuite.tracking.record import Clock


def clock(env_steps: int, updates: int = 0) -> Clock:
    return Clock(env_steps, updates, wall_seconds=env_steps / 100)


def write(path: Path, start: int, stop: int, resume_at: Clock | None = None) -> None:
    writer = JsonlWriter(path, resume_at)
    for env_steps in range(start, stop, 10):
        writer.log(clock(env_steps), {"train/return": np.array([env_steps, 2.0 * env_steps])})
    writer.close("finished")


def test_line_is_flat_valid_json_and_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    writer.log(
        Clock(env_steps=8, updates=2, wall_seconds=0.5),
        {
            "train/return": np.array([0.1, np.nan, -np.inf], dtype=np.float32),
            "loss/td": float("nan"),
            "train/episodes": np.array([3]),
            "time/learn_fraction": 0.25,
        },
    )
    # Not closed yet: a killed run must not lose it. parse_constant is called for NaN and infinities only.
    line = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert line == {
        "env_steps": 8,
        "updates": 2,
        "wall_seconds": 0.5,
        "train/return": [0.1, None, "-Infinity"],
        "loss/td": None,
        "train/episodes": 3,
        "time/learn_fraction": 0.25,
    }


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    writer.log(clock(10, 1), {"train/return": np.array([1.0, np.nan]), "speed": 7.0})
    writer.log(clock(20, 2), {"train/return": np.array([np.inf, -np.inf]), "evaluation/score": np.array([5.0, 6.0])})
    writer.log(clock(30, 3), {"train/return": np.array([0.1, 1e-300]), "speed": 9.0})
    writer.close("finished")

    metrics = read_metrics(path)
    assert set(metrics) == {"train/return", "speed", "evaluation/score"}
    series = metrics["train/return"]
    np.testing.assert_array_equal(series.values, [[1.0, np.inf, 0.1], [np.nan, -np.inf, 1e-300]])
    np.testing.assert_array_equal(series.env_steps, [10, 20, 30])
    np.testing.assert_array_equal(series.updates, [1, 2, 3])
    np.testing.assert_array_equal(series.wall_seconds, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(metrics["speed"].values, [[7.0, 9.0]])
    np.testing.assert_array_equal(metrics["speed"].env_steps, [10, 30])
    np.testing.assert_array_equal(metrics["evaluation/score"].values, [[5.0], [6.0]])


@pytest.mark.parametrize("half_line", ["", '{"env_steps": 80, "upda', "{"])
def test_resumed_file_equals_an_uninterrupted_one(tmp_path: Path, half_line: str) -> None:
    whole, resumed = tmp_path / "whole.jsonl", tmp_path / "resumed.jsonl"
    write(whole, 10, 100)
    write(resumed, 10, 80)
    with resumed.open("a") as file:
        file.write(half_line)
    write(resumed, 60, 100, resume_at=clock(50))
    assert resumed.read_bytes() == whole.read_bytes()


def test_runs_that_only_count_updates_are_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    for updates in (1, 2, 3):
        writer.log(clock(0, updates), {"loss": 1.0})
    writer.close("interrupted")
    writer = JsonlWriter(path, resume_at=clock(0, 2))
    writer.sync()
    writer.close("finished")
    assert read_metrics(path)["loss"].updates.tolist() == [1, 2]


def test_resuming_without_a_file_starts_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 60, 70, resume_at=clock(50))
    assert read_metrics(path)["train/return"].env_steps.tolist() == [60]


def test_nothing_is_cut_before_there_is_something_new(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 50)
    before = path.read_bytes() + b'{"half'
    path.write_bytes(before)
    JsonlWriter(path, resume_at=clock(20)).close("interrupted")
    assert path.read_bytes() == before
    writer = JsonlWriter(path, resume_at=clock(20))
    writer.sync()  # a checkpoint is about to be saved
    assert read_metrics(path)["train/return"].env_steps.tolist() == [10, 20]
    writer.close("interrupted")


@pytest.mark.parametrize(("lines", "ends"), [(5, None), (2, "env step 20"), (0, "env step 0"), (None, "env step 0")])
def test_a_file_that_does_not_reach_the_checkpoint_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: int | None, ends: str | None
) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 60)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    if lines is None:
        path.unlink()
    JsonlWriter(path, clock(45), logged_until=clock(40)).close("interrupted")
    said = capsys.readouterr().err
    assert said == "" if ends is None else f"{path} ends at {ends}" in said and "up to 40" in said
    assert said.count("\n") == (ends is not None)


def test_new_run_does_not_touch_the_metrics_of_another(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 30)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="already holds the metrics"):
        JsonlWriter(path)
    assert path.read_bytes() == before


def test_half_written_last_line_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 30)
    with path.open("a") as file:
        file.write('{"env_steps": 30, "updates": 0, "wall_seconds": 0.3, "train/return": 1.0}')
    assert read_metrics(path)["train/return"].env_steps.tolist() == [10, 20]


@pytest.mark.parametrize("line", ["{broken", "[1, 2]", "7", '{"loss": 1.0}'])
def test_damaged_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 30)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[1]]) + "\n")
    with pytest.raises(ValueError, match="line 2 is damaged"):
        read_metrics(path)
    with pytest.raises(ValueError, match="line 2 is damaged"):
        JsonlWriter(path, resume_at=clock(1000))


def test_seeds_that_report_a_single_value_share_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    writer.log(clock(10), {"epsilon": 1.0})
    writer.log(clock(20), {"epsilon": np.array([0.5, 0.25])})
    writer.close("finished")
    np.testing.assert_array_equal(read_metrics(path)["epsilon"].values, [[1.0, 0.5], [1.0, 0.25]])


@contextmanager
def full_disk(path: Path, bytes_left: int) -> Iterator[None]:
    """No file can grow beyond the size of this one and some bytes more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_that_a_full_disk_does_not_take_are_written_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, whole = tmp_path / "metrics.jsonl", tmp_path / "whole.jsonl"
    write(whole, 10, 70)
    writer = JsonlWriter(path)
    for env_steps in range(10, 70, 10):
        with full_disk(path, 15 if 20 < env_steps < 60 else 1_000):  # room for half a line
            writer.log(clock(env_steps), {"train/return": np.array([env_steps, 2.0 * env_steps])})
        assert len(path.read_text().splitlines()) == (2 if 20 < env_steps < 60 else env_steps // 10)
        assert path.read_text().endswith("\n")
    writer.sync()
    writer.close("finished")
    assert path.read_bytes() == whole.read_bytes()
    [line] = capsys.readouterr().err.splitlines()
    assert "cannot be written now" in line


def test_what_must_be_on_the_disk_but_cannot_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    writer.log(clock(10), {"loss": 1.0})
    with full_disk(path, 15):
        writer.log(clock(20), {"loss": 1.0})
        with pytest.raises(OSError, match="the last checkpoint and the metrics up to it are whole"):
            writer.sync()
        with pytest.raises(OSError, match=r"metrics\.jsonl cannot be written"):
            writer.close("failed")
    assert read_metrics(path)["loss"].env_steps.tolist() == [10]
    write(path, 20, 30, resume_at=clock(10))  # once there is room
    assert [json.loads(line)["env_steps"] for line in path.read_text().splitlines()] == [10, 20]


def test_the_clock_is_not_overwritten_by_a_metric_of_its_name(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "metrics.jsonl")
    writer.log(clock(10), {"env_steps": 7.0, "loss": 1.0})
    writer.close("finished")
    assert read_metrics(tmp_path / "metrics.jsonl")["loss"].env_steps.tolist() == [10]
