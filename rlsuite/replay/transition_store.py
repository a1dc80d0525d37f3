"""A store of whole transitions, for vectors and small images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rlsuite.agent import TensorSpec
from rlsuite.experience import Batch, Step
from rlsuite.replay.n_step import NStepAccumulator
from rlsuite.replay.packing import Packing
from rlsuite.replay.replay import Changes
from rlsuite.replay.transition_rings import TransitionRings


class TransitionStore:
    """The newest ``capacity`` transitions of each of S seeds, with n-step returns.

    Only complete transitions are stored: phantom steps never are, and no window crosses the end of an episode, so
    any stored transition may be sampled.

    Args:
        capacity: transitions kept of each seed.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
        extras: of one environment, by name: what else the agent stores of each step.
        discount: g, one number or one for each seed ``[S]``.
        n_step: n, the steps of a transition.
        device: where the transitions live.

    Raises:
        ValueError: ``capacity`` is less than one vector step can bring, or another number is out of its range.
    """

    def __init__(
        self,
        capacity: int,
        *,
        seeds: int,
        num_envs: int,
        observation_shape: Sequence[int],
        observation_dtype: torch.dtype = torch.float32,
        action_shape: Sequence[int] = (),
        action_dtype: torch.dtype = torch.int64,
        extras: Mapping[str, TensorSpec] | None = None,
        discount: Tensor | float,
        n_step: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        if min(seeds, num_envs) < 1:
            raise ValueError(f"a replay needs at least one seed and one environment, not {seeds} and {num_envs}")
        if capacity < num_envs * n_step:
            raise ValueError(
                f"the replay's capacity must be at least num_envs * n_step = {num_envs * n_step} transitions, "
                f"not {capacity}"
            )
        self.capacity = self.slots = capacity
        self.warm_up_steps = n_step
        self.most_steps = capacity // num_envs - n_step + 1  # no two of their transitions have the same slot
        self._accumulator = NStepAccumulator(
            n_step,
            discount,
            seeds=seeds,
            num_envs=num_envs,
            observation_shape=observation_shape,
            observation_dtype=observation_dtype,
            action_shape=action_shape,
            action_dtype=action_dtype,
            extras=extras,
            device=device,
        )
        packing = Packing(observation_shape, observation_dtype, action_shape, action_dtype, extras)
        self._transitions = TransitionRings(seeds, capacity, packing, device)
        self._seed = torch.arange(seeds, device=device).unsqueeze(1)

    @property
    def size(self) -> Tensor:
        """Transitions that can be sampled, ``[S]`` int64 on the device."""
        return self._transitions.written.clamp(max=self.capacity)

    @property
    def nbytes(self) -> int:
        """Bytes that the transitions of all seeds take once the replay is full."""
        return self._transitions.nbytes

    def add(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        return self._append(*self._accumulator.push(observation, action, step, extras))

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store up to ``most_steps`` vector steps, axes ``[S, T, E, ...]``, as ``add`` would one after the other."""
        return self._append(*self._accumulator.extend(observation, action, step, extras))

    def cut(self, environments: Tensor | None = None) -> Changes:
        """End episodes, of the environments marked in bool ``[E]`` or of all, at their last stored step."""
        return self._append(*self._accumulator.flush(environments))

    def _append(self, transitions: Batch, complete: Tensor) -> Changes:
        position, appended = self._transitions.append(transitions, complete)
        return Changes(position % self.slots, appended)

    def slot(self, number: Tensor) -> Tensor:
        """Slots of the transitions number ``[S, B]``, counted from 0 below ``size``."""
        return number

    def read(self, slot: Tensor) -> Batch:
        """The transitions in slots ``[S, B]``."""
        return self._transitions.gather(self._seed, slot)

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part and the open windows. It may share memory: save it before the next ``add``."""
        return {"transitions": self._transitions.state_dict(), "accumulator": self._accumulator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by a store of another shape.
        """
        self._accumulator.load_state_dict(state["accumulator"])
        self._transitions.load_state_dict(state["transitions"])
