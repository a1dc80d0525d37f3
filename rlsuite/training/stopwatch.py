"""Measure the wall time spent in named sections."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


class Stopwatch:
    """Adds up the seconds spent in named sections: ``with watch("environment"): ...``

    The time of a section inside another counts for the inner one only. Inside a compiled region, where no clock can be
    read, it does nothing. On CUDA a section ends when its kernels are queued, not when they are done; only host work is
    told apart there.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._inner_seconds = 0.0  # of the sections inside the present one
        self._started = time.perf_counter()

    def __call__(self, section: str) -> AbstractContextManager[None]:
        return nullcontext() if torch.compiler.is_compiling() else self._timed(section)

    @contextmanager
    def _timed(self, section: str) -> Iterator[None]:
        started, before = time.perf_counter(), self._inner_seconds
        self._inner_seconds = 0.0
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self._seconds[section] = self._seconds.get(section, 0.0) + seconds - self._inner_seconds
            self._inner_seconds = before + seconds

    def fractions(self) -> dict[str, float]:
        """``time/<section>_fraction`` of the wall time since the last call; starts over."""
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        fractions = {f"time/{section}_fraction": seconds / elapsed for section, seconds in self._seconds.items()}
        self._seconds, self._started = {}, time.perf_counter()
        return fractions
