"""A store of sequences for recurrent agents (Kapturowski et al., 2019), and n-step targets over them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlsuite.agent import TensorSpec
from rlsuite.experience import Step
from rlsuite.replay.replay import Changes
from rlsuite.replay.rings import Rings, by_ring
from rlsuite.spaces import Padding
from rlsuite.state import check, check_counts

_OLDEST = 255  # age at which rows stop counting


@dataclass(frozen=True)
class SequenceBatch:
    """Windows of L rows in the order of time, axes ``[S, B, L, ...]``.

    An episode of T steps has T + 1 rows: where it ends, its last observation follows as a row that is not ``valid``,
    without an action. The next episode's rows come after it, so that every window has L rows. Where a window begins
    with such a row, its ``extras`` mean nothing, and are not needed: what follows begins anew.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor  # float32
    bootstrap: Tensor  # bool: the value of the next row counts
    valid: Tensor  # bool: False for the last observation of an episode
    began: Tensor  # bool: the first row of its episode
    extras: dict[str, Tensor] = field(default_factory=dict)  # [S, B, ...], of the first row, and of the sampler


torch.export.register_dataclass(SequenceBatch)


class SequenceStore:
    """The newest steps of S seeds, read as windows that begin every ``period`` rows of an environment.

    Each environment has a ring of rows. A window can be read once its last row is written and until its first row is
    overwritten; windows cross the ends of episodes, which ``began`` and ``valid`` mark. Steps that only reset are never
    stored.

    Args:
        capacity: rows kept of each seed, over all its environments.
        length: L, rows of a window.
        period: rows between the beginnings of two windows; less than ``length`` where they overlap.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
        stack: frames in an observation, the oldest first along its first axis; each frame is kept once.
        padding: what a stack shows before the first frame of its episode: "zero" for zeros, "first" for that frame.
        extras: of one environment, by name: what the agent stores of each window's first row.
        device: where the rows live. On the CPU memory is taken as the store fills.

    Raises:
        ValueError: a number is out of its range, or a window does not fit into an environment's share of ``capacity``.
    """

    def __init__(
        self,
        capacity: int,
        *,
        length: int,
        period: int,
        seeds: int,
        num_envs: int,
        observation_shape: Sequence[int],
        observation_dtype: torch.dtype = torch.float32,
        action_shape: Sequence[int] = (),
        action_dtype: torch.dtype = torch.int64,
        stack: int = 1,
        padding: Padding = "zero",
        extras: Mapping[str, TensorSpec] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if min(seeds, num_envs, length, period) < 1:
            raise ValueError(
                f"seeds, num_envs, length and period must be positive, not {seeds}, {num_envs}, {length} and {period}"
            )
        share = capacity // num_envs
        if share < length:
            raise ValueError(
                f"capacity {capacity} keeps {share} steps of each of {num_envs} environments: a window has {length}"
            )
        self.length, self.period, self.stack, self.padding = length, period, stack, padding
        self.warm_up_steps = length
        self._shape = (seeds, num_envs)
        rings = seeds * num_envs
        # Of each ring, a whole number of windows' beginnings: past the rows to keep, room for the two of a step and
        # for the frames that the oldest row's stack shows besides its own.
        rows = max(share + 2 + stack - 1, length + stack + period - 1)  # with so many, one window is always whole
        self._windows = math.ceil(rows / period)
        self.slots = num_envs * self._windows  # of a seed: environment e's windows from e * windows on
        flag = ((), torch.uint8)
        # With so many no row takes the place of another, and no window that comes is gone at once.
        self.most_steps = max(1, (self._windows * period - length - stack - period) // 2)
        self._rows = Rings(
            rings,
            self._windows * period,
            [(tuple(action_shape), action_dtype), ((), torch.float32), flag, flag, ((), torch.uint8)],
            device,
        )
        frame = (observation_shape[0] // stack, *observation_shape[1:]) if stack > 1 else tuple(observation_shape)
        self._frame_shape = frame
        self._frames = Rings(rings, self._rows.slots, [(frame, observation_dtype)], device)
        self._back = torch.arange(stack - 1, -1, -1, device=device)
        self._extras = dict(extras or {})
        self._firsts = Rings(rings, self._windows, list(self._extras.values()), device)
        self._ring = torch.arange(rings, device=device)
        self._within = torch.arange(length, device=device)
        self._state = {
            "written": torch.zeros(rings, dtype=torch.int64, device=device),  # rows, ever
            "age": torch.zeros(rings, dtype=torch.int64, device=device),  # rows that the episode has so far
        }
        # A draw d of a seed is window d + _shift[e] of its environment e, the first with d < _end[e].
        self._end = torch.zeros(seeds, num_envs, dtype=torch.int64, device=device)
        self._shift = torch.zeros(seeds, num_envs, dtype=torch.int64, device=device)

    @property
    def size(self) -> Tensor:
        """Windows that can be read, ``[S]`` int64 on the device."""
        return self._end[:, -1].clone()

    @property
    def nbytes(self) -> int:
        """Bytes that the rows of all seeds take once the store is full."""
        return self._frames.nbytes + self._rows.nbytes + self._firsts.nbytes

    def add(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        written, age = self._state["written"], self._state["age"]
        valid, ended = step.valid.flatten(), (step.valid & step.ended).flatten()
        position, keep = written.unsqueeze(1), valid.unsqueeze(1)
        yes, no = torch.ones_like(valid), torch.zeros_like(valid)
        self._write(position, keep, observation, action, step.reward, step.bootstrap, yes, age)
        # Should the episode end here, its last observation is there; else the next step is written over it.
        nothing = torch.zeros_like(step.reward)
        self._write(position + 1, keep, step.next_observation, torch.zeros_like(action), nothing, no, no, age + 1)
        if self._extras:
            values = [(extras or {})[name] for name in self._extras]
            self._firsts.write(position // self.period, keep & (position % self.period == 0), values)
        before = written.clone()
        written.add_(valid.long() + ended.long())
        age.copy_(torch.where(valid, torch.where(ended, 0, age + 1), age))
        return self._changes(before, 1)

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> Changes:
        """Store up to ``most_steps`` vector steps, axes ``[S, T, E, ...]``, as ``add`` would one after the other.

        Of stacked observations only the newest frame is kept: the others may be left out.
        """
        valid, ended = by_ring(step.valid), by_ring(step.valid & step.ended)
        before, count = self._state["written"].clone(), valid.cumsum(dim=1)
        moved = (valid.long() + ended.long()).cumsum(dim=1)
        after = before.unsqueeze(1) + moved
        written = torch.cat([before.unsqueeze(1), after[:, :-1]], dim=1)
        # Steps that the episodes have so far: those until each step, less those until the last end.
        begun = -self._state["age"].unsqueeze(1)
        begun = torch.cat([begun, torch.where(ended, count, begun)], dim=1).cummax(dim=1).values
        age = count - valid.long() - begun[:, :-1]
        reward, bootstrap = by_ring(step.reward), by_ring(step.bootstrap)
        yes, no = torch.ones_like(valid), torch.zeros_like(valid)
        self._write(written, valid, by_ring(observation), by_ring(action), reward, bootstrap, yes, age)
        # Other next observations are acted on in the step that follows.
        last = valid & (ended | (moved == moved[:, -1:]))
        blanks, nothing = torch.zeros_like(action), torch.zeros_like(reward)
        self._write(written + 1, last, by_ring(step.next_observation), blanks, nothing, no, no, age + 1)
        if self._extras:
            values = [by_ring((extras or {})[name]) for name in self._extras]
            self._firsts.write(written // self.period, valid & (written % self.period == 0), values)
        self._state["written"].copy_(after[:, -1])
        self._state["age"].copy_(count[:, -1] - begun[:, -1])
        return self._changes(before, valid.shape[1])

    def cut(self, environments: Tensor | None = None) -> Changes:
        """End episodes, of the environments marked in bool ``[E]`` or of all, at their last stored step."""
        written, age = self._state["written"], self._state["age"]
        before = written.clone()
        ended = age > 0
        if environments is not None:
            ended = ended & environments.repeat(self._shape[0])
        written.add_(ended.long())  # the row of the last observation is there already
        age.masked_fill_(ended, 0)
        return self._changes(before, 1)

    def slot(self, number: Tensor) -> Tensor:
        """Slots of the windows number ``[S, B]``, counted from 0 below ``size``."""
        number = number.contiguous()  # as searchsorted wants it
        environment = torch.searchsorted(self._end, number, right=True).clamp(max=self._shape[1] - 1)
        window = number + self._shift.gather(1, environment)
        return environment * self._windows + window % self._windows

    def read(self, slot: Tensor) -> SequenceBatch:
        """The windows in slots ``[S, B]``."""
        environment, window = slot // self._windows, slot % self._windows
        ring = self._ring.view(self._shape).gather(1, environment)
        position = (window * self.period).unsqueeze(-1) + self._within
        action, reward, bootstrap, valid, age = self._rows.read(self._rows.row(ring.unsqueeze(-1), position))
        firsts = self._firsts.read(self._firsts.row(ring, window)) if self._extras else []
        return SequenceBatch(
            observation=self._observations(ring.unsqueeze(-1), position, age),
            action=action,
            reward=reward,
            bootstrap=bootstrap != 0,
            valid=valid != 0,
            began=age == 0,
            extras=dict(zip(self._extras, firsts, strict=True)),
        )

    def _observations(self, ring: Tensor, position: Tensor, age: Tensor) -> Tensor:
        """The stacks of frames that end at positions ``[S, B, L]``, of rows so old within their episodes."""
        if self.stack == 1:
            return self._frames.read(self._frames.row(ring, position))[0]
        oldest = age.long().unsqueeze(-1)
        row = self._frames.row(ring.unsqueeze(-1), position.unsqueeze(-1) - torch.minimum(self._back, oldest))
        if self.padding == "zero":
            row = torch.where(self._back > oldest, self._frames.blank_row, row)
        return self._frames.read(row)[0].flatten(3, 4)

    def _write(
        self,
        position: Tensor,
        keep: Tensor,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        bootstrap: Tensor,
        valid: Tensor,
        age: Tensor,
    ) -> None:
        """Write rows at positions ``[R, T]``; values have the axes ``[R, T, ...]``, or all of them in one, or two."""
        if self.stack > 1:  # the newest frame only
            axis = observation.dim() - len(self._frame_shape)
            channels = self._frame_shape[0]
            observation = observation.narrow(axis, observation.shape[axis] - channels, channels)
        self._frames.write(position, keep, [observation])
        numbers = (number.flatten().to(torch.uint8) for number in (bootstrap, valid, age.clamp(max=_OLDEST)))
        self._rows.write(position, keep, [action, reward.flatten(), *numbers])

    def _changes(self, before: Tensor, steps: int) -> Changes:
        """Windows that can be read now and could not with ``before`` rows written, and the other way round."""
        first, last = self._range(before)
        new_first, new_last = self._range(self._state["written"])
        self._count(new_first, new_last)
        # A step writes two rows at most; the first row to be lost takes those along whose stacks show it.
        rows = 2 * steps + self.stack - 1
        ahead = torch.arange(-(-rows // self.period), device=before.device)
        filled = last.unsqueeze(1) + ahead
        emptied = first.unsqueeze(1) + ahead
        return Changes(
            *self._numbered(filled, filled < new_last.unsqueeze(1)),
            *self._numbered(emptied, emptied < torch.minimum(new_first, last).unsqueeze(1)),
        )

    def _range(self, written: Tensor) -> tuple[Tensor, Tensor]:
        """The windows of each ring that can be read: from the first to before the last, ``[R]``."""
        last = torch.div(written - self.length, self.period, rounding_mode="floor").clamp(min=-1) + 1
        oldest_row = written + 1 - self._rows.slots  # one row is written ahead
        # A window's first stack may show frames of rows before it.
        oldest_row = torch.where(oldest_row > 0, oldest_row + self.stack - 1, 0)
        return torch.div(oldest_row + self.period - 1, self.period, rounding_mode="floor"), last

    def _count(self, first: Tensor, last: Tensor) -> None:
        live = (last - first).clamp(min=0).view(self._shape)
        self._end.copy_(live.cumsum(dim=1))
        self._shift.copy_(first.view(self._shape) + live - self._end)

    def _numbered(self, window: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        slot = window % self._windows + (self._ring % self._shape[1] * self._windows).unsqueeze(1)
        return slot.view(self._shape[0], -1), chosen.view(self._shape[0], -1)

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part. It may share memory: save it before the next ``add``."""
        return {
            **{name: value.clone() for name, value in self._state.items()},
            "frames": self._frames.state_dict(self._state["written"] + 1),
            "rows": self._rows.state_dict(self._state["written"] + 1),
            "firsts": self._firsts.state_dict(self._state["written"] // self.period + 1),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved by a store of another shape.
        """
        check(self._state | {name: state[name] for name in ("frames", "rows", "firsts")}, state, "replay")
        check_counts(state["written"], "written")
        self._frames.load_state_dict(state["frames"], state["written"] + 1)
        self._rows.load_state_dict(state["rows"], state["written"] + 1)
        self._firsts.load_state_dict(state["firsts"], state["written"] // self.period + 1)
        for name, value in self._state.items():
            value.copy_(state[name])
        self._count(*self._range(self._state["written"]))


def n_step_targets(
    reward: Tensor, bootstrap: Tensor, valid: Tensor, value: Tensor, discount: Tensor, n_step: int
) -> Tensor:
    """Return the n-step target of each row, ``[S, B, L]``: n rewards, then the value of the row after them.

    The sum ends with its episode, as ``bootstrap`` says. The last ``n_step`` rows of a window have shorter sums, and
    the very last none: leave these out.

    Args:
        reward, bootstrap, valid: of a ``SequenceBatch``, or of some rows in a row.
        value: of each row, ``[S, B, L]``.
        discount: g of each seed, ``[S]``.
    """
    weight = discount.view(-1, 1, 1) * bootstrap
    target = value
    for _ in range(n_step):
        following = torch.cat([target[:, :, 1:], value[:, :, -1:]], dim=2)
        target = torch.where(valid, reward + weight * following, value)
    return target
