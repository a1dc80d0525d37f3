"""Where the wall time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds spent in named sections: ``with watch("environment"): ...``

    On CUDA a section ends when its kernels are queued, not when they are done; only host work is told apart there.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def __call__(self, section: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[section] = self._seconds.get(section, 0.0) + time.perf_counter() - started

    def fractions(self) -> dict[str, float]:
        """``time/<section>_fraction`` of the wall time since the last call; starts over."""
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        fractions = {f"time/{section}_fraction": seconds / elapsed for section, seconds in self._seconds.items()}
        self._seconds, self._started = {}, time.perf_counter()
        return fractions
