"""The interface of agents: acting, acting state, diagnostics, and the spec that describes an agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

ActingState = dict[str, Tensor]
"""The state that an agent keeps between two actions of an episode (a recurrent state, a noise process), by name.

Tensors ``[S, E, ...]``; an empty dictionary for agents without such a state. The caller of ``act`` keeps it: collector,
evaluation and viewer each have their own.
"""

LearnsFrom = Literal["replay", "sequences", "rollout"]


class TensorSpec(NamedTuple):
    """Shape and dtype of what is stored for one step of one environment."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


class Acted(NamedTuple):
    """The result of ``act``."""

    action: Tensor  # in the environment's units: [S, E] int64, or [S, E, A] float32
    state: ActingState  # to act with next
    extras: dict[str, Tensor] = {}  # noqa: RUF012  [S, E, ...], stored beside the step and learned from


class Actor(Protocol):
    """The acting half of an agent."""

    def initial_state(self, num_envs: int) -> ActingState:
        """The acting state of ``num_envs`` environments of every seed, before their first action."""
        ...

    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        """Actions for observations ``[S, E, ...]``.

        Args:
            state: what ``act`` returned last, or ``initial_state``.
            began: bool ``[S, E]``, True where an observation is the first of its episode; its state starts over.
            env_step: int64 without axes, the env steps taken so far; it keys random numbers and schedules.
            explore: False for the policy that is evaluated and watched.
        """
        ...


@dataclass(frozen=True)
class Diagnostics:
    """An agent's estimates for its present observations, for display; ``None`` where it has no such numbers.

    Shapes: S seeds, E environments, A discrete actions.
    """

    value_name: str = ""
    value: Tensor | None = None  # [S, E], the return that it expects
    score_name: str = ""
    scores: Tensor | None = None  # [S, E, A], by which it chose among discrete actions
    scores_are_probabilities: bool = False


@dataclass(frozen=True)
class AgentSpec:
    """All that the rest of the project knows of a method.

    Args:
        name: on the command line.
        config: the dataclass of its options.
        agent: the class, built as ``agent(config, observation_space, action_space, seeds, device)``.
        learns_from: ``replay`` for transitions that are kept and sampled, ``sequences`` for windows of steps,
            ``rollout`` for the newest steps, once. The configuration derives from the options of the same name.
        headline: the metric shown while it trains, and how to call it.

    An agent is a ``Learner`` (``update``, ``state_dict``, ``load_state_dict``) and an ``Actor``. It may have:

    - ``extras``: name to ``TensorSpec`` of what ``act`` returns to be stored;
    - ``compilable``: names of methods that are tensor operations only and change tensors in place; ``("update",)``
      lets a whole update be compiled;
    - ``diagnose(observation, state, acted)``: its ``Diagnostics``.
    """

    name: str
    config: type[Any]
    agent: type[Any]
    learns_from: LearnsFrom
    headline: Mapping[str, str] = field(default_factory=dict)


def extras_of(agent: Any) -> dict[str, TensorSpec]:
    """Return the extras that an agent declares: tensors to store beside each step."""
    return dict(getattr(agent, "extras", {}))


def check_acted(agent: Any, state: ActingState, acted: Any, num_envs: int) -> None:
    """Compare what ``act`` returned with what the agent declares; for agents that are being written.

    Raises:
        ValueError: the first part that does not fit, by name.
    """
    name = type(agent).__name__
    if not isinstance(acted, Acted):
        raise ValueError(f"{name}.act returned {type(acted).__name__} instead of Acted(action, state, extras)")
    for part, found, expected in (("state", acted.state, state), ("extras", acted.extras, extras_of(agent))):
        if set(found) != set(expected):
            raise ValueError(f"{name}.act returned {part} {sorted(found)}, but {sorted(expected)} are declared")
    leading = tuple(acted.action.shape[:2])
    if leading[1:] != (num_envs,):
        raise ValueError(
            f"{name}.act returned actions of shape {tuple(acted.action.shape)} for {num_envs} environments"
        )
    for key, tensor in acted.state.items():
        if tensor.shape != state[key].shape or tensor.dtype != state[key].dtype:
            raise ValueError(
                f"{name}.act returned state {key!r} of shape {tuple(tensor.shape)} and {tensor.dtype}, "
                f"but initial_state says {tuple(state[key].shape)} and {state[key].dtype}"
            )
    for key, spec in extras_of(agent).items():
        shape, dtype = tuple(acted.extras[key].shape), acted.extras[key].dtype
        if shape != (*leading, *spec.shape) or dtype != spec.dtype:
            raise ValueError(
                f"{name}.act returned extra {key!r} of shape {shape} and {dtype}, "
                f"but {(*leading, *spec.shape)} and {spec.dtype} are declared"
            )
