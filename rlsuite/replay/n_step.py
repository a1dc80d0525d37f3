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

    def flush(self) -> tuple[Batch, Tensor]:
        """Close every open window at its last step, as a truncation there would; axes ``[S, E, n - 1, ...]``."""
        state = self._state
        complete = self._length[1:] <= state["open"].unsqueeze(-1)
        transitions = Batch(
            observation=state["observation"],
            action=state["action"],
            reward=state["reward"],
            discount=self._discount[:, :, 1:].expand_as(state["reward"]),
            next_observation=state["next_observation"].unsqueeze(2).expand_as(state["observation"]),
            extras=dict(self._extras),
        )
        state["open"].zero_()
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
