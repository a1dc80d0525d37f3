"""A store for stacked pixels that keeps each frame once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from rlsuite.agent import TensorSpec
from rlsuite.experience import Batch, Step
from rlsuite.replay.n_step import NStepAccumulator
from rlsuite.replay.packing import Packing
from rlsuite.replay.replay import Changes
from rlsuite.replay.rings import Rings, by_ring
from rlsuite.replay.transition_rings import TransitionRings
from rlsuite.state import StateError, check, check_counts


class FrameStore:
    """The newest steps of S seeds for observations ``[S, E, stack, *frame]`` uint8, one stored frame a step.

    Each environment has a ring of frames. An episode of T steps lies in it as T + 1 frames side by side, its last
    observation included; the next episode's first frame follows. Beside it lies a ring of transitions, in which an
    observation is a list of frames; stacks are put together when they are read.

    Of each ring, exactly the transitions whose frames are all still there may be read. They are its newest ones
    without a gap, so that a uniform draw over all of a seed is one random number and two look-ups, with no retries.

    Args:
        capacity: env steps kept of each seed, over all its environments; the last observation of an episode takes
            the place of a step.
        seeds, num_envs: S and E.
        stack: frames of an observation, the oldest first.
        frame_shape: of one frame: (84, 84) say; or (3, 84, 84), whose channels observations have joined to the stack,
            ``[S, E, stack * 3, 84, 84]``.
        action_shape, action_dtype: of one environment.
        extras: of one environment, by name: what else the agent stores of each step.
        discount: g, one number or one for each seed ``[S]``.
        n_step: n, the steps of a transition.
        padding: what an observation shows before the first frame of its episode: "zero" for black frames as ALE's
            vector environment does, "first" for that frame again as Gymnasium's ``FrameStackObservation`` does.
        device: where the frames live. On the CPU memory is taken as the replay fills.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        capacity: int,
        *,
        seeds: int,
        num_envs: int,
        stack: int,
        frame_shape: Sequence[int],
        action_shape: Sequence[int] = (),
        action_dtype: torch.dtype = torch.int64,
        extras: Mapping[str, TensorSpec] | None = None,
        discount: Tensor | float,
        n_step: int = 1,
        padding: Literal["zero", "first"] = "zero",
        device: torch.device | str = "cpu",
    ) -> None:
        if min(seeds, num_envs, stack) < 1:
            raise ValueError(f"seeds, num_envs and stack must be positive, not {seeds}, {num_envs} and {stack}")
        if capacity < num_envs:
            raise ValueError(f"capacity must be at least one env step an environment, {num_envs}, not {capacity}")
        if padding not in ("zero", "first"):
            raise ValueError(f'padding must be "zero" or "first", not {padding!r}')
        self.capacity, self.stack, self.padding = capacity, stack, padding
        self._shape = (seeds, num_envs)
        self._has_channels = len(frame_shape) == 3
        self._channels = frame_shape[0] if self._has_channels else 1  # along the axis of the stack, of each frame
        # Past the frames of the steps to keep, room for the oldest one's stack, the newest one's window, and the slot
        # that the next observation goes to.
        slots = -(-capacity // num_envs) + stack + n_step
        # An observation is the position of the oldest frame it needs, then the table row of each frame of its stack.
        pointers: dict[str, Any] = {"observation_shape": (1 + stack,), "observation_dtype": torch.int64}
        actions: dict[str, Any] = {"action_shape": action_shape, "action_dtype": action_dtype, "extras": extras}
        self.warm_up_steps = n_step
        # With so many none of their frames takes the place of another, nor of one that they need.
        self.most_steps = max(1, (slots - stack - n_step) // 2)
        self._accumulator = NStepAccumulator(
            n_step, discount, seeds=seeds, num_envs=num_envs, **pointers, **actions, device=device
        )
        rings = seeds * num_envs
        self.slots = num_envs * slots  # of a seed: environment e's ring has the slots from e * slots on
        self._frames = Rings(rings, slots, [(frame_shape, torch.uint8)], device)
        self._transitions = TransitionRings(rings, slots, Packing(**pointers, **actions), device)
        self._ring = torch.arange(rings, device=device)
        self._first_ring = torch.arange(0, rings, num_envs, device=device)  # of each seed
        self._back = torch.arange(1 - stack, 1, device=device)
        # One step on, the stack is the same but for its newest frame: stack + 1 frames hold both.
        self._next_rows = slice(stack, None) if n_step == 1 else slice(1, None)
        self._state = {
            "position": torch.zeros(rings, dtype=torch.int64, device=device),  # of the frame to act on
            "first": torch.zeros(rings, dtype=torch.int64, device=device),  # position of its episode's first frame
            "forgotten": torch.zeros(rings, dtype=torch.int64, device=device),  # transitions that lost a frame
        }
        # A draw d of a seed is transition d + _shift[e] of its environment e, the first with d < _end[e].
        self._end = torch.zeros(seeds, num_envs, dtype=torch.int64, device=device)
        self._shift = torch.zeros(seeds, num_envs, dtype=torch.int64, device=device)

    @property
    def size(self) -> Tensor:
        """Transitions that can be sampled, ``[S]`` int64 on the device."""
        return self._end[:, -1].clone()

    @property
    def nbytes(self) -> int:
        """Bytes that the frames and transitions of all seeds take once the replay is full."""
        return self._frames.nbytes + self._transitions.nbytes

    def add(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store the step that followed ``action`` ``[S, E, ...]`` in ``observation`` ``[S, E, stack, *frame]``.

        At the first step of an episode only the newest frame of ``observation`` counts; see ``padding``.
        """
        position, first = self._state["position"], self._state["first"]
        valid, ended = step.valid.flatten(), (step.valid & step.ended).flatten()
        self._write(position, observation, valid)
        # An observation that is acted on next will be written again, by the next step, with the same content.
        self._write(position + 1, step.next_observation, valid)
        filled = self._transitions.append(
            *self._accumulator.push(
                self._pointers(position, first),
                action,
                replace(step, next_observation=self._pointers(position + 1, first)),
                extras,
            )
        )
        position.add_(valid.long() + ended.long())
        first.copy_(torch.where(ended, position, first))
        return Changes(*self._numbered(*filled), *self._numbered(*self._forget(1)))

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store up to ``most_steps`` vector steps, axes ``[S, T, E, ...]``, as ``add`` would one after the other.

        Of observations only the newest frame is kept: the others may be left out.
        """
        valid, ended = by_ring(step.valid), by_ring(step.valid & step.ended)
        moved = (valid.long() + ended.long()).cumsum(dim=1)
        after = self._state["position"].unsqueeze(1) + moved
        position = torch.cat([self._state["position"].unsqueeze(1), after[:, :-1]], dim=1)
        begun = torch.cat([self._state["first"].unsqueeze(1), torch.where(ended, after, 0)], dim=1).cummax(dim=1).values
        first = begun[:, :-1]
        self._frames.write(position, valid, [by_ring(observation[:, :, :, -self._channels :])])
        # Other next observations are acted on in the step that follows.
        is_newest = moved == moved[:, -1:]
        last = valid & (ended | is_newest)
        self._frames.write_few(position + 1, last, [by_ring(step.next_observation[:, :, :, -self._channels :])])
        windows, complete = self._accumulator.extend(
            self._pointers(position, first),
            action,
            replace(step, next_observation=self._pointers(position + 1, first)),
            extras,
        )
        filled = self._transitions.append(
            tree_map(lambda each: each.transpose(1, 2), windows), complete.transpose(1, 2)
        )
        self._state["position"].copy_(after[:, -1])
        self._state["first"].copy_(begun[:, -1])
        return Changes(*self._numbered(*filled), *self._numbered(*self._forget(valid.shape[1])))

    def slot(self, number: Tensor) -> Tensor:
        """Slots of the transitions number ``[S, B]``, counted from 0 below ``size``."""
        number = number.contiguous()  # as searchsorted wants it
        environment = torch.searchsorted(self._end, number, right=True).clamp(max=self._shape[1] - 1)
        position = number + self._shift.gather(1, environment)
        return environment * self._frames.slots + position % self._frames.slots

    def read(self, slot: Tensor) -> Batch:
        """The transitions in slots ``[S, B]``.

        ``observation`` and ``next_observation`` ``[S, B, stack, *frame]`` may share memory: do not write to them.
        """
        drawn = self._transitions.read(self._first_ring.unsqueeze(1), slot)
        rows = torch.cat([drawn.observation[..., 1:], drawn.next_observation[..., self._next_rows]], dim=-1)
        frames = self._frames.read(rows)[0]
        if self._has_channels:
            frames = frames.flatten(2, 3)
        shown = self.stack * self._channels
        return Batch(
            observation=frames[:, :, :shown],
            action=drawn.action,
            reward=drawn.reward,
            discount=drawn.discount,
            next_observation=frames[:, :, -shown:],
            extras=drawn.extras,
        )

    def _numbered(self, position: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Positions in rings and which of them count, ``[R, C]``, as slots of seeds ``[S, E * C]``."""
        slot = position % self._frames.slots + (self._ring % self._shape[1] * self._frames.slots).unsqueeze(1)
        return slot.view(self._shape[0], -1), chosen.reshape(self._shape[0], -1)

    def cut(self, environments: Tensor | None = None) -> Changes:
        """End episodes, of the environments marked in bool ``[E]`` or of all, at their last stored step."""
        filled = self._transitions.append(*self._accumulator.flush(environments))
        position, first = self._state["position"], self._state["first"]
        # Where the episode has a step, the frame to act on becomes its last observation.
        ended = position > first
        if environments is not None:
            ended = ended & environments.repeat(self._shape[0])
        position.add_(ended.long())
        first.copy_(torch.where(ended, position, first))
        return Changes(*self._numbered(*filled), *self._numbered(*self._forget(1)))

    def _write(self, position: Tensor, observation: Tensor, valid: Tensor) -> None:
        newest_frame = observation[:, :, -self._channels :]
        self._frames.write(position.unsqueeze(1), valid.unsqueeze(1), [newest_frame])

    def _pointers(self, position: Tensor, first: Tensor) -> Tensor:
        """The observations ``[S, E, 1 + stack]`` that end at ``position``, of episodes that began at ``first``.

        Where these are ``[R, T]`` instead of ``[R]``, the observations are ``[S, T, E, 1 + stack]``.
        """
        steps = position.shape[1:]
        ring = self._ring.view(-1, *[1] * position.dim())
        first = first.unsqueeze(-1)
        stack = position.unsqueeze(-1) + self._back
        row = self._frames.row(ring, torch.maximum(stack, first))
        if self.padding == "zero":
            row = torch.where(stack < first, self._frames.blank_row, row)
        oldest = torch.maximum(stack[..., :1], first)
        found = torch.cat([oldest, row], dim=-1).view(*self._shape, *steps, -1)
        return found.transpose(1, 2) if steps else found

    def _forget(self, steps: int) -> tuple[Tensor, Tensor]:
        """Pass over the transitions whose oldest frame has been overwritten, or will be by the next observation.

        Returns the positions of candidates and which of them were passed over, ``[R, 2 * steps + stack - 1]``.
        """
        oldest_kept = (self._state["position"] + 1 - self._frames.slots).unsqueeze(1)
        written = self._transitions.written.unsqueeze(1)
        # A step takes at most two slots. Losing an episode's first frame ends as many transitions as the stack has
        # frames, losing any other frame ends at most one.
        candidates = torch.arange(2 * steps + self.stack - 1, device=self._ring.device)
        number = self._state["forgotten"].unsqueeze(1) + candidates
        oldest_needed = self._transitions.gather(self._ring.unsqueeze(1), number).observation[..., 0]
        lost = (oldest_needed < oldest_kept) & (number < written)
        if steps > 1:
            lost |= number < written - self._frames.slots  # newer transitions have their places already
        self._state["forgotten"].add_(lost.sum(dim=1))
        self._count()
        return number, lost

    def _count(self) -> None:
        oldest = self._state["forgotten"].view(self._shape)
        live = self._transitions.written.view(self._shape) - oldest
        self._end.copy_(live.cumsum(dim=1))
        self._shift.copy_(oldest + live - self._end)

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part and the open windows. It may share memory: save it before the next ``add``."""
        return {
            **{name: value.clone() for name, value in self._state.items()},
            "frames": self._frames.state_dict(self._state["position"] + 1),
            "transitions": self._transitions.state_dict(),
            "accumulator": self._accumulator.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by a store of another shape.
        """
        check(self._state | {name: state[name] for name in ("accumulator", "transitions", "frames")}, state, "replay")
        for name in self._state:
            check_counts(state[name], name)
        self._accumulator.load_state_dict(state["accumulator"])
        self._transitions.load_state_dict(state["transitions"])
        self._frames.load_state_dict(state["frames"], state["position"] + 1)
        for name, value in self._state.items():
            value.copy_(state[name])
        if (self._state["forgotten"] > self._transitions.written).any():
            raise StateError("the replay has forgotten more transitions than it was given")
        self._count()
