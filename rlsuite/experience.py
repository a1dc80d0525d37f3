"""The records that environments, replay memories and agents exchange.

Every tensor carries the leading axes ``[S, E, ...]`` (seeds, environments of a seed) or ``[S, B, ...]`` (seeds, batch).
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import gymnasium
import torch
from torch import Tensor


class ExperienceError(RuntimeError):
    """An environment raised or returned what its spaces exclude (NaN, a wrong shape), or was sent such an action.

    The message names the environment, its seed, the step and the cause, in two lines made for people. The run cannot go
    on, but what was learned before is whole, and the environments can still be saved: they resume with new episodes.
    """


@dataclass(frozen=True)
class Step:
    """The result of one vector step, in the same form for every autoreset mode. Axes ``[S, E, ...]``.

    ``next_observation`` is the true next observation of the action: the last observation of an episode where one ended.
    ``observation`` is what the agent acts on next. They differ only where the environment has already started the next
    episode (SAME_STEP and DISABLED); under NEXT_STEP they are the same tensor, and the step that follows an end is a
    phantom: its action was ignored, ``valid`` is False, and it must neither be learned from nor counted.
    """

    observation: Tensor
    next_observation: Tensor
    reward: Tensor  # float32, as the environment gave it
    terminated: Tensor  # bool: the task ended here
    truncated: Tensor  # bool: the episode was cut here, its future still had value
    bootstrap: Tensor  # bool: the next value counts; False at termination (and at a lost life, if so asked)
    valid: Tensor  # bool: False at a phantom reset step
    began: Tensor  # bool: ``observation`` is the first of its episode

    @property
    def successor(self) -> Tensor:
        """The former name of ``next_observation``."""
        return self.next_observation

    @property
    def ended(self) -> Tensor:
        """Return a mask of the episodes that ended, for either reason. No return may be summed across an end."""
        return self.terminated | self.truncated

    def with_clipped_reward(self) -> "Step":
        """The step with its reward clipped to [-1, 1], as agents learn Atari games from (Mnih et al., 2015)."""
        return replace(self, reward=self.reward.clamp(-1.0, 1.0))


@dataclass(frozen=True)
class Batch:
    """Transitions to learn from, axes ``[S, B, ...]``.

    ``reward`` is the n-step return r_0 + g r_1 + ... + g^(m-1) r_(m-1), m <= n, cut at the end of the episode;
    ``discount`` is g^m where the value of ``next_observation`` counts and 0 where it does not, so that every one-step
    or n-step target reads ``reward + discount * value(next_observation)`` (the convention of dm_env).
    ``extras`` holds by name what the agent's acting declared (a log-probability, a memory), of the transition's first
    step, and what a sampler adds: ``weight`` ``[S, B]`` and ``index`` ``[S, B]``.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor  # float32 [S, B]
    discount: Tensor  # float32 [S, B]
    next_observation: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


# So that compiled code may take and return them.
torch.export.register_dataclass(Batch)
torch.export.register_dataclass(Step)


class Environments(Protocol):
    """S x E environments that step together; what ``envs`` builds and what experience is collected from."""

    seeds: tuple[int, ...]  # S
    num_envs: int  # E, environments of each seed
    observation_space: gymnasium.Space[Any]  # of one environment
    action_space: gymnasium.Space[Any]  # of one environment
    on_device: (
        bool  # whether steps are tensor operations only: they can be compiled, and saved before they are received
    )

    def reset(self) -> Tensor:
        """Start every environment; returns the first observations ``[S, E, ...]``."""
        ...

    exact_resume: bool  # whether load_state_dict goes back exactly, or starts new episodes

    def send(self, action: Tensor) -> None:
        """Begin to act everywhere; ``action`` is ``[S, E]`` int64 (discrete) or ``[S, E, A]`` float32."""
        ...

    def receive(self) -> Step:
        """Wait for what the sent actions did."""
        ...

    def step(self, action: Tensor) -> Step:
        """``send`` and ``receive``."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, as nested dicts of tensors and JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Tensor:
        """Go back to a saved state; returns the observations to act on, as ``reset`` does."""
        ...

    def close(self) -> None: ...
