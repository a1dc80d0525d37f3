"""The one run loop: agents, supervised models and equilibrium nets are all trained here.

A ``Learner`` holds what is learned, a ``Source`` yields what it learns from, and the ``Trainer`` draws from the one,
updates the other, evaluates, logs, checkpoints, resumes and stops. It knows nothing more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlsuite.experience import ExperienceError
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.checkpoint import Checkpoints, select_rows
from rlsuite.training.signals import StopRequest
from rlsuite.training.stopwatch import Stopwatch

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
Metrics = Mapping[str, Tensor]


class Learner(Protocol[B_contra]):
    """Parameters and optimisers, and how one batch changes them."""

    def update(self, batch: B_contra) -> Metrics:
        """Learn from one batch; returns per-seed numbers ``[S]`` to log, still on the device."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Source(Protocol[B_co]):
    """Where batches come from: environments and a replay, a rollout, a data set, the path of an economy."""

    env_steps: int  # taken so far, per seed; 0 for sources without environments

    def collect(self) -> int:
        """Gather experience; returns how many updates it pays for (0 while warming up)."""
        ...

    def sample(self) -> B_co:
        """A batch of what was gathered."""
        ...

    def statistics(self) -> dict[str, np.ndarray | float]:
        """Per-seed numbers gathered since the last call (episode returns, time spent); resets them."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class TrainingError(Exception):
    """Training cannot go on; the message says where and why, for people."""


@dataclass(frozen=True)
class Schedule:
    """When things happen. ``total`` and the intervals count env steps per seed, or updates where ``unit`` says so."""

    total: int
    unit: Literal["env_steps", "updates"] = "env_steps"
    log_every: int = 1_000
    evaluate_every: int = 10_000
    checkpoint_every_seconds: float = 600.0
    target_score: float | None = None  # stop once every seed's evaluation reaches it


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Literal["finished", "solved", "interrupted"]
    clock: Clock
    best_score: np.ndarray | None  # [S], of each seed's best evaluation


class Trainer(Generic[B]):
    """Runs a learner on a source.

    Args:
        learner, source: see the protocols.
        schedule: how long, and how often everything else.
        writer: where metrics go.
        checkpoints: where states go; ``None`` keeps none.
        evaluate: called with nothing, returns per-seed numbers ``[S]``; ``"evaluation/score"`` among them decides which
            checkpoint is the best and when the target is reached.
        tick: told the clock after every round, to show progress.
    """

    def __init__(
        self,
        learner: Learner[B],
        source: Source[B],
        schedule: Schedule,
        writer: Writer,
        checkpoints: Checkpoints | None = None,
        evaluate: Callable[[], dict[str, np.ndarray]] | None = None,
        tick: Callable[[Clock], None] | None = None,
    ) -> None:
        self.learner, self.source, self.schedule = learner, source, schedule
        self.writer, self.checkpoints, self.evaluate, self.tick = writer, checkpoints, evaluate, tick
        self.updates = 0
        self.best_score: np.ndarray | None = None  # [S]
        self._best_state: dict[str, Any] = {}
        self._seconds_before = 0.0  # of earlier sittings of a resumed run
        self._started = time.monotonic()
        self._last_clock = Clock(env_steps=0, updates=0, wall_seconds=0.0)
        self._logged = self._evaluated = 0
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        self._watch = Stopwatch()

    @property
    def clock(self) -> Clock:
        seconds = self._seconds_before + time.monotonic() - self._started
        return Clock(env_steps=self.source.env_steps, updates=self.updates, wall_seconds=seconds)

    @property
    def progress(self) -> int:
        return self.source.env_steps if self.schedule.unit == "env_steps" else self.updates

    def run(self) -> Outcome:
        """Train until the total, the target or a stop request (Ctrl-C, SIGTERM); the last state is always saved.

        Raises:
            TrainingError: a metric is not finite; nothing bad is saved, the last checkpoint stays.
            ExperienceError: an environment failed; everything else is saved.
        """
        try:
            return self._run()
        except ExperienceError:
            self._checkpoint()  # what was learned is whole; only the environments must start anew
            raise

    def _run(self) -> Outcome:
        self._started = last_checkpoint = time.monotonic()
        self._last_clock = self.clock
        status: Literal["finished", "solved", "interrupted"] = "finished"
        self._checkpoint()  # so that whatever goes wrong, there is one to go on from
        with StopRequest() as stop:
            while self.progress < self.schedule.total:
                self._round()
                if self.tick is not None:
                    self.tick(self.clock)
                if self._due("_logged", self.schedule.log_every):
                    self._log()
                if (
                    self.evaluate is not None
                    and self._due("_evaluated", self.schedule.evaluate_every)
                    and self._evaluate()
                ):
                    status = "solved"
                    break
                if stop.requested:
                    status = "interrupted"
                    break
                if time.monotonic() - last_checkpoint > self.schedule.checkpoint_every_seconds:
                    self._checkpoint()
                    last_checkpoint = time.monotonic()
            if status == "finished" and self._summed:
                self._log()
            self._checkpoint()
        return Outcome(status, self.clock, self.best_score)

    def _round(self) -> None:
        for _ in range(self.source.collect()):
            with self._watch("sample"):
                batch = self.source.sample()
            with self._watch("learn"):
                self._accumulate(self.learner.update(batch))
            self.updates += 1

    def _accumulate(self, metrics: Metrics) -> None:
        # Sums stay on the device; they are fetched once per log interval.
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._summed += 1

    def _due(self, mark: Literal["_logged", "_evaluated"], every: int) -> bool:
        passed = self.progress // every
        if passed == getattr(self, mark):
            return False
        setattr(self, mark, passed)
        return True

    def _log(self) -> None:
        self._require_finite()
        clock = self.clock
        values: dict[str, np.ndarray | float] = dict(self.source.statistics())
        for name, total in self._sums.items():
            values[name] = (total / self._summed).cpu().numpy()
        values |= self._watch.fractions() | self._rates(clock)
        self._sums, self._summed = {}, 0
        self.writer.log(clock, values)

    def _require_finite(self) -> None:
        """Whatever one bad update spoils shows in the metrics summed since the last log."""
        for name, total in self._sums.items():
            bad = ~torch.isfinite(total)
            if bad.any():
                seeds, clock = bad.nonzero().flatten().tolist(), self.clock
                where = f"env step {clock.env_steps}, update {clock.updates} (seeds {seeds})"
                raise TrainingError(f"{name} is not finite at {where}")

    def _rates(self, clock: Clock) -> dict[str, np.ndarray | float]:
        before, self._last_clock = self._last_clock, clock
        seconds = max(clock.wall_seconds - before.wall_seconds, 1e-9)
        return {
            "speed/env_steps_per_second": (clock.env_steps - before.env_steps) / seconds,
            "speed/updates_per_second": (clock.updates - before.updates) / seconds,
        }

    def _evaluate(self) -> bool:
        """Evaluate, keep each seed's learner where it is its best so far; returns whether all reached the target."""
        assert self.evaluate is not None
        values = self.evaluate()
        self.writer.log(self.clock, values)
        score = values.get("evaluation/score")
        if score is None:
            return False
        state = self.learner.state_dict()
        if self.best_score is None:
            self.best_score, self._best_state = np.full_like(score, -np.inf), state
        better = score > self.best_score
        self.best_score = np.maximum(score, self.best_score)
        if better.any():
            self._best_state = select_rows(torch.from_numpy(better), state, self._best_state)
            if self.checkpoints is not None:
                self.checkpoints.save_best({"learner": self._best_state, "score": self.best_score.tolist()})
        target = self.schedule.target_score
        return target is not None and bool((score >= target).all())

    def _checkpoint(self) -> None:
        self._require_finite()
        if self.checkpoints is not None:
            self.checkpoints.save_last(self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {
            "learner": self.learner.state_dict(),
            "source": self.source.state_dict(),
            "trainer": {
                "updates": self.updates,
                "wall_seconds": self.clock.wall_seconds,
                "logged": self._logged,
                "evaluated": self._evaluated,
                "summed": self._summed,
                "sums": {name.replace("/", "."): total for name, total in self._sums.items()},
                "best_score": None if self.best_score is None else self.best_score.tolist(),
                "best_state": self._best_state,
            },
            "clock": vars(self.clock),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where ``state_dict`` was taken."""
        self.learner.load_state_dict(state["learner"])
        self.source.load_state_dict(state["source"])
        own = state["trainer"]
        self.updates, self._seconds_before = own["updates"], own["wall_seconds"]
        self._logged, self._evaluated, self._summed = own["logged"], own["evaluated"], own["summed"]
        self._sums = {name.replace(".", "/"): total for name, total in own["sums"].items()}
        if own["best_score"] is not None:
            self.best_score, self._best_state = np.array(own["best_score"]), own["best_state"]
