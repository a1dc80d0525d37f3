"""A worker: alternates experience and updates of a learner and its source, and collects their metrics."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlsuite.agent import described
from rlsuite.state import check, check_tensor, dotted
from rlsuite.training.memory import keep_freed_memory
from rlsuite.training.per_seed import check_seeds_axis
from rlsuite.training.stopwatch import Stopwatch

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
Metrics = Mapping[str, Tensor]
Measured = dict[str, np.ndarray | float]
Unit = Literal["env_steps", "updates"]

_STRETCH_SECONDS = 0.25  # time after which ``advance`` returns to its caller


class Learner(Protocol[B_contra]):
    """Parameters and optimisers, and how one batch changes them."""

    def update(self, batch: B_contra) -> Metrics | tuple[Metrics, Tensor]:
        """Learn from one batch.

        Returns:
            Per-seed numbers ``[S]`` to log, still on the device; and, from learners that prefer what surprises them,
            the priority ``[S, B]`` of each element of the batch.
        """
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Source(Protocol[B_co]):
    """A source of batches: environments with a replay or rollout, a data set, the path of an economy."""

    env_steps: int  # taken so far, per seed; 0 for sources without environments

    @property
    def updates_due(self) -> int:
        """Updates that the next round pays for, or the one under way; 0 while warming up."""
        ...

    def collect(self) -> None:
        """Gather the experience of a round."""
        ...

    def finish_round(self) -> None:
        """Count the round: its experience has been gathered and learned from."""
        ...

    def sample(self) -> B_co:
        """A batch of what was gathered."""
        ...

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Take note of the priorities ``[S, B]`` that an update gave its batch."""
        ...

    def statistics(self) -> Measured:
        """Per-seed numbers gathered since the last call (episode returns, time spent); resets them."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class TrainingError(Exception):
    """Training cannot go on; the message says where and why, for people."""


class Worker(Generic[B]):
    """A learner and its source in this process, driven by a ``Trainer``; ``Shards`` combines several.

    Args:
        learner, source: see the protocols.
        evaluation: called with nothing, returns per-seed numbers ``[S]``.
        confirmation: the same by other, and more, episodes.
        seeds: their names, for messages.
        same_metrics: whether every update returns the same metrics.
    """

    def __init__(
        self,
        learner: Learner[B],
        source: Source[B],
        evaluation: Callable[[], dict[str, np.ndarray]] | None = None,
        seeds: Sequence[int] | None = None,
        same_metrics: bool = True,
        confirmation: Callable[[], dict[str, np.ndarray]] | None = None,
    ) -> None:
        keep_freed_memory()
        state = learner.state_dict()
        if seeds is not None:
            check_seeds_axis(state, len(seeds))
        self.learner, self.source, self.seeds = learner, source, seeds
        self.evaluation, self.confirmation = evaluation, confirmation
        self.updates = 0
        self._due = 0  # updates of the round under way
        self._same_metrics = same_metrics
        self._sums: dict[str, Tensor] = {}  # sums of metrics since the last log
        self._summed = 0
        device = next((tensor.device for _, tensor in _tensors(state)), None)
        # Seeds with a priority that none can have; looked at where metrics are, so that no update waits for the device.
        self._has_bad_priority = torch.zeros(len(seeds or ()) or 1, dtype=torch.bool, device=device)
        self._watch = Stopwatch()

    @property
    def env_steps(self) -> int:
        return self.source.env_steps

    def progress(self, unit: Unit) -> int:
        return self.env_steps if unit == "env_steps" else self.updates

    def advance(self, goal: int, unit: Unit = "env_steps") -> None:
        """Rounds until ``goal`` env steps or updates are reached, or some time has passed."""
        pause_at = time.monotonic() + _STRETCH_SECONDS
        while self.progress(unit) < goal:
            self._round()
            if time.monotonic() > pause_at:
                break

    def _round(self) -> None:
        self._due = self.source.updates_due
        with self._watch("round"):
            if self._due:
                self.collect_and_learn()
            else:
                self.source.collect()
        self.source.finish_round()
        self.updates += self._due
        self._summed += self._due

    def collect_and_learn(self) -> None:
        """Gather experience, and take the updates that it pays for."""
        self.source.collect()
        for _ in range(self._due):
            with self._watch("learn"):
                self.learn()

    def learn(self) -> None:
        """One update on a batch of the source."""
        with self._watch("sample"):
            batch = self.source.sample()
        with self._watch("learn"):
            result = self.learner.update(batch)
        metrics, priority = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        self._check_update(batch, metrics, priority)
        if priority is not None:
            bad = ~((priority >= 0) & (priority < math.inf))
            self._has_bad_priority.logical_or_(bad.reshape(len(self._has_bad_priority), -1).any(dim=1))
            self.source.feedback(batch, priority)
        # Sums stay on the device; they are fetched once per log interval.
        for name, value in metrics.items():
            if name in self._sums:
                self._sums[name].add_(value)
            else:
                self._sums[name] = value.clone()

    def _check_update(self, batch: Any, metrics: Any, priority: Any) -> None:
        """Compare what ``update`` returned with what is due; for learners that are being written.

        Raises:
            TrainingError: the first part that does not fit, by name.
        """
        name = f"{type(self.learner).__name__}.update"
        if not isinstance(metrics, Mapping):
            raise TrainingError(
                f"{name} returned {type(metrics).__name__} instead of metrics, or (metrics, priorities)"
            )
        for key, value in metrics.items():
            if not isinstance(value, Tensor) or value.dim() != 1 or len(value) != len(self.seeds or value):
                seeds = "" if self.seeds is None else f" of the run's {len(self.seeds)} seeds"
                raise TrainingError(f"{name} returned {key!r} {described(value)}: it must be a number for each{seeds}")
        wanted = getattr(batch, "extras", {}).get("weight")
        if wanted is not None and (not isinstance(priority, Tensor) or priority.shape != wanted.shape):
            raise TrainingError(
                f"{name} returned priorities {described(priority)}, where prioritised replay needs "
                f"{tuple(wanted.shape)}: return (metrics, priorities), or set --replay-priority-exponent 0"
            )

    @property
    def has_sums(self) -> bool:
        """Whether an update has been taken, which allocates the sums that later ones add to."""
        return bool(self._sums)

    def measurements(self) -> Measured:
        """Return the means of metrics since the last call and the source's statistics, and reset both.

        Raises:
            TrainingError: a number is not finite.
        """
        self.require_finite()
        values: Measured = dict(self.source.statistics())
        for name, total in self._sums.items() if self._summed else ():
            values[name] = (total / self._summed).cpu().numpy()
        self._start_sums_over()
        return values | self._watch.fractions()

    def _start_sums_over(self) -> None:
        self._summed = 0
        if not self._same_metrics:
            self._sums = {}
        for total in self._sums.values():
            total.zero_()

    def require_finite(self) -> None:
        """Raise ``TrainingError`` if a metric since the last log, or a number of the learner, is not finite.

        The effects of a bad update show at once in the parameters, and in the metrics of the next update. Priorities
        must not be negative either.
        """
        if self._has_bad_priority.any():
            what = f"{type(self.learner).__name__}.update returned a priority that is negative or not finite, by"
            raise TrainingError(f"{what} {self._where(self._has_bad_priority)}")
        for name, tensor in (*self._sums.items(), *_tensors(self.learner.state_dict())):
            bad = ~torch.isfinite(tensor)
            if bad.any():
                raise TrainingError(
                    f"training has diverged: {name} is not finite at {self._where(bad)}. Resumed, it would do so "
                    "again: start a new run, such as with a lower learning rate"
                )

    def _where(self, bad: Tensor) -> str:
        """The place of what is bad ``[S, ...]``, for people."""
        where = f"env step {self.env_steps}, update {self.updates}" if self.env_steps else f"update {self.updates}"
        if bad.dim() == 0:
            return where
        rows = bad.flatten(1).any(1) if bad.dim() > 1 else bad
        return f"{where} (seeds {self._names(rows.nonzero().flatten().tolist())})"

    def _names(self, rows: list[int]) -> list[int]:
        return rows if self.seeds is None else [self.seeds[row] for row in rows]

    def evaluate(self) -> dict[str, np.ndarray]:
        """Per-seed numbers ``[S]``; ``"evaluation/score"`` among them decides which checkpoint is the best."""
        values = {} if self.evaluation is None else self.evaluation()
        self.heed(values)
        return values

    def heed(self, values: dict[str, np.ndarray]) -> None:
        """Tell the learner the scores of an evaluation, if it learns otherwise for them."""
        if "evaluation/score" in values and hasattr(self.learner, "validated"):
            self.learner.validated(torch.as_tensor(values["evaluation/score"]))

    def confirm(self) -> dict[str, np.ndarray]:
        """Evaluate by other and more episodes; return nothing if there is no confirmation."""
        return {} if self.confirmation is None else self.confirmation()

    def learner_state(self) -> dict[str, Any]:
        """The learner's part of ``state_dict``, to be kept as the best so far.

        Raises:
            TrainingError: a number is not finite.
        """
        self.require_finite()
        return self.learner.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here.

        Raises:
            TrainingError: a number is not finite.
        """
        self.require_finite()
        return {
            "learner": self.learner.state_dict(),
            "source": self.source.state_dict(),
            "updates": self.updates,
            "summed": self._summed,
            "sums": dotted(self._sums),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "shards" in state:
            raise ValueError(f"the checkpoint is one of {len(state['shards'])} shards, this run has 1")
        if "ranks" in state:
            raise ValueError(f"the checkpoint is one of {len(state['ranks']) + 1} ranks: torchrun goes on with it")
        check({"updates": 0, "summed": 0}, {name: state[name] for name in ("updates", "summed")})
        self.learner.load_state_dict(state["learner"])
        self.source.load_state_dict(state["source"])
        self.updates = state["updates"]
        self._start_sums_over()
        self._summed = state["summed"]
        for name, total in state["sums"].items():
            check_tensor(total, (None if self.seeds is None else len(self.seeds),), total.dtype, f"sums/{name}")
            self._sums.setdefault(name.replace(".", "/"), torch.zeros_like(total)).copy_(total)

    def close(self) -> None:
        self.source.close()


def _tensors(state: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a nested state, each with a name for people."""
    for name, entry in state.items():
        if isinstance(entry, dict):
            yield from ((f"{inner} of {name}", tensor) for inner, tensor in _tensors(entry))
        elif isinstance(entry, Tensor):
            yield name, entry
