"""Series of prices: the S&P 500, oil and gold."""

import csv
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlsuite.supervised.data.files import DataFile, find

_GITHUB = "https://raw.githubusercontent.com"
SP500 = DataFile(
    "finance/sp500_daily_2000_2020.csv",
    "9409e9342d0657c747324e4cfabce8a8c7f663bc485b95a3378f36b0a160f8c8",
    [f"{_GITHUB}/vega/vega-datasets/cad85578e232704bb0453544742440038038c6a2/data/sp500-2000.csv"],
)
OIL = DataFile(
    "finance/wti_oil_daily.csv",
    "e296634680fca6c045838d4c07a174383386efa8b657adb7ece4cc7464ef49a8",
    [f"{_GITHUB}/datasets/oil-prices/2d75ce3a792c2f152619c10272e86052be3a8390/data/wti-daily.csv"],
)
_RDATASETS = f"{_GITHUB}/vincentarelbundock/Rdatasets/1dcc2bf5f955cc1224a3e1307256e1fe86b68dae/csv"
GOLD_DAILY = DataFile(
    "gold/gold_daily_1985_1989.csv",
    "8672368468f0f4fb7b318a3a5173e262fffd3140198936b1b4978692cc3c9823",
    [f"{_RDATASETS}/forecast/gold.csv"],
)
GOLD_SILVER = DataFile(
    "gold/gold_silver_daily_1977_2012.csv",
    "fecd961170b53f970fd8eea752ffa6c03550249a2a2c478a2ecd37bf183efd2e",
    [f"{_RDATASETS}/AER/GoldSilver.csv"],
)
GOLD_MONTHLY = DataFile(
    "gold/gold_monthly_usd.csv",
    "afcb15f04abc1da9d4aed11d7582f2954b7d3f3d3f191ef2629e596cdba9cab1",
    [f"{_GITHUB}/datasets/gold-prices/d02264e9b728c1c0c9ecd5b74d141ef6113f752e/data/monthly.csv"],
)


class Series(NamedTuple):
    """Values ``[T]`` float64 with their dates, or numbers of days, as they are written in the file."""

    name: str
    dates: list[str]
    values: np.ndarray


def sp500() -> Series:
    """Closes of the S&P 500 on 5,105 days, 2000 to 2020."""
    return _column("S&P 500", SP500, "date", "adjclose")


def oil() -> Series:
    """Dollars a barrel of West Texas Intermediate on 10,226 days from 1986 on; one of them is negative."""
    return _column("oil", OIL, "Date", "Price")


def gold_daily() -> Series:
    """Dollars an ounce in the morning on 1,074 trading days, 1985 to 1989; days without a price are left out."""
    return _column("gold", GOLD_DAILY, "time", "value")


def gold_index() -> Series:
    """Gold on 9,132 days, 1977 to 2012: 100 on the first."""
    return _column("gold", GOLD_SILVER, "rownames", "gold")


def silver() -> Series:
    """Silver on the days of ``gold_index``."""
    return _column("silver", GOLD_SILVER, "rownames", "silver")


def gold_monthly() -> Series:
    """Dollars an ounce, a month, from 1971 on: before, the file repeats the means of years, and prices were fixed."""
    return _column("gold", GOLD_MONTHLY, "Date", "Price", lambda date: date >= "1971")


def _column(
    name: str, file: DataFile, date: str, value: str, wanted: Callable[[str], bool] = lambda date: True
) -> Series:
    """A column of a table, without the rows that have no number there.

    Raises:
        ValueError: the file is missing or damaged.
    """
    with find(file).open(newline="", encoding="utf-8") as table:
        rows = [(row[date], row[value]) for row in csv.DictReader(table)]
    kept = [(day, float(number)) for day, number in rows if number not in ("", "NA") and wanted(day)]
    return Series(name, [day for day, _ in kept], np.array([number for _, number in kept]))


def log_returns(series: Series) -> Series:
    """Differences of the logarithms of prices, on the days of the later ones.

    Raises:
        ValueError: a price is zero or negative, with the first day of such a price.
    """
    bad = np.flatnonzero(~(series.values > 0.0))
    if bad.size:
        day, price = series.dates[bad[0]], series.values[bad[0]]
        raise ValueError(
            f"{series.name} has the price {price:g} on {day}: logarithms need positive ones (use prices, or a part "
            "of the series)"
        )
    return Series(f"{series.name}, log returns", series.dates[1:], np.diff(np.log(series.values)))


def windows(values: np.ndarray, length: int) -> np.ndarray:
    """All windows of so many consecutive values: ``[T, ...]`` to ``[T - length + 1, length, ...]``.

    Raises:
        ValueError: the series is shorter than a window.
    """
    if len(values) < length:
        raise ValueError(f"a series of {len(values):,} values is shorter than a window of {length:,}")
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(values, length, axis=0), -1, 1)
