"""Vector steps taken by a source: one after the other, or several as one compiled region."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from rlsuite.experience import Environments
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.stopwatch import Stopwatch

_STEPS_A_REGION = 4  # at most: compiling takes time in proportion


class VectorSteps:
    """Calls ``step``, which takes one vector step of ``environments``, ``round_length`` times a call.

    Where the environments are on the device, steps are compiled as ``execution`` says. No clock can be read inside a
    region, so time is told apart by ``section`` only where there is none, and else counts as "collect".
    """

    def __init__(
        self, step: Callable[[], None], environments: Environments, round_length: int, execution: Execution
    ) -> None:
        self._step, self._on_device = step, environments.on_device
        self._region_length = math.gcd(round_length, _STEPS_A_REGION) if self._on_device else 1
        self._regions = round_length // self._region_length
        self._run_region = compiled(self._region, execution) if self._on_device else self._region
        self.stopwatch = Stopwatch()

    def __call__(self) -> None:
        for _ in range(self._regions):
            with self.stopwatch("collect") if self._on_device else nullcontext():
                self._run_region()

    def _region(self) -> None:
        for _ in range(self._region_length):
            self._step()

    def section(self, name: str) -> AbstractContextManager[None]:
        """For use in ``step``: the time spent inside counts as ``name``."""
        return nullcontext() if self._on_device else self.stopwatch(name)
