"""A writer that passes metrics to several writers."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlsuite.tracking.record import Clock, Status, Values, Writer


class Tracker:
    """Pass metrics to every writer in the given order; the one that must receive all of them comes first."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = tuple(writers)

    def log(self, clock: Clock, values: Values) -> None:
        for writer in self._writers:
            writer.log(clock, values)

    def video(self, clock: Clock, name: str, path: Path) -> None:
        for writer in self._writers:
            writer.video(clock, name, path)

    def summary(self, values: Mapping[str, Any]) -> None:
        for writer in self._writers:
            writer.summary(values)

    def sync(self) -> None:
        for writer in self._writers:
            writer.sync()

    def close(self, status: Status) -> None:
        """Close every writer, the first one first, even where one of them raises."""
        with ExitStack() as closing:
            for writer in reversed(self._writers):
                closing.callback(writer.close, status)
