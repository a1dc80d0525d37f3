"""A replay (Lin, 1992): a store that keeps transitions, and a sampler that chooses among them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torch.utils._pytree import tree_map

from rlsuite import random
from rlsuite.experience import Step


class Changes(NamedTuple):
    """Slots of a store that one ``add`` or ``cut`` filled or emptied, with masks: all ``[S, C]``, int64 and bool."""

    filled_slot: Tensor
    filled: Tensor
    emptied_slot: Tensor | None = None  # besides those that were filled anew
    emptied: Tensor | None = None


class Store(Protocol):
    """Transitions of S seeds, in ``slots`` numbered slots of each."""

    slots: int
    warm_up_steps: int  # of every environment, after which there is something to read
    most_steps: int  # that ``extend`` takes at once

    @property
    def size(self) -> Tensor:
        """Transitions that can be read, ``[S]`` int64 on the device."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of all seeds once the store is full."""
        ...

    def add(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        ...

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store up to ``most_steps`` vector steps, axes ``[S, T, E, ...]``, as ``add`` would one after the other."""
        ...

    def cut(self, environments: Tensor | None = None) -> Changes:
        """End episodes at their last stored step, as a truncation would; for gaps in the stream.

        Args:
            environments: which, bool ``[E]``; all unless given.
        """
        ...

    def slot(self, number: Tensor) -> Tensor:
        """Slots of the transitions number ``[S, B]``, counted from 0 below ``size``."""
        ...

    def read(self, slot: Tensor) -> Any:
        """The transitions in slots ``[S, B]``, or the sequences: a ``Batch`` or a ``SequenceBatch``."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Sampler(Protocol):
    """Chooses which slots of a store are learned from."""

    @property
    def nbytes(self) -> int:
        """Bytes of what it remembers of all seeds."""
        ...

    @property
    def compilable(self) -> bool:
        """Whether its compiled code is known to be right on its device."""
        ...

    def note(self, changes: Changes) -> None:
        """Take note of what the store holds now."""
        ...

    def draw(self, store: Store, batch_size: int, key: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Slots ``[S, batch_size]``, and what the batch says of the draw (``index``, ``weight``)."""
        ...

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Take note of how much ``[S, B]`` there was to learn from a batch that was drawn."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Uniform:
    """Draws all transitions of a seed alike, with replacement."""

    nbytes = 0
    compilable = True

    def note(self, changes: Changes) -> None:
        """Nothing depends on which slots are filled."""

    def draw(self, store: Store, batch_size: int, key: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return store.slot(random.integers(key, store.size.unsqueeze(1), batch_size)), {}

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Priorities change nothing."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is none."""


class Replay:
    """Stores steps and samples transitions.

    Everything is a fixed-shape tensor operation on state that is updated in place: ``add``, ``sample`` and
    ``feedback`` can be compiled and captured, and never wait for the device.

    Args:
        batch_size: transitions of a batch, for each seed.
        sampler: by default ``Uniform``.
    """

    def __init__(self, store: Store, batch_size: int, sampler: Sampler | None = None) -> None:
        self.store, self.batch_size = store, batch_size
        self.sampler: Sampler = Uniform() if sampler is None else sampler

    @property
    def size(self) -> Tensor:
        """Transitions that can be sampled, ``[S]`` int64 on the device."""
        return self.store.size

    @property
    def nbytes(self) -> int:
        """Bytes that all seeds take once the replay is full."""
        return self.store.nbytes + self.sampler.nbytes

    @property
    def compilable(self) -> bool:
        """Whether compiled code of it is known to be right on its device."""
        return self.sampler.compilable

    def add(self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None) -> None:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        self.sampler.note(self.store.add(observation, action, step, extras))

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> None:
        """Store T vector steps, axes ``[S, T, E, ...]``: the same as T times ``add``, and quicker.

        Observations may be without what the store does not keep of them: see ``FrameStore``.
        """
        most, whole = self.store.most_steps, (observation, action, step, dict(extras or {}))
        for begin in range(0, action.shape[1], most):
            end = begin + most
            part = whole if most >= action.shape[1] else tree_map(lambda each: each[:, begin:end], whole)  # noqa: B023
            self.sampler.note(self.store.extend(*part))

    def sample(self, key: Tensor) -> Any:
        """Transitions ``[S, batch_size, ...]``; ``key`` ``[S]`` is a random key.

        Observations may share memory with each other: do not write to them. Every seed must hold a transition: this
        is not checked, since looking would wait for the device.
        """
        slot, extras = self.sampler.draw(self.store, self.batch_size, key)
        batch = self.store.read(slot)
        return replace(batch, extras=batch.extras | extras) if extras else batch

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Tell the sampler how much there was to learn from each transition of a batch: ``priority`` ``[S, B]``."""
        self.sampler.feedback(batch, priority)

    def cut(self, environments: Tensor | None = None) -> None:
        """End episodes at their last stored step, as a truncation would; for gaps in the stream.

        Args:
            environments: which, bool ``[E]``; all unless given.
        """
        self.sampler.note(self.store.cut(environments))

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part, open windows and priorities. It may share memory: save it before ``add``."""
        return {**self.store.state_dict(), "sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by a replay of another shape.
        """
        self.store.load_state_dict({name: entry for name, entry in state.items() if name != "sampler"})
        self.sampler.load_state_dict(state["sampler"])
