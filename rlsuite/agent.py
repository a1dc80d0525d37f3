"""The interface of agents: acting, acting state, diagnostics, and the spec that describes an agent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from rlsuite.state import map_tensors

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

    Shapes: S seeds, E environments, A discrete actions, M numbers of memory, N values of a return.
    """

    value_name: str = ""
    value: Tensor | None = None  # [S, E], the return that it expects
    score_name: str = ""
    scores: Tensor | None = None  # [S, E, A], by which it chose among discrete actions
    scores_are_probabilities: bool = False
    entropy: Tensor | None = None  # [S, E], of the policy, in nats
    memory: Tensor | None = None  # [S, E, M], what it remembers
    returns: tuple[Tensor, Tensor] | None = None  # [S, E, A, N] each, values of an action's return and probabilities


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
        training_env_kwargs: options of the environments in which it trains, beside those of the run.

    An agent is a ``Learner`` (``update``, ``state_dict``, ``load_state_dict``) and an ``Actor``. It may have:

    - ``extras``: name to ``TensorSpec`` of what ``act`` returns to be stored;
    - ``compilable``: names of methods that are tensor operations only and change tensors in place; ``("update",)``
      lets a whole update be compiled;
    - ``acts_with``: names of the entries of its state whose tensors it acts with; all unless given. Players get these
      of the learner's;
    - ``diagnose(observation, state, acted)``: its ``Diagnostics``.
    """

    name: str
    config: type[Any]
    agent: type[Any]
    learns_from: LearnsFrom
    headline: Mapping[str, str] = field(default_factory=dict)
    training_env_kwargs: Mapping[str, Any] = field(default_factory=dict)


def extras_of(agent: Any) -> dict[str, TensorSpec]:
    """Return the extras that an agent declares: tensors to store beside each step.

    Raises:
        ValueError: it is declared otherwise than as ``AgentSpec`` says.
    """
    declared = getattr(agent, "extras", {})
    if not isinstance(declared, Mapping) or not all(isinstance(spec, TensorSpec) for spec in declared.values()):
        raise ValueError(f"{type(agent).__name__}.extras must be TensorSpec(shape, dtype) by name, not {declared!r}")
    if taken := _SAMPLERS & declared.keys():
        raise ValueError(f"{type(agent).__name__}.extras: {min(taken)!r} is the sampler's, take another name")
    return dict(declared)


_SAMPLERS = {"index", "weight"}  # what samplers add to a batch's extras
_PARTS = ("initial_state", "act", "update", "state_dict", "load_state_dict")


def rehearse(
    agent: Any, seeds: int, num_envs: int, observation: TensorSpec, action: TensorSpec, device: torch.device | str
) -> None:
    """Ask an agent for every part, and for one action each way, before a run begins; for agents that are being written.

    Args:
        observation, action: of one environment.

    Raises:
        ValueError: the first part that is lacking or does not fit, by name.
    """
    name = type(agent).__name__
    if lacking := [part for part in _PARTS if not callable(getattr(agent, part, None))]:
        raise ValueError(f"{name} lacks {', '.join(lacking)}: an agent has {', '.join(_PARTS)}")
    leading = (seeds, num_envs)
    state = agent.initial_state(num_envs)
    if not isinstance(state, dict):
        raise ValueError(f"{name}.initial_state returned {type(state).__name__} instead of a dictionary of tensors")
    for key, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.shape[:2] != leading:
            raise ValueError(
                f"{name}.initial_state returned {key!r} {described(tensor)}: its leading axes must be the seeds' and "
                f"environments' {leading}"
            )
    seen = torch.zeros((*leading, *observation.shape), dtype=observation.dtype, device=device)
    began = torch.ones(leading, dtype=torch.bool, device=device)
    env_step = torch.zeros((), dtype=torch.int64, device=device)
    for explore in (True, False):
        check_acted(agent, state, agent.act(seen, state, began, env_step, explore=explore), leading, action)
    if not isinstance(saved := agent.state_dict(), dict):
        raise ValueError(f"{name}.state_dict returned {type(saved).__name__} instead of a dictionary")
    try:
        json.dumps(map_tensors(lambda _: None, saved))
    except TypeError as error:
        raise ValueError(f"{name}.state_dict holds what cannot be saved, unlike tensors and JSON: {error}") from None


def check_acted(agent: Any, state: ActingState, acted: Any, leading: tuple[int, ...], action: TensorSpec) -> None:
    """Compare what ``act`` returned with what the agent declares and the environments take.

    Raises:
        ValueError: the first part that does not fit, by name.
    """
    name = type(agent).__name__
    if not isinstance(acted, Acted):
        raise ValueError(f"{name}.act returned {type(acted).__name__} instead of Acted(action, state, extras)")
    for part, found, expected in (("state", acted.state, state), ("extras", acted.extras, extras_of(agent))):
        if set(found) != set(expected):
            raise ValueError(f"{name}.act returned {part} {sorted(found)}, but {sorted(expected)} are declared")
    specs = {key: TensorSpec(tuple(tensor.shape[2:]), tensor.dtype) for key, tensor in state.items()}
    wanted = [("the action", acted.action, action)]
    wanted += [(f"state {key!r}", acted.state[key], spec) for key, spec in specs.items()]
    wanted += [(f"extra {key!r}", acted.extras[key], spec) for key, spec in extras_of(agent).items()]
    for part, tensor, spec in wanted:
        shape = (*leading, *spec.shape)
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape or tensor.dtype != spec.dtype:
            raise ValueError(f"{name}.act returned {part} {described(tensor)}, where {shape} of {spec.dtype} is due")


def described(found: Any) -> str:
    """Shape and dtype of a tensor, or what it is instead."""
    return f"{tuple(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else f"of type {type(found).__name__}"
