"""Follow the metrics of a run that another process writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlsuite.tracking.jsonl import CLOCK_FIELDS, from_json
from rlsuite.tracking.record import Clock


class Tail:
    """The lines that are new in ``metrics.jsonl``; after a run went back to a checkpoint, all of them again."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_bytes = path, 0

    def new(self) -> Iterator[tuple[Clock, dict[str, np.ndarray]]]:
        """The clock and the values of each whole line since the last call; nothing where there is no file yet."""
        try:
            if self._path.stat().st_size < self._read_bytes:
                self._read_bytes = 0
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            try:
                record: dict[str, Any] = json.loads(line)
                clock = Clock(**{name: record.pop(name) for name in CLOCK_FIELDS})
                yield clock, {name: np.atleast_1d(from_json(value)) for name, value in record.items()}
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # cut while it was read; the run itself looks after its file
