"""``metrics.jsonl``: all metrics of a run, one JSON object a line, readable also if its last line is cut off.

A line holds the clock and the values logged at it; a value is a number, or a list of one number a seed. JSON has no
NaN and no infinities, so they are written as ``null``, ``"Infinity"`` and ``"-Infinity"``.
"""

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.tracking.lease import require_lease
from rlsuite.tracking.notices import say
from rlsuite.tracking.record import Clock, Status, Values

CLOCK_FIELDS = ("env_steps", "updates", "wall_seconds")


class JsonlWriter:
    """Appends to ``metrics.jsonl``. Each line is on its way to the disk before ``log`` returns.

    Lines that the disk does not take wait for the next attempt; ``sync`` is the one that must succeed. There are whole
    lines only in the file, whatever happens but a sudden death.

    Args:
        path: the file; it must not exist yet, unless the run is resumed.
        resume_at: the clock of the checkpoint that a resumed run starts from. Lines beyond it are cut, because the
            run will report them again, so that the file ends up as if the run had never stopped. A half-written last
            line is cut too. Both only when something is written or synced: until then the run could still go on from
            another checkpoint.
        logged_until: the clock of the last line that the checkpoint knows of; a file that ends earlier is told of.

    Raises:
        ValueError: the file exists although the run is new, or a line in its middle is damaged.
    """

    def __init__(self, path: Path, resume_at: Clock | None = None, logged_until: Clock | None = None) -> None:
        self._whole_bytes, last = 0, None  # up to the end of the last whole line
        if path.exists():
            if resume_at is None:
                raise ValueError(
                    f"{path} already holds the metrics of a run: resume that run, or give this one another name"
                )
            self._whole_bytes, last = _lines_until(path, resume_at)
        if logged_until is not None and _place(last) < _place(vars(logged_until)):
            ends, until = _place(last), _place(vars(logged_until))
            say(
                f"{path} ends at env step {ends[0]:,} and update {ends[1]:,}, but had been written up to {until[0]:,} "
                f"and {until[1]:,}: it was cut or deleted, and what is missing stays missing"
            )
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._waiting = b""  # lines that the disk did not take
        self._complained = False

    def log(self, clock: Clock, values: Values) -> None:
        clock_values = asdict(clock)  # first, so that people see them; they replace metrics of the same names
        line = clock_values | {name: _to_json(value) for name, value in values.items()} | clock_values
        self._waiting += json.dumps(line, allow_nan=False).encode() + b"\n"
        try:
            self._write()
        except OSError as error:
            if not self._complained:
                say(f"{self._path} cannot be written now ({error.strerror}): new lines are kept in memory until it can")
            self._complained = True

    def video(self, clock: Clock, name: str, path: Path) -> None:
        """Videos are files of their own."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Results of the whole run are in files of their own."""

    def sync(self) -> None:
        require_lease(self._path)
        with self._explained():
            self._write()
            self._file.truncate(self._whole_bytes)
            os.fsync(self._file.fileno())

    def close(self, status: Status) -> None:
        try:
            with self._explained():
                self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        """Append the lines that wait, all of them or none."""
        if not self._waiting:
            return
        require_lease(self._path)
        try:
            self._file.truncate(self._whole_bytes)  # remove half a line of an earlier failed write
            left = memoryview(self._waiting)
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._whole_bytes)
            raise
        self._whole_bytes += len(self._waiting)
        self._waiting = b""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self._path} cannot be written ({error.strerror}); "
                "the last checkpoint and the metrics up to it are whole: resume the run once this is mended"
            ) from error


@dataclass(frozen=True)
class Series:
    """One metric of a run: T points in time, each with one value a seed."""

    env_steps: np.ndarray  # int64 [T], of one seed
    updates: np.ndarray  # int64 [T]
    wall_seconds: np.ndarray  # float64 [T]
    values: np.ndarray  # float64 [S, T]; S is 1 for what the seeds have in common


def read_metrics(path: Path) -> dict[str, Series]:
    """Every metric in the file by name. A half-written last line, as a live or killed run has it, is left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line in the middle is damaged.
    """
    points: dict[str, list[tuple[dict[str, Any], Any]]] = defaultdict(list)
    for record, _ in complete_lines(path):
        for name, value in record.items():
            if name not in CLOCK_FIELDS:
                points[name].append((record, value))
    return {name: _to_series(rows) for name, rows in points.items()}


def _to_series(rows: list[tuple[dict[str, Any], Any]]) -> Series:
    per_point = [np.atleast_1d(from_json(value)) for _, value in rows]
    num_seeds = max(len(values) for values in per_point)
    return Series(
        env_steps=np.array([record["env_steps"] for record, _ in rows], dtype=np.int64),
        updates=np.array([record["updates"] for record, _ in rows], dtype=np.int64),
        wall_seconds=np.array([record["wall_seconds"] for record, _ in rows], dtype=np.float64),
        values=np.stack([np.broadcast_to(values, (num_seeds,)) for values in per_point], axis=1),
    )


def _lines_until(path: Path, clock: Clock) -> tuple[int, dict[str, Any] | None]:
    """Bytes of the complete lines up to the clock, and the last of them; clocks only grow, so the rest is one block."""
    end, last = 0, None
    for record, line_end in complete_lines(path):
        if _place(record) > _place(vars(clock)):
            break
        end, last = line_end, record
    return end, last


def _place(line: Mapping[str, Any] | None) -> tuple[int, int]:
    return (0, 0) if line is None else (line["env_steps"], line["updates"])


def complete_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The decoded lines that end in a newline, each with the byte position after it."""
    position = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            position += len(line)
            try:
                record = json.loads(line)
                complete = all(type(record[field]) in (int, float) for field in CLOCK_FIELDS)
            except (ValueError, TypeError, KeyError):
                complete = False
            if not complete:
                raise ValueError(f"{path}, line {number} is damaged: delete that line to use the others")
            yield record, position


def _to_json(value: Any) -> Any:
    """Return a number, or a list with one number for each seed; a plain number if there is only one seed."""
    array = np.asarray(value)
    if array.size == 1:
        return _number_to_json(array.reshape(-1)[0])
    return [_number_to_json(number) for number in array]


def _number_to_json(number: np.generic) -> int | float | str | None:
    if not isinstance(number, np.floating):
        return int(number)
    if np.isnan(number):
        return None
    if np.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    # str() gives a float32 its own few digits, not the seventeen of the double beside it.
    return float(str(number))


def from_json(value: Any) -> np.ndarray:
    """The inverse of ``_to_json``; ``float`` understands "Infinity"."""
    numbers = value if isinstance(value, list) else [value]
    return np.array([math.nan if number is None else float(number) for number in numbers])
