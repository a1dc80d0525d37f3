"""A replay of whole transitions, for vectors and small images, sampled uniformly."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.experience import Batch, Step
from rlsuite.replay.n_step import NStepAccumulator
from rlsuite.replay.packing import Packing
from rlsuite.replay.transitions import TransitionRings


class UniformReplay:
    """The newest ``capacity`` transitions of each of S seeds (Lin, 1992), with n-step returns.

    Only complete transitions are stored: phantom steps never are, and no window crosses the end of an episode, so
    any stored transition may be sampled. Everything is a fixed-shape tensor operation on state that is updated in
    place: ``add`` and ``sample`` can be compiled and captured, and never wait for the device.

    Args:
        capacity: transitions kept of each seed.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
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
        discount: Tensor | float,
        n_step: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        if min(seeds, num_envs) < 1:
            raise ValueError(f"a replay needs at least one seed and one environment, not {seeds} and {num_envs}")
        if capacity < num_envs * n_step:
            raise ValueError(
                f"capacity must be at least num_envs * n_step = {num_envs * n_step} transitions, not {capacity}"
            )
        self.capacity = capacity
        self._accumulator = NStepAccumulator(
            n_step,
            discount,
            seeds=seeds,
            num_envs=num_envs,
            observation_shape=observation_shape,
            observation_dtype=observation_dtype,
            action_shape=action_shape,
            action_dtype=action_dtype,
            device=device,
        )
        packing = Packing(observation_shape, observation_dtype, action_shape, action_dtype)
        self._transitions = TransitionRings(seeds, capacity, packing, device)
        self._seed = torch.arange(seeds, device=device).unsqueeze(1)

    @property
    def n_step(self) -> int:
        """Steps of a transition: an environment's first n steps make at least one."""
        return self._accumulator.n_step

    @property
    def size(self) -> Tensor:
        """Transitions that can be sampled, ``[S]`` int64 on the device."""
        return self._transitions.written.clamp(max=self.capacity)

    @property
    def nbytes(self) -> int:
        """Bytes that the transitions of all seeds take once the replay is full."""
        return self._transitions.nbytes

    def add(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        self._transitions.append(*self._accumulator.push(observation, action, step))

    def sample(self, batch_size: int, key: Tensor) -> Batch:
        """Transitions ``[S, batch_size, ...]`` drawn uniformly with replacement; ``key`` ``[S]`` is a random key.

        Every seed must hold at least one: this is not checked, since looking would wait for the device.
        """
        return self._transitions.gather(self._seed, random.integers(key, self.size.unsqueeze(1), batch_size))

    def cut(self) -> None:
        """End every environment's episode at its last stored step, as a truncation would; for gaps in the stream."""
        self._transitions.append(*self._accumulator.flush())

    def state_dict(self) -> dict[str, Any]:
        """What is filled, and the open windows. May share memory with the replay: save it before the next ``add``."""
        return {"transitions": self._transitions.state_dict(), "accumulator": self._accumulator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by a replay of another shape.
        """
        self._accumulator.load_state_dict(state["accumulator"])
        self._transitions.load_state_dict(state["transitions"])
