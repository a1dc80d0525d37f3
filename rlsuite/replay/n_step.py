"""Turn a stream of steps into complete n-step transitions, so that a store of them needs no rules of validity.

The idea is Dopamine's accumulator (Castro et al., 2018), here for S x E streams at once and without a branch on data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rlsuite.agent import TensorSpec
from rlsuite.experience import Batch, Step
from rlsuite.state import restore


class NStepAccumulator:
    """Keeps the windows that are still growing, at most ``n_step - 1`` for each environment.

    A window opens at every valid step and closes after ``n_step`` steps, or before at a step that ends the episode or
    stops the bootstrap; there all windows of the environment close, each shorter than the one before. A lost life
    that stops the bootstrap without an end closes them in the same way, and the episode's next step opens the next.

    Args:
        n_step: n, the longest window.
        discount: g, one number or ``[S]``; below 0 where two sides move in turn, one of which
            wins what the other loses.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
        extras: of one environment, by name: what else the agent stores of each step.
        device: where the windows live.

    Raises:
        ValueError: ``n_step`` is not positive, or a discount is outside [-1, 1].
    """

    def __init__(
        self,
        n_step: int,
        discount: Tensor | float,
        *,
        seeds: int,
        num_envs: int,
        observation_shape: Sequence[int],
        observation_dtype: torch.dtype,
        action_shape: Sequence[int],
        action_dtype: torch.dtype,
        extras: Mapping[str, TensorSpec] | None = None,
        device: torch.device | str,
    ) -> None:
        if n_step < 1:
            raise ValueError(f"n_step must be at least 1, not {n_step}")
        discount = torch.as_tensor(discount, dtype=torch.float32)
        if discount.shape not in ((), (seeds,)):
            raise ValueError(
                f"discount must be one number or one for each of {seeds} seeds, not {tuple(discount.shape)}"
            )
        if not bool((discount.abs() <= 1).all()):
            raise ValueError(f"discount must lie in [-1, 1], not {discount.tolist()}")
        discount = discount.to(device)
        self.n_step = n_step
        # Lengths that the windows have once the next step has come, the oldest first: n, n-1, ..., 1.
        self._length = torch.arange(n_step, 0, -1, device=device)
        self._newest_weight = discount.expand(seeds).view(seeds, 1, 1) ** (self._length - 1)
        self._discount = discount.expand(seeds).view(seeds, 1, 1) ** self._length
        open_windows = (seeds, num_envs, n_step - 1)
        self._state = {
            "observation": torch.zeros(*open_windows, *observation_shape, dtype=observation_dtype, device=device),
            "action": torch.zeros(*open_windows, *action_shape, dtype=action_dtype, device=device),
            "reward": torch.zeros(open_windows, device=device),
            "next_observation": torch.zeros(
                seeds, num_envs, *observation_shape, dtype=observation_dtype, device=device
            ),
            "open": torch.zeros(seeds, num_envs, dtype=torch.int64, device=device),
        }
        self._extras = {
            name: torch.zeros(*open_windows, *shape, dtype=dtype, device=device)
            for name, (shape, dtype) in (extras or {}).items()
        }

    def push(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> tuple[Batch, Tensor]:
        """Take one vector step; returns the n windows of each environment and which of them are complete.

        Both have axes ``[S, E, n, ...]``, the oldest window first; where ``complete`` (bool) is False the numbers
        mean nothing.
        """
        state, valid = self._state, step.valid
        reward = step.reward.unsqueeze(-1)
        observations = torch.cat([state["observation"], observation.unsqueeze(2)], dim=2)
        actions = torch.cat([state["action"], action.unsqueeze(2)], dim=2)
        rewards = torch.cat([state["reward"], torch.zeros_like(reward)], dim=2) + self._newest_weight * reward

        extra = {
            name: torch.cat([kept, (extras or {})[name].unsqueeze(2)], dim=2) for name, kept in self._extras.items()
        }

        closes = step.ended | ~step.bootstrap
        is_open = self._length <= (state["open"] + 1).unsqueeze(-1)
        complete = valid.unsqueeze(-1) & is_open & (closes.unsqueeze(-1) | (self._length == self.n_step))
        transitions = Batch(
            observation=observations,
            action=actions,
            reward=rewards,
            discount=self._discount * step.bootstrap.unsqueeze(-1),
            next_observation=step.next_observation.unsqueeze(2).expand_as(observations),
            extras=extra,
        )
        if self.n_step > 1:
            _keep(state["observation"], observations[:, :, 1:], valid)
            _keep(state["action"], actions[:, :, 1:], valid)
            _keep(state["reward"], rewards[:, :, 1:], valid)
            _keep(state["next_observation"], step.next_observation, valid)
            _keep(state["open"], (state["open"] + 1).clamp(max=self.n_step - 1) * ~closes, valid)
            for name, kept in self._extras.items():
                _keep(kept, extra[name][:, :, 1:], valid)
        return transitions, complete

    def extend(
        self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None
    ) -> tuple[Batch, Tensor]:
        """Take T vector steps, axes ``[S, T, E, ...]``, as ``push`` would one after the other.

        Returns the n windows of each step, the oldest first, and which of them are complete: ``[S, T, E, n, ...]``.
        """
        given = {"observation": observation, "action": action} | {name: (extras or {})[name] for name in self._extras}
        valid, closes = step.valid, step.ended | ~step.bootstrap
        # Windows count valid steps: how many there were until each step, and until the last one before that closes.
        count = valid.cumsum(dim=1)
        before = -self._state["open"].unsqueeze(1)
        closed = torch.cat([before, torch.where(valid & closes, count, before)], dim=1).cummax(dim=1).values
        is_open = self._length <= (count - closed[:, :-1]).unsqueeze(-1)
        complete = valid.unsqueeze(-1) & is_open & (closes.unsqueeze(-1) | (self._length == self.n_step))
        if self.n_step == 1:
            windows = {name: value.unsqueeze(3) for name, value in given.items()}
            rewards = self._newest_weight.unsqueeze(1) * step.reward.unsqueeze(-1) + 0.0
        else:
            windows, rewards = self._windows(given, step, count)
            self._state["open"].copy_((count[:, -1] - closed[:, -1]).clamp(max=self.n_step - 1))
        observations = windows.pop("observation")
        transitions = Batch(
            observation=observations,
            action=windows.pop("action"),
            reward=rewards,
            discount=self._discount.unsqueeze(1) * step.bootstrap.unsqueeze(-1),
            next_observation=step.next_observation.unsqueeze(3).expand_as(observations),
            extras=windows,
        )
        return transitions, complete

    def _windows(self, given: dict[str, Tensor], step: Step, count: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The first step of each window ``[S, T, E, n, ...]`` and its rewards' sum; keeps the last n - 1 for later.

        Args:
            given: what is kept of each step, by name, ``[S, T, E, ...]``.
            count: valid steps of each environment until each step, which included.
        """
        state, earlier = self._state, self.n_step - 1
        seeds, num_envs = count.shape[0], count.shape[2]
        device = count.device
        seed = torch.arange(seeds, device=device).view(-1, 1, 1)
        environment = torch.arange(num_envs, device=device)
        # Where the valid steps are, in order; the first are the n - 1 of before.
        place = (~step.valid).byte().argsort(dim=1, stable=True) + earlier
        old = torch.arange(earlier, device=device).view(1, -1, 1).expand(seeds, -1, num_envs)
        place = torch.cat([old, place], dim=1)
        number = (count.unsqueeze(-1) + (earlier - self._length)).clamp(min=0)  # of each window's first step
        window = seed.unsqueeze(-1), environment.unsqueeze(-1)
        first = place[window[0], number, window[1]]
        last = count[:, -1:]
        kept = place.gather(1, last + torch.arange(earlier, device=device).view(1, -1, 1))

        windows = {}
        for name, value in given.items():
            own = self._extras.get(name, state.get(name))
            assert own is not None
            whole = torch.cat([own.transpose(1, 2), value], dim=1)
            windows[name] = whole[window[0], first, window[1]]
            own.copy_(whole[seed, kept, environment].transpose(1, 2))

        newest = (place.gather(1, last + (earlier - 1)) - earlier).clamp(min=0)
        reached = step.next_observation[seed, newest, environment].squeeze(1)
        _keep(state["next_observation"], reached, last.squeeze(1) > 0)

        # A window's sum is that of the window that is one step shorter, a step before, and the newest reward.
        reward = step.reward.gather(1, place[:, earlier:] - earlier)
        sums: list[Tensor] = []
        shorter = torch.zeros_like(reward)
        for length in range(1, self.n_step + 1):
            sums.insert(0, shorter + self._newest_weight[:, :, -length].unsqueeze(1) * reward)
            if length < self.n_step:
                shorter = torch.cat([state["reward"][:, :, -length].unsqueeze(1), sums[0][:, :-1]], dim=1)
        by_length = torch.stack(sums, dim=-1)
        rewards = by_length[seed, (count - 1).clamp(min=0), environment]
        whole = torch.cat([state["reward"].unsqueeze(1), by_length[..., 1:]], dim=1)
        state["reward"].copy_(whole[seed, last, environment].squeeze(1))
        return windows, rewards

    def flush(self, environments: Tensor | None = None) -> tuple[Batch, Tensor]:
        """Close open windows at their last step, as a truncation there would; axes ``[S, E, n - 1, ...]``.

        Args:
            environments: of which, bool ``[E]``; of all unless given.
        """
        state = self._state
        closed = torch.ones_like(state["open"], dtype=torch.bool)
        if environments is not None:
            closed &= environments
        complete = (self._length[1:] <= state["open"].unsqueeze(-1)) & closed.unsqueeze(-1)
        transitions = Batch(
            observation=state["observation"],
            action=state["action"],
            reward=state["reward"],
            discount=self._discount[:, :, 1:].expand_as(state["reward"]),
            next_observation=state["next_observation"].unsqueeze(2).expand_as(state["observation"]),
            extras=dict(self._extras),
        )
        state["open"].masked_fill_(closed, 0)
        return transitions, complete

    def _saved(self) -> dict[str, Tensor]:
        return self._state | {f"extra.{name}": kept for name, kept in self._extras.items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: value.clone() for name, value in self._saved().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self._saved(), state, "accumulator")


def _keep(kept: Tensor, new: Tensor, valid: Tensor) -> None:
    # A phantom step changes nothing.
    kept.copy_(torch.where(valid.view(*valid.shape, *[1] * (new.dim() - 2)), new, kept))
