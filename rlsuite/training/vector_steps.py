"""Vector steps taken by a source: one after the other, or several as one compiled region."""

import math
from collections.abc import Callable
from contextlib import nullcontext

from rlsuite.training.execution import Execution, compiled
from rlsuite.training.stopwatch import Stopwatch

STEPS_A_REGION = 4  # at most: compiling takes time in proportion


class VectorSteps:
    """Calls ``step`` ``round_length`` times a call, compiled as ``execution`` says; "collect" is the time it takes.

    Where nothing is compiled, ``step`` tells its time apart by sections of its own.
    """

    def __init__(self, step: Callable[[], None], round_length: int, execution: Execution, stopwatch: Stopwatch) -> None:
        self._step, self._stopwatch = step, stopwatch
        self._is_compiled = execution != "eager"
        self._region_length = math.gcd(round_length, STEPS_A_REGION) if self._is_compiled else 1
        self._regions = round_length // self._region_length
        self._run_region = compiled(self._region, execution)

    def __call__(self) -> None:
        for _ in range(self._regions):
            with self._stopwatch("collect") if self._is_compiled else nullcontext():
                self._run_region()

    def _region(self) -> None:
        for _ in range(self._region_length):
            self._step()
