import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import rich.console

from rlsuite.tracking.console import Console
from rlsuite.tracking.panel import progress_panel, sparkline
from rlsuite.tracking.progress import Course, Progress
from rlsuite.tracking.record import Clock

HEADLINES = {"train/return": "return", "evaluation/score": "evaluation"}


def clock(env_steps: int, wall_seconds: float) -> Clock:
    return Clock(env_steps, updates=env_steps // 4, wall_seconds=wall_seconds)


def plain_console(**options: object) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    console = rich.console.Console(file=output, force_terminal=False, width=80)
    return Console("dqn on CartPole-v1", 50_000, HEADLINES, output=console, **options), output  # type: ignore[arg-type]


def live_console(**options: object) -> tuple[Console, io.StringIO]:
    # rich asks the file for its encoding: a bare StringIO has none, and is taken for UTF-8.
    output = io.StringIO()
    console = rich.console.Console(file=output, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    return Console("dqn on CartPole-v1", 50_000, HEADLINES, output=console, **options), output  # type: ignore[arg-type]


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def draw(progress: Progress, width: int) -> list[str]:
    console = rich.console.Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(progress_panel(progress, "dqn on CartPole-v1", "runs/dqn", width))
    return capture.get().splitlines()


def busy_progress(num_seeds: int = 3) -> Progress:
    progress = Progress(50_000, HEADLINES, num_seeds)
    for second in range(1, 11):
        progress.move(clock(second * 1_000, float(second)))
        progress.take({"train/return": np.linspace(10.0, 20.0 * second, num_seeds)})
    progress.take({"time/environment_fraction": 0.5, "time/learn_fraction": 0.25, "unknown": 7.0})
    return progress


def test_progress_knows_pace_and_time_left() -> None:
    progress = busy_progress()
    assert progress.fraction == 0.2
    assert progress.per_second("env_steps") == pytest.approx(3_000)
    assert progress.per_second("updates") == pytest.approx(750)
    assert progress.seconds_left == pytest.approx(40)
    assert progress.time_fractions == {"environment": 0.5, "learn": 0.25}


def test_pace_is_that_of_the_last_seconds() -> None:
    progress = Progress(50_000, HEADLINES)
    for second in range(100):
        progress.move(clock(10 * second if second < 50 else 500 + 200 * (second - 50), float(second)))
    assert progress.per_second("env_steps") == pytest.approx(200)


def test_pace_is_unknown_at_first() -> None:
    progress = Progress(50_000, HEADLINES)
    assert np.isnan(progress.per_second("env_steps"))
    progress.move(clock(30_000, 100.0))  # a resumed run starts somewhere
    assert np.isnan(progress.per_second("env_steps"))
    assert progress.seconds_left == float("inf")


def test_values_that_are_not_finite_are_left_out() -> None:
    progress = Progress(50_000, HEADLINES, num_seeds=3)
    progress.take({"train/return": np.array([1.0, 5.0, np.nan])})
    progress.take({"train/return": np.array([np.nan] * 3)})
    assert progress.latest["train/return"].tolist() == [1.0, 5.0]
    assert progress.courses["train/return"].points == [3.0]


def test_a_course_of_any_length_is_kept_in_few_points_that_are_evenly_spaced() -> None:
    course = Course(most=8)
    for value in range(1_000):
        course.append(float(value))
    assert 4 <= len(course.points) < 8
    assert np.ptp(np.diff(course.points)) == 0 and course.points[0] == 63.5  # the mean of 128 values each


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_panel_fits_any_terminal_and_never_jumps(width: int) -> None:
    empty, full = draw(Progress(50_000, HEADLINES, num_seeds=3), width), draw(busy_progress(), width)
    assert len(empty) == len(full)
    assert {len(line) for line in empty + full} == {min(width, 100)}


@pytest.mark.parametrize("width", [40, 60, 80])
def test_what_matters_most_is_shown_in_narrow_terminals_too(width: int) -> None:
    text = "\n".join(draw(busy_progress(), width))
    for expected in ("20 %", "10.0k of 50.0k env steps", "105.0", "3.00k", "0:10", "0:40"):
        assert expected in text


def test_panel_says_what_people_want_to_know() -> None:
    text = "\n".join(draw(busy_progress(), 100))
    for expected in (
        "dqn on CartPole-v1",
        "20 %",
        "10.0k of 50.0k env steps a seed",
        "105.0  10.00 .. 200.0",  # mean, lowest and highest seed
        "3.00k",  # env steps a second of all seeds
        "0:10",
        "0:40",
        "environment 50 %",
        "learn 25 %",
        "other 25 %",
        "runs/dqn",
    ):
        assert expected in text


def test_time_split_is_drawn_to_scale() -> None:
    bar = draw(busy_progress(), 100)[-3]
    console = rich.console.Console(file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(progress_panel(busy_progress(), "dqn", "", 100))
    pieces = re.findall(r"m(━+)", capture.get().splitlines()[-3])
    assert [len(piece) for piece in pieces] == [48, 24, 24]
    assert bar.count("━") == 96


def test_sparkline() -> None:
    assert sparkline([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(list(range(1_000)), 4) == "▁▃▆█"
    assert sparkline([5.0, 5.0], 8) == "▁▁"
    assert sparkline([5.0], 8) == sparkline([1.0, 2.0], -3) == ""


def test_plain_lines_come_now_and_then() -> None:
    console, output = plain_console(num_seeds=3, folder=Path("runs/dqn"))
    for step in range(200):
        console.tick(clock(10 * step, 0.1 * step))
    lines = output.getvalue().splitlines()
    assert lines[0] == "dqn on CartPole-v1, 3 seeds  runs/dqn"
    assert len(lines) == 1 + 4  # at 0, 5, 10 and 15 seconds
    assert "1.00k of 50.0k env steps a seed" in lines[3]
    assert "300/s" in lines[3]


def test_plain_lines_become_rarer_but_evaluations_are_always_shown() -> None:
    console, output = plain_console()
    for hour in range(1, 4):
        console.log(clock(hour, 3_600.0 * hour), {"train/return": 1.0})
        for second in range(1, 60):
            console.log(clock(hour, 3_600.0 * hour + second), {"train/return": 1.0})
        console.log(clock(hour, 3_600.0 * hour + 59.5), {"evaluation/score": 123.0})
    lines = output.getvalue().splitlines()[1:]
    assert [("123.0" in line) for line in lines] == [False, True, True, True, True, True]


def test_the_wait_for_the_first_step_does_not_count_as_slowness() -> None:
    console, output = plain_console()
    for steps, seconds in ((0, 0.0), (4, 60.0), (2_404, 66.0)):
        console.tick(clock(steps, seconds))
    first, *_, last = output.getvalue().splitlines()[1:]
    assert "0 of 50.0k" in first and "left -" in first and "400/s" in last


def test_plain_output_has_no_escapes_and_is_aligned() -> None:
    console, output = plain_console()
    console.tick(clock(100, 0.0))
    console.log(clock(10_000, 6.0), {"train/return": 213.44})
    console.log(clock(50_000, 12.0), {"train/return": 500.0})
    text = output.getvalue()
    assert text.isascii() and "\x1b" not in text
    lines = text.splitlines()[1:]
    assert len({line.index("left") for line in lines}) == 1
    assert len({len(line) for line in lines[1:]}) == 1
    assert not any(line.endswith(" ") for line in lines)


def test_updates_are_counted_where_there_are_no_env_steps() -> None:
    console, output = plain_console(axis="updates")
    console.log(Clock(0, 10, 1.0), {"evaluation/score": 0.9})
    console.log(Clock(0, 20, 2.0), {"evaluation/score": 0.9})
    last = output.getvalue().splitlines()[-1]
    assert "20 of 50.0k updates" in last and "10/s" in last


def test_live_panel_is_redrawn_in_place_at_most_four_times_a_second() -> None:
    console, output = live_console()
    for step in range(101):
        console.tick(clock(10 * step, 0.01 * step))
    drawn = without_styles(output.getvalue()).count("dqn on CartPole-v1")
    assert drawn == 5  # at 0, 0.25, 0.5, 0.75 and 1 second
    console.close("finished")
    assert output.getvalue().count("\x1b[1A") > 0  # went up instead of printing below
    assert output.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_live_panel_ends_with_the_last_values(capsys: pytest.CaptureFixture[str]) -> None:
    console, output = live_console()
    console.tick(clock(100, 0.0))
    print("a line from elsewhere", file=sys.stderr)  # W&B's writer does that
    console.log(clock(50_000, 0.1), {"train/return": 487.2})
    console.close("finished")
    shown = without_styles(output.getvalue())
    assert "a line from elsewhere" in shown and capsys.readouterr().err == ""
    assert shown.rindex("487.2") > shown.rindex("a line from elsewhere")
    assert "100 %" in shown


def test_terminal_that_knows_no_unicode_gets_plain_lines() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal = rich.console.Console(file=output, force_terminal=True, width=80)
    console = Console("dqn", 50_000, HEADLINES, output=terminal)
    console.log(clock(10_000, 1.0), {"train/return": 3.0})
    console.close("finished")
    output.flush()
    assert b"10.0k of 50.0k" in output.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", [plain_console, live_console])
def test_summary(make: object) -> None:
    console, output = make(num_seeds=3, folder=Path("runs/dqn"))  # type: ignore[operator]
    console.log(clock(50_000, 61.0), {"train/return": np.array([1.0, 2.0, 3.0])})
    console.summary(
        {
            "mean": 487.25,
            "iqm": np.float32(500.0),
            "ci95": [480.1, 500.0],
            "per_seed_mean": np.array([461.0, 500.0, 500.0]),
            "episodes": 1_000,
            "checkpoint": Path("runs/dqn/checkpoint"),
            "protocol": None,
        }
    )
    console.close("finished")
    text = without_styles(output.getvalue())
    rows = dict(
        re.split(r"  +", line.strip(), maxsplit=1) for line in text[text.rindex("  mean") :].splitlines() if line
    )
    assert rows == {
        "mean": "487.2",
        "IQM": "500.0",
        "95 % interval of the IQM": "480.1 .. 500.0",
        "score of each seed": "461.0  500.0  500.0",
        "episodes": "1,000",
        "checkpoint": "runs/dqn/checkpoint",
        "protocol": "None",
        "trained for": "50.0k of 50.0k env steps a seed, 12.5k updates",
        "wall time": "1:01",
        "files": "runs/dqn",
    }


def test_summary_of_many_seeds_is_a_range() -> None:
    console, output = plain_console(num_seeds=32)
    console.summary({"per_seed_mean": np.arange(32.0)})
    assert "0.00 .. 31.00 (32 seeds)" in output.getvalue()


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_did_not_finish_says_so(status: str) -> None:
    console, output = plain_console()
    console.log(clock(10_000, 1.0), {})
    console.close(status)  # type: ignore[arg-type]
    assert output.getvalue().splitlines()[-1] == f"{status} at 10.0k of 50.0k env steps"


def test_videos_are_announced_in_plain_output() -> None:
    console, output = plain_console()
    console.video(clock(10, 1.0), "evaluation/video", Path("runs/[dqn]/videos/10000.mp4"))
    assert output.getvalue() == "video  runs/[dqn]/videos/10000.mp4\n"


class Gone(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> int:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space"), ValueError("closed")])
@pytest.mark.parametrize("live", [False, True])
def test_a_display_that_is_gone_costs_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, live: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(error))
    monkeypatch.setenv("FORCE_COLOR" if live else "NO_COLOR", "1")  # a terminal, for rich, or none
    monkeypatch.setenv("TERM", "xterm")
    console = Console("dqn", 50_000, HEADLINES)
    for second in range(100):
        console.tick(clock(second, 10.0 * second))
        console.log(clock(second, 10.0 * second), {"evaluation/score": 1.0})
    console.video(clock(100, 1_000.0), "final", Path("final.mp4"))
    console.summary({"iqm": 1.0})
    console.close("interrupted")
    [line] = capsys.readouterr().err.splitlines()
    assert "the progress display does not work" in line and str(error) in line


def test_a_value_that_cannot_be_shown_costs_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console, output = plain_console()
    console.summary({"names": ["a", "b"]})
    console.log(clock(10_000, 1.0), {"train/return": 1.0})
    assert "does not work" in capsys.readouterr().err
    assert "10.0k of 50.0k" in output.getvalue()  # what can be shown is
