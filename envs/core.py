"""Vector environments on tensors: one Gymnasium vector environment around a few pure functions."""

import functools
import operator
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from envs.info import STATISTICS
from rlsuite import random
from rlsuite.compiling import as_bytes, as_flags, output_flags
from rlsuite.state import check, restore
from rlsuite.training.execution import compiled

_SEED_LIMIT = 2**63
_OF_EACH = ("np_random_seed", "render")  # of the vector environment: a value for each environment

State = dict[str, Tensor]
"""The state of N environments: tensors by name, with a leading axis of length N."""


class Dynamics(Protocol):
    """One kind of environment, as pure functions over N environments at once.

    They branch on no data, so that they run eager, compiled and captured. Randomness comes from keys int64 ``[N]``
    (``rlsuite.random``); each call draws from its own.
    """

    observation_space: Box  # of one environment
    action_space: Box | Discrete  # of one environment
    max_episode_steps: int
    render_fps: int
    is_random: bool  # whether transitions draw random numbers; if not, no key is computed

    def initial(self, key: Tensor) -> State:
        """The state in which episodes begin."""
        ...

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """The next state, the reward (floating point ``[N]``) and whether the episode terminated (bool ``[N]``).

        ``action`` is integer ``[N]`` counted from 0 (Discrete) or float32 ``[N, A]`` (Box).
        """
        ...

    def observe(self, state: State) -> Tensor:
        """Observations ``[N, *observation_space.shape]`` of the type of the observation space."""
        ...

    def render(self, state: State) -> np.ndarray:
        """A picture uint8 ``[height, width, 3]`` of one environment, whose state on the CPU has no leading axis."""
        ...


def select(mask: Tensor, if_true: State, if_false: State) -> State:
    """Row by row one state or the other; ``mask`` is bool ``[N]``."""
    return {
        name: torch.where(mask.view(-1, *(1,) * (value.dim() - 1)), value, if_false[name])
        for name, value in if_true.items()
    }


class TorchVectorEnv(VectorEnv[Tensor, Tensor, Tensor]):
    """N environments of one kind that live on a device; tensors go in and come out.

    ``info`` has the same keys at every step, and masks say where they count: ``rlsuite_episode`` holds return ``r`` and
    length ``l`` of the episodes so far, final where ``_rlsuite_episode``. Under SAME_STEP ``final_obs`` is the true
    next observation everywhere, the last of an episode where ``_final_obs``, and ``final_info`` the info of that step
    where ``_final_info``; under NEXT_STEP ``valid`` is False at phantom reset steps.

    What an environment draws depends on its own seed, its episode and its step only: it does the same alone, in any
    company and on any device (up to rounding). Nothing here waits for a CUDA device.

    Args:
        dynamics: the kind of environment.
        num_envs: N.
        max_episode_steps: steps after which an episode is truncated; those of ``dynamics`` unless given.
        device: where everything lives.
        autoreset_mode: SAME_STEP, NEXT_STEP, or DISABLED for ``reset(options={"reset_mask": ...})`` by hand.
        render_mode: None, or ``rgb_array`` for ``render``.
        compile: run ``step`` under ``torch.compile``, which takes some seconds at the first one; eager where it fails.

    Attributes:
        render_indices: the environments that ``render`` draws; all unless set.

    Raises:
        ValueError: no such device, too little memory, or another option that cannot be.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        num_envs: int,
        *,
        max_episode_steps: int | None = None,
        device: torch.device | str = "cpu",
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        compile: bool = False,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, not {num_envs}.")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(f"max_episode_steps must be at least 1, not {max_episode_steps}.")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(
                f"render_mode must be None or 'rgb_array', not {render_mode!r}; "
                "gymnasium.wrappers.vector.HumanRendering shows the pictures in a window."
            )
        self.dynamics = dynamics
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps or dynamics.max_episode_steps
        self.device = _available_device(device)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.render_mode = render_mode
        self.render_indices: Sequence[int] = range(num_envs)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": dynamics.render_fps,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space: Space[Any] = dynamics.observation_space
        self.single_action_space: Space[Any] = dynamics.action_space
        # Plain numbers: a compiled region would make tensors of NumPy's at every call.
        space = dynamics.action_space
        bounds = (0, space.n) if isinstance(space, Discrete) else (space.low.min(), space.high.max())
        self._action_bounds = (float(bounds[0]), float(bounds[1]))  # of every dimension
        self._allocate()
        self._seeds = torch.full_like(self.key, -1)
        self._is_seeded = self._has_begun = False
        self._compile = compile
        self._prepare()

    def _prepare(self) -> None:
        """Make what steps work with: the state under other names, and their code."""
        # The same memory, flags as bytes.
        self._flags = frozenset(name for name, value in self.state.items() if value.dtype == torch.bool)
        self._ended = self.ended.view(torch.uint8)
        self._memory = {
            name: value.view(torch.uint8) if name in self._flags else value for name, value in self.state.items()
        }
        self._step = compiled(self._step_alone, "compile" if self._compile else "eager")

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which must have memory and code of their own."""
        made_anew = ("_flags", "_ended", "_memory", "_step")
        return {name: value for name, value in vars(self).items() if name not in made_anew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    @functools.cached_property
    def observation_space(self) -> Space[Any]:  # type: ignore[override]
        """The space of all observations; made on demand, because its bounds are as large as they are."""
        return batch_space(self.dynamics.observation_space, self.num_envs)

    @functools.cached_property
    def action_space(self) -> Space[Any]:  # type: ignore[override]
        """The space of all actions; made on demand, as ``observation_space``."""
        return batch_space(self.dynamics.action_space, self.num_envs)

    def _allocate(self) -> None:
        """State that keeps its addresses for good, so that a captured CUDA graph can be replayed."""
        try:
            self.key = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
            self.episode = torch.zeros_like(self.key)
            self.episode_length = torch.zeros_like(self.key, dtype=torch.int32)
            self.episode_return = torch.zeros_like(self.key, dtype=torch.float32)
            self.ended = torch.zeros_like(self.key, dtype=torch.bool)
            fresh = self.dynamics.initial(self.key)
            # Own memory for each entry: those of a fresh state may be views of one tensor.
            self.state = {name: value.clone() for name, value in fresh.items()}
            self.dynamics.observe(self.state)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if "memory" not in str(error):
                raise
            raise ValueError(
                f"{self.num_envs} environments need about {self._bytes_needed() / 2**30:.3g} GiB, more than is free "
                f"on {self.device}; make num_envs smaller."
            ) from None

    def _bytes_needed(self) -> int:
        """State, and observations before and after a reset."""
        state = self.dynamics.initial(torch.zeros(1, dtype=torch.int64))
        observation = self.dynamics.observe(state)
        bookkeeping = 8 + 8 + 4 + 4 + 1
        return self.num_envs * (sum(value.nbytes for value in state.values()) + 2 * observation.nbytes + bookkeeping)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment, drawn where there is none yet; -1 after a saved state was loaded."""
        self._draw_seeds()
        return tuple(self._seeds.tolist())

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: environment i gets ``seed + i``, or its own from a list; None goes on with the seed there is.
            options: ``{"reset_mask": bool [N]}`` starts only those episodes, once all have been started. A mask that
                chooses none is refused, unless it is on a CUDA device, where a look at it would make the program wait.

        Returns:
            All observations, and an empty info.

        Raises:
            ValueError: there are no such seeds or options.
        """
        mask = self._reset_mask(options)
        self._draw_seeds()
        if seed is not None:
            self._seed(self._seed_each(seed), mask)
        self.episode.add_(mask)
        fresh = self.dynamics.initial(random.fold(self.key, self.episode))
        self._keep(select(mask, fresh, self.state))
        for counter in (self.episode_length, self.episode_return, self.ended):
            counter.masked_fill_(mask, 0)
        self._has_begun = True
        return self.observe(), {}

    def _draw_seeds(self) -> None:
        """Draw a random seed for every environment, unless they have seeds."""
        if not self._is_seeded:
            drawn = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 2)
            self._seed(self._seed_each(drawn), torch.ones_like(self.ended))

    def _seed(self, seeds: Tensor, mask: Tensor) -> None:
        """Give each environment of the mask its seed (int64 ``[N]``), unless that is -1."""
        mask = mask & (seeds >= 0)
        self._seeds = torch.where(mask, seeds, self._seeds)
        self.key.copy_(torch.where(mask, random.key(seeds), self.key))
        self.episode.masked_fill_(mask, -1)  # the next episode is number 0
        self._is_seeded = True

    def _seed_each(self, seed: int | Sequence[int | None]) -> Tensor:
        """A seed for each environment, int64 ``[N]``; -1 for None."""
        if isinstance(seed, Integral):
            first = int(seed)
            if not 0 <= first <= _SEED_LIMIT - self.num_envs:
                raise ValueError(f"seeds must be 0 to {_SEED_LIMIT - self.num_envs}, not {first}.")
            super().reset(seed=first)
            return torch.arange(first, first + self.num_envs, dtype=torch.int64, device=self.device)
        try:
            each = [None if one is None else operator.index(one) for one in seed]  # type: ignore[union-attr]
        except TypeError:
            wanted = "a whole number, or a list with one for each environment"
            raise ValueError(f"seed must be {wanted}, not {seed!r}.") from None
        if len(each) != self.num_envs:
            raise ValueError(f"one seed for each of {self.num_envs} environments is needed, not {len(each)}.")
        if wrong := [one for one in each if one is not None and not 0 <= one < _SEED_LIMIT]:
            raise ValueError(f"seeds must be 0 to {_SEED_LIMIT - 1}, not {wrong[0]}.")
        return torch.tensor([-1 if one is None else one for one in each], dtype=torch.int64, device=self.device)

    def _reset_mask(self, options: dict[str, Any] | None) -> Tensor:
        options = options or {}
        if unknown := sorted(options.keys() - {"reset_mask"}):
            raise ValueError(f"unknown reset options {unknown}: there is only 'reset_mask'.")
        if not options:
            return torch.ones_like(self.ended)
        mask = options["reset_mask"]
        if not isinstance(mask, Tensor):
            mask = torch.from_numpy(np.array(mask))
        if mask.shape != (self.num_envs,) or mask.dtype != torch.bool:
            raise ValueError(f"reset_mask must be bool [{self.num_envs}], not {mask.dtype} {list(mask.shape)}.")
        if mask.device.type == "cpu" and not mask.any():
            raise ValueError("reset_mask must choose at least one environment, but is False everywhere.")
        return mask.to(self.device) if self._has_begun else torch.ones_like(self.ended)

    def step(self, actions: Tensor | np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Act in every environment.

        Args:
            actions: integers ``[N]``, or floating point ``[N, A]``, which the dynamics clip to the space. Values are
                looked at on the CPU only, where that does not make the program wait.

        Returns:
            Observations ``[N, ...]``, rewards float32 ``[N]``, terminations and truncations bool ``[N]``, and info.
        """
        if not self._has_begun:
            raise ResetNeeded("reset the environments before their first step.")
        action = self._checked(torch.as_tensor(actions, device=self.device))
        observation, next_observation, reward, terminated, truncated = self._step(action)
        ended = terminated | truncated
        info: dict[str, Any] = {
            STATISTICS: {"r": self.episode_return.clone(), "l": self.episode_length.clone()},
            f"_{STATISTICS}": ended,
        }
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            info |= {"final_obs": next_observation, "_final_obs": ended, "final_info": dict(info), "_final_info": ended}
        elif self.autoreset_mode is AutoresetMode.NEXT_STEP:
            info["valid"] = self.episode_length > 0
        return observation, reward, terminated, truncated, info

    def _step_alone(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        observation, next_observation, reward, terminated, truncated = self.step_tensors(action)
        return observation, next_observation, reward, output_flags(terminated), output_flags(truncated)

    def step_tensors(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """``step`` without checks and info, to be called inside a compiled or captured region.

        Updates the state in place and never waits for the device.

        Args:
            action: int64 ``[N]`` or float32 ``[N, A]``.

        Returns:
            The observations to act on; the true next observations of the actions, which differ from them where
            SAME_STEP has begun the next episode; rewards; terminations; truncations.
        """
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            return self._step_or_reset(action)
        begins = as_flags(self._ended)
        length = torch.where(begins, 0, self.episode_length) + 1
        episode_return = torch.where(begins, 0, self.episode_return)
        state, reward, terminated = self.dynamics.transition(self._state(), action, self._step_key(length))
        reward = reward.to(torch.float32)
        truncated = length >= self.max_episode_steps
        ended = terminated | truncated
        observation = next_observation = self.dynamics.observe(state)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            self.episode.add_(ended)
            state = select(ended, self.dynamics.initial(random.fold(self.key, self.episode)), state)
            observation = self.dynamics.observe(state)
        else:
            # A part of the old state may be reused under another name: copy it before it is overwritten.
            state = {name: value.clone() for name, value in state.items()}
        self._keep(state)
        self.episode_length.copy_(length)
        self.episode_return.copy_(episode_return + reward)
        self._ended.copy_(as_bytes(ended))
        return observation, next_observation, reward, terminated, truncated

    def _step_or_reset(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Gymnasium's NEXT_STEP: where an episode has ended, the action is ignored and the next one begins."""
        phantom = as_flags(self._ended.clone())
        self.episode.add_(phantom)
        length = torch.where(phantom, 0, self.episode_length + 1)
        state, reward, terminated = self.dynamics.transition(self._state(), action, self._step_key(length))
        state = select(phantom, self.dynamics.initial(random.fold(self.key, self.episode)), state)
        reward = torch.where(phantom, 0, reward).to(torch.float32)
        terminated = terminated & ~phantom
        truncated = length >= self.max_episode_steps
        self._keep(state)
        self.episode_length.copy_(length)
        self.episode_return.copy_(torch.where(phantom, 0, self.episode_return) + reward)
        self._ended.copy_(as_bytes(terminated | truncated))
        observation = self.dynamics.observe(state)
        return observation, observation, reward, terminated, truncated

    def _step_key(self, length: Tensor) -> Tensor:
        return random.fold(self.key, self.episode, length) if self.dynamics.is_random else self.key

    def _state(self) -> State:
        return {name: as_flags(value) if name in self._flags else value for name, value in self._memory.items()}

    def _keep(self, state: State) -> None:
        for name, value in state.items():
            self._memory[name].copy_(as_bytes(value) if name in self._flags else value)

    def _checked(self, action: Tensor) -> Tensor:
        """The action in the type that the dynamics take, or an error that says what is wrong with it."""
        space = self.dynamics.action_space
        shape = [self.num_envs, *(space.shape or ())]
        discrete = isinstance(space, Discrete)
        if list(action.shape) != shape or action.is_floating_point() == discrete or action.dtype == torch.bool:
            wanted = "integers" if discrete else "floating point"
            raise ValueError(f"actions must be {wanted} {shape}, not {action.dtype} {list(action.shape)}.")
        if self.device.type == "cpu":
            low, high = action.aminmax()
            if isinstance(space, Discrete) and (low < 0 or high >= space.n):
                raise ValueError(f"actions must be 0 to {space.n - 1}; some are {int(low)} to {int(high)}.")
            if not discrete and not torch.isfinite(high - low):
                raise ValueError("actions must be finite; some are not.")
            if self.autoreset_mode is AutoresetMode.DISABLED and self.ended.any():
                raise ValueError("some episodes have ended: reset them first (options={'reset_mask': ended}).")
        # States carry no gradients, and compiled steps need contiguous memory.
        return action.detach().to(torch.int64 if discrete else torch.float32).contiguous()

    def observe(self) -> Tensor:
        """The observations ``[N, ...]`` of the current state."""
        return self.dynamics.observe(self.state)

    def sample_actions(self, key: Tensor) -> Tensor:
        """Uniform random actions on the device; ``key`` is int64 ``[N]``."""
        low, high = self._action_bounds
        if isinstance(self.dynamics.action_space, Discrete):
            # By way of 32 bits: vector units turn no floating point into 64.
            return (random.uniform(key) * high).to(torch.int32).to(torch.int64)
        return low + (high - low) * random.uniform(key, *self.dynamics.action_space.shape)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture uint8 ``[height, width, 3]`` of each of ``render_indices``; None without a render mode."""
        if self.render_mode is None:
            warnings.warn("render() draws only with render_mode='rgb_array'.", stacklevel=2)
            return None
        host = {name: value.cpu() for name, value in self.state.items()}
        return tuple(
            self.dynamics.render({name: value[index] for name, value in host.items()}) for index in self.render_indices
        )

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """For each environment: its entry ``name`` of the state, or else what the dynamics or all together have there.

        Methods are called, once for all.

        Raises:
            AttributeError: there is nothing of this name.
        """
        if name in self.state:
            return tuple(self.state[name].clone())
        found = getattr(self._owner(name), name)
        if callable(found):
            found = found(*args, **kwargs)
        return found if name in _OF_EACH else (found,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """``call`` without arguments."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an entry of the state, of each environment (a list) or of all, or an attribute that all of them share.

        Raises:
            AttributeError: there is nothing of this name.
            ValueError: not one value for each environment, or different ones of what is shared.
        """
        each = isinstance(values, list | tuple)
        if each and len(values) != self.num_envs:
            raise ValueError(f"one value for each of {self.num_envs} environments is needed, not {len(values)}.")
        if name in self.state:
            entry = self.state[name]
            value = torch.stack([torch.as_tensor(value) for value in values]) if each else torch.as_tensor(values)
            entry.copy_(value.expand_as(entry))
            return
        if each and any(value != values[0] for value in values):
            raise ValueError(f"all environments share {name!r}: it has one value, not {values}.")
        owner = self._owner(name)
        getattr(owner, name)
        setattr(owner, name, values[0] if each else values)
        self._prepare()  # the old value may be part of compiled code

    def _owner(self, name: str) -> Any:
        """The dynamics, which are those of one environment, unless all together know better."""
        own = (*_OF_EACH, "max_episode_steps")
        return self.dynamics if name not in own and hasattr(self.dynamics, name) else self

    def _buffers(self) -> State:
        counters = ("key", "episode", "episode_length", "episode_return", "ended")
        return {name: getattr(self, name) for name in counters} | self.state

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here."""
        return {
            "dynamics": type(self.dynamics).__name__,
            "is_seeded": self._has_begun,
            "buffers": {name: value.clone() for name, value in self._buffers().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state, from any device; ``observe`` gives the observations to act on."""
        buffers = self._buffers()
        saved: State = state["buffers"]
        own = type(self.dynamics).__name__
        if state["dynamics"] != own or saved.keys() != buffers.keys():
            raise ValueError(f"the saved state is one of {state['dynamics']}, not of {own}.")
        if len(saved["key"]) != self.num_envs:
            raise ValueError(f"the saved state has {len(saved['key'])} environments, not {self.num_envs}.")
        check(False, state["is_seeded"], "is_seeded")
        restore(buffers, saved, own)
        self._seeds.fill_(-1)
        self._is_seeded = self._has_begun = state["is_seeded"]


@functools.cache
def _available_device(name: torch.device | str) -> torch.device:
    """The device, if something can be put there."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {str(name)!r} is not available here: {reason}") from None
