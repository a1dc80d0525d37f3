"""A learner and its source at work: rounds of experience and updates, and what was measured meanwhile."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlsuite.state import check, check_tensor
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.memory import keep_freed_memory
from rlsuite.training.stopwatch import Stopwatch

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
Metrics = Mapping[str, Tensor]
Measured = dict[str, np.ndarray | float]
Unit = Literal["env_steps", "updates"]

_STRETCH_SECONDS = 0.25  # how long ``advance`` works before it lets the caller look up


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

    def statistics(self) -> Measured:
        """Per-seed numbers gathered since the last call (episode returns, time spent); resets them."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class RoundSource(Source[B_co], Protocol[B_co]):
    """A source whose rounds are short, and tensor operations only: one region can hold a round and its updates."""

    updates_a_round: int

    @property
    def is_warm(self) -> bool:
        """Whether the next round pays for updates."""
        ...

    def gather(self) -> None:
        """``collect`` without what the host keeps count of."""
        ...

    def count(self) -> int:
        """What ``collect`` counts on the host; returns what it returns."""
        ...


class TrainingError(Exception):
    """Training cannot go on; the message says where and why, for people."""


class Worker(Generic[B]):
    """What the ``Trainer`` sets to work: a learner and its source in this process; ``Tiles`` is several as one.

    Args:
        learner, source: see the protocols.
        evaluation: called with nothing, returns per-seed numbers ``[S]``.
        confirmation: the same by other, and more, episodes.
        seeds: their names, for messages.
        execution: of sampling and updating; they must be tensor operations only where this is not "eager".
        rounds: the source again, where all of a round is to be one region.
    """

    def __init__(
        self,
        learner: Learner[B],
        source: Source[B],
        evaluation: Callable[[], dict[str, np.ndarray]] | None = None,
        seeds: Sequence[int] | None = None,
        execution: Execution = "eager",
        rounds: RoundSource[B] | None = None,
        confirmation: Callable[[], dict[str, np.ndarray]] | None = None,
    ) -> None:
        keep_freed_memory()
        self.learner, self.source, self.seeds = learner, source, seeds
        self.evaluation, self.confirmation = evaluation, confirmation
        self.updates = 0
        self._sums: dict[str, Tensor] = {}
        self._keeps_sums = execution != "eager"  # regions add to the same tensors each time
        self._summed = 0
        self._watch = Stopwatch()
        # Where rounds are regions, only the few before the source is warm are not.
        self._rounds = rounds
        self._whole_round = compiled(self._gather_and_learn, execution)
        self._learn = compiled(self._sample_and_update, execution if rounds is None else "eager")

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
        # The first updates run as they are: what regions add to must be there before.
        if self._rounds is not None and self._rounds.is_warm:
            with self._watch("round"):
                self._whole_round() if self._sums else self._gather_and_learn()
                self._count(self._rounds.count())
            return
        for _ in range(self.source.collect()):
            with self._watch("learn"):
                self._learn() if self._sums else self._sample_and_update()
                self._count(1)

    def _gather_and_learn(self) -> None:
        assert self._rounds is not None
        self._rounds.gather()
        for _ in range(self._rounds.updates_a_round):
            self._sample_and_update()

    def _sample_and_update(self) -> None:
        with self._watch("sample"):
            batch = self.source.sample()
        with self._watch("learn"):
            metrics = self.learner.update(batch)
        # Sums stay on the device; they are fetched once per log interval.
        for name, value in metrics.items():
            if name in self._sums:
                self._sums[name].add_(value)
            else:
                self._sums[name] = value.clone()

    def _count(self, updates: int) -> None:
        self._summed += updates
        self.updates += updates

    def measurements(self) -> Measured:
        """Means since the last call of what updates returned, and the source's statistics; starts over.

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
        if not self._keeps_sums:
            self._sums = {}  # the updates to come may have other metrics
        for total in self._sums.values():
            total.zero_()

    def require_finite(self) -> None:
        """Raises ``TrainingError`` where a metric since the last log, or a number of the learner, is not finite.

        What one bad update spoils shows in the metrics of the next, and at once in the parameters.
        """
        for name, tensor in (*self._sums.items(), *_tensors(self.learner.state_dict())):
            bad = ~torch.isfinite(tensor)
            if bad.any():
                where = f"env step {self.env_steps}, update {self.updates}"
                if bad.dim() > 0:
                    rows = bad.flatten(1).any(1) if bad.dim() > 1 else bad
                    where += f" (seeds {self._names(rows.nonzero().flatten().tolist())})"
                raise TrainingError(f"{name} is not finite at {where}")

    def _names(self, rows: list[int]) -> list[int]:
        return rows if self.seeds is None else [self.seeds[row] for row in rows]

    def evaluate(self) -> dict[str, np.ndarray]:
        """Per-seed numbers ``[S]``; ``"evaluation/score"`` among them decides which checkpoint is the best."""
        return {} if self.evaluation is None else self.evaluation()

    def confirm(self) -> dict[str, np.ndarray]:
        """As ``evaluate``, by other and more episodes; nothing where there is no such thing."""
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
            "sums": {name.replace("/", "."): total for name, total in self._sums.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "tiles" in state:
            raise ValueError(f"the checkpoint is one of {len(state['tiles'])} tiles, this run has 1")
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
