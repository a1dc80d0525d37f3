"""The run loop that trains agents, supervised models and equilibrium nets.

A ``Worker`` draws from its source and updates its learner; the ``Trainer`` says how far, and evaluates, logs,
checkpoints, resumes and stops. It knows nothing more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch

from rlsuite.experience import ExperienceError
from rlsuite.state import check, map_tensors
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.checkpoint import Checkpoints, Name, fitting, logged_until
from rlsuite.training.per_seed import seeds_of, select_seeds
from rlsuite.training.signals import StopRequest
from rlsuite.training.worker import Measured, TrainingError, Unit

__all__ = ["Outcome", "Schedule", "Trainer", "TrainingError", "Workers"]


class Workers(Protocol):
    """One ``Worker``, or several that each have some of the seeds: see there for what the methods do."""

    @property
    def env_steps(self) -> int: ...

    @property
    def updates(self) -> int: ...

    def progress(self, unit: Unit) -> int: ...

    def advance(self, goal: int, unit: Unit) -> None: ...

    def measurements(self) -> Measured: ...

    def evaluate(self) -> dict[str, np.ndarray]: ...

    def confirm(self) -> dict[str, np.ndarray]: ...

    def learner_state(self) -> dict[str, Any]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """When things happen. ``total`` and the intervals count env steps per seed, or updates where ``unit`` says so."""

    total: int
    unit: Unit = "env_steps"
    log_every: int = 1_000
    evaluate_every: int = 10_000
    checkpoint_every_seconds: float = 600.0
    seconds: float | None = None  # of training, earlier sessions included, after which a run is finished
    patience_evaluations: int | None = None  # finished once no seed was better than its best so many times on end
    keeps_evaluated: bool = False  # save each learner that is evaluated
    target_score: float | None = None  # stop once every seed has reached it in an evaluation, and once more on others


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    status: Literal["finished", "solved", "interrupted"]
    clock: Clock
    best_score: np.ndarray | None  # [S], of each seed's best evaluation


class Trainer:
    """Trains the learners of its workers.

    Args:
        workers: does the work.
        schedule: how long, and how often everything else.
        writer: where metrics go.
        checkpoints: where states go; ``None`` keeps none.
        tick: told the clock some times a second, to show progress.
    """

    def __init__(
        self,
        workers: Workers,
        schedule: Schedule,
        writer: Writer,
        checkpoints: Checkpoints | None = None,
        tick: Callable[[Clock], None] | None = None,
    ) -> None:
        self.workers, self.schedule = workers, schedule
        self.writer, self.checkpoints, self.tick = writer, checkpoints, tick
        self.best_score: np.ndarray | None = None  # [S]
        self._best_state: dict[str, Any] = {}
        self._seconds_before = 0.0  # of earlier sessions of a resumed run
        self._started = time.monotonic()
        self._last_clock = Clock(env_steps=0, updates=0, wall_seconds=0.0)
        self._logged = self._evaluated = 0  # number of complete intervals
        self._unimproved = 0  # evaluations since a seed was better than ever
        self._logged_until = Clock(env_steps=0, updates=0, wall_seconds=0.0)
        self._has_news = False  # whether there is something to log
        self._is_saved = False

    @property
    def clock(self) -> Clock:
        seconds = self._seconds_before + time.monotonic() - self._started
        return Clock(env_steps=self.workers.env_steps, updates=self.workers.updates, wall_seconds=seconds)

    @property
    def progress(self) -> int:
        return self.workers.progress(self.schedule.unit)

    def run(self) -> Outcome:
        """Train until the total, the target or a stop request (Ctrl-C, SIGTERM); the last state is always saved.

        Raises:
            TrainingError: a number is not finite; nothing bad is saved, the last checkpoint stays.
            ExperienceError: an environment failed; everything else is saved.
        """
        with StopRequest() as stop:
            try:
                return self._run(stop)
            except ExperienceError:
                self._checkpoint()  # the learner is intact; only the environments start anew
                raise

    def _run(self, stop: StopRequest) -> Outcome:
        schedule = self.schedule
        self._started = last_checkpoint = time.monotonic()
        self._last_clock = self.clock
        self._checkpoint()  # so that a run can be resumed from the very start
        while True:
            # Also before the first step: an evaluation may have been due when the run stopped.
            if self._passed(schedule.log_every) > self._logged:
                self._log()
            if self._passed(schedule.evaluate_every) > self._evaluated:
                self._evaluate()
            status = self._status(stop)
            if status != "training":
                break
            if time.monotonic() - last_checkpoint > schedule.checkpoint_every_seconds:
                self._checkpoint()
                last_checkpoint = time.monotonic()
            self._has_news, self._is_saved = True, False
            self.workers.advance(self._next_event(), schedule.unit)
            if self.tick is not None:
                self.tick(self.clock)
        if status == "finished" and self._has_news:
            self._log()
            if self.schedule.seconds is not None and self.progress % self.schedule.evaluate_every:
                self._evaluate()  # time may end before the first one is due
        self._checkpoint()
        return Outcome(status, self.clock, self.best_score)

    def _status(self, stop: StopRequest) -> Literal["training", "finished", "solved", "interrupted"]:
        if stop.requested:
            return "interrupted"
        if self.best_score is not None and self._is_solved(self.best_score).all():
            return "solved"
        return "finished" if self._is_over() else "training"

    def _is_over(self) -> bool:
        schedule = self.schedule
        return (
            self.progress >= schedule.total
            or (schedule.seconds is not None and self.clock.wall_seconds >= schedule.seconds)
            or (schedule.patience_evaluations is not None and self._unimproved >= schedule.patience_evaluations)
        )

    def _passed(self, every: int) -> int:
        """Intervals that are over."""
        return self.progress // every

    def _next_event(self) -> int:
        log, evaluation = (
            (self._passed(every) + 1) * every for every in (self.schedule.log_every, self.schedule.evaluate_every)
        )
        return min(log, evaluation, self.schedule.total)

    def _log(self) -> None:
        clock = self.clock
        self._report(clock, self.workers.measurements() | self._rates(clock))
        self._logged = self._passed(self.schedule.log_every)
        self._has_news = self._is_saved = False

    def _report(self, clock: Clock, values: Measured) -> None:
        self.writer.log(clock, values)
        self._logged_until = clock

    def _rates(self, clock: Clock) -> Measured:
        before, self._last_clock = self._last_clock, clock
        seconds = max(clock.wall_seconds - before.wall_seconds, 1e-9)
        return {
            "speed/env_steps_per_second": (clock.env_steps - before.env_steps) / seconds,
            "speed/updates_per_second": (clock.updates - before.updates) / seconds,
        }

    def _evaluate(self) -> None:
        """Evaluate, and keep each seed's learner where it is its best so far.

        Where a seed reaches the target, chance may have helped, so that its score is that of other episodes; once those
        have reached it too the seed has solved its task, and its best learner is the one that did.
        """
        values = self.workers.evaluate()
        if self.schedule.keeps_evaluated and self.checkpoints is not None:
            self.checkpoints.keep({"learner": self.workers.learner_state()}, self.progress)
        score = values.get("evaluation/score")
        if score is not None:
            best = np.full_like(score, -np.inf) if self.best_score is None else self.best_score
            self._unimproved = 0 if (score > best).any() else self._unimproved + 1
            solved = self._is_solved(best)
            reached = self._is_solved(score) & ~solved
            if reached.any() and (confirmed := self.workers.confirm()):
                values["evaluation/confirmed_score"] = confirmed["evaluation/score"]
                score = np.where(reached, confirmed["evaluation/score"], score)
            self._keep_best(np.where(solved, -np.inf, score), best)
        if values:
            self._report(self.clock, dict(values))
        self._evaluated = self._passed(self.schedule.evaluate_every)
        self._is_saved = False

    def _is_solved(self, score: np.ndarray) -> np.ndarray:
        target = self.schedule.target_score
        return np.zeros_like(score, bool) if target is None else score >= target

    def _keep_best(self, score: np.ndarray, best: np.ndarray) -> None:
        better = score >= best  # of equal scores the later one, which has learned more
        state = self.workers.learner_state()
        self._best_state = select_seeds(torch.from_numpy(better), state, self._best_state or state)
        self.best_score = np.where(better, score, best)
        if better.any() and self.checkpoints is not None:
            self.checkpoints.save_best({"learner": self._best_state, "score": self.best_score.tolist()})

    def _checkpoint(self) -> None:
        """Save the state, unless it is one that was saved before: had that led to a failure, the one before stays."""
        if self.checkpoints is not None and not self._is_saved:
            self.writer.sync()
            self.checkpoints.save_last(self.state_dict())
            self._is_saved = True

    def state_dict(self) -> dict[str, Any]:
        work = self.workers.state_dict()
        return {
            **work,
            "trainer": {
                "wall_seconds": self.clock.wall_seconds,
                "logged": self._logged,
                "evaluated": self._evaluated,
                "unimproved": self._unimproved,
                "has_news": self._has_news,
                "best_score": None if self.best_score is None else self.best_score.tolist(),
                "best_state": self._best_state,
            },
            "clock": vars(self.clock),
            "logged_until": vars(self._logged_until),
        }

    def go_on(self, state: dict[str, Any] | None, checkpoint: Name | None) -> None:
        """Go on from the state of a checkpoint, if there is one; ``previous`` then takes the place of ``last``."""
        if state is None:
            return
        self.load_state_dict(state)
        if checkpoint == "previous" and self.checkpoints is not None:
            self.checkpoints.go_back()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where ``state_dict`` was taken."""
        with fitting("the checkpoint", TrainingError):
            self.workers.load_state_dict(state)
            self._load_own(state["trainer"], state["learner"])
            self._logged_until = logged_until(state) or self._logged_until

    def _load_own(self, own: dict[str, Any], learner: dict[str, Any]) -> None:
        scores = own.get("best_score")
        found = scores is not None
        seeds = seeds_of(learner) or (len(scores) if isinstance(scores, list) else 1)
        check(
            {
                "wall_seconds": 0.0,
                "logged": 0,
                "evaluated": 0,
                "unimproved": 0,
                "has_news": False,
                "best_score": [0.0] * seeds if found else None,
                "best_state": learner if found else {},
            },
            own,
            "trainer",
        )
        self._seconds_before = own["wall_seconds"]
        self._logged, self._evaluated, self._has_news = own["logged"], own["evaluated"], own["has_news"]
        self._unimproved = own["unimproved"]
        if found:
            self.best_score = np.array(scores)
            # A copy: loaded tensors keep their file open, and its space on disk in use.
            self._best_state = map_tensors(torch.clone, own["best_state"])
        self._is_saved = True
