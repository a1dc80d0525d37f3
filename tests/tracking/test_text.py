import pytest

from rlsuite.tracking.text import count_text, duration_text, number_text, range_text, rate_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (7, "7"),
        (0.25, "0.25"),
        (950, "950"),
        (999.6, "1.00k"),
        (9_994, "9.99k"),
        (9_996, "10.0k"),
        (31_000, "31.0k"),
        (99_949, "99.9k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (50_000_000, "50.0M"),
        (3e9, "3.00G"),
    ],
)
def test_counts_have_three_digits(count: float, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.00"),
        (9.374, "9.37"),
        (-21.0, "-21.00"),
        (213.44, "213.4"),
        (12_345.6, "12,346"),
        (1.2e8, "1.2e+08"),
        (0.01234, "0.0123"),
        (-1.2e-5, "-1.2e-05"),
        (float("nan"), "-"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.7, "1:00"), (4_061, "1:07:41"), (2 * 86_400 + 11_220, "2 d 03:07"), (float("inf"), "-")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_ranges_and_rates() -> None:
    assert range_text([3.0, -1.0, 2.0]) == "-1.00 .. 3.00"
    assert rate_text(12_345.0) == "12.3k"
    assert rate_text(float("nan")) == "-"
