"""An adapter from any ``gymnasium.vector.VectorEnv`` to the project's stream of steps."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from envs.conversion import action_array, observation_tensor, tensor_action_space, tensor_space
from envs.info import STOPS_BOOTSTRAP, EnvironmentFailure
from envs.inspection import Fault, action_fault, observation_fault, reported_fault, reward_fault
from envs.seeding import Purpose, check_count, check_saved, environment_seeds
from rlsuite.experience import ExperienceError, Step
from rlsuite.notice import warn_once
from rlsuite.spaces import Parts
from rlsuite.state import StateError, check, check_tensor


class Stateful(Protocol):
    """An object that saves and restores the state of a vector environment."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> bool | None:
        """Restore a saved state; return False if that failed."""
        ...


class VectorAdapter:
    """S x E environments in any vector environment, as ``rlsuite.experience.Environments``.

    Environment e of seed s is number ``s * E + e`` underneath. The three autoreset modes give the same transitions in
    the same order; NEXT_STEP alone has phantom steps between episodes. Observations are as ``tensor_space`` says,
    actions as ``tensor_action_space`` does.

    A vector environment with an attribute ``device`` works with tensors there: it takes and returns them, and nothing
    here waits for it, so its numbers are not looked at either. All others work with NumPy arrays and are checked.
    ``step_async`` and ``step_wait`` are used where they exist, so that environments step while the agent learns.

    Args:
        vector_env: has ``len(seeds) * num_envs`` environments and takes one seed each in ``reset(seed=list)``.
        seeds: S seeds, from which those of environments and episodes derive.
        num_envs: E.
        env_id: names the environment in messages.
        purpose: keeps the episodes of training and evaluation apart.
        device: where all tensors go that come from here.
        stateful: saves and restores ``vector_env``; without it a resumed run starts new episodes.
        first_environment: the number of each seed's first environment, from which episodes derive.

    Attributes:
        exact_resume: whether saving and loading goes on exactly; after ``load_state_dict``, whether it did.

    Raises:
        ValueError: the spaces are not supported, or the number of environments does not fit.
    """

    def __init__(
        self,
        vector_env: VectorEnv[Any, Any, Any],
        seeds: Sequence[int],
        num_envs: int,
        *,
        env_id: str,
        purpose: Purpose = "train",
        device: torch.device | str = "cpu",
        stateful: Stateful | None = None,
        first_environment: int = 0,
    ) -> None:
        check_count(seeds, num_envs, vector_env.num_envs)
        self.observation_space: gymnasium.Space[Any] = tensor_space(vector_env.single_observation_space)
        self.action_space: gymnasium.Space[Any] = tensor_action_space(vector_env.single_action_space)
        self.vector_env: Any = vector_env
        self.seeds = tuple(seeds)
        self.num_envs = num_envs
        self.exact_resume = stateful is not None
        self.on_device = False
        self._env_id = env_id
        if isinstance(vector_env.single_observation_space, Discrete | MultiDiscrete | MultiBinary | Parts):
            numbers = self.observation_space.shape[0]
            warn_once(f"{env_id}: observations are flattened to a vector of {numbers} numbers, one-hot where discrete")
        self._purpose: Purpose = purpose
        self._first_environment = first_environment
        self._stateful = stateful
        self._device = device
        self._takes_tensors = hasattr(vector_env, "device")
        self._autoreset_mode = _autoreset_mode(vector_env)
        self._steps_apart = hasattr(vector_env, "step_async") and hasattr(vector_env, "step_wait")

        self._steps = 0  # of each environment, phantom steps included
        self._restarts = 0
        self._failure: ExperienceError | None = None  # after it only a reset continues
        self._sent: Any = None  # the action under way
        self._observation: Tensor | None = None  # [S, E, ...], to act on next
        self._is_phantom: Any = None  # bool [N], the next step only resets

    def reset(self) -> Tensor:
        """Start every environment; always with the same episodes, so that an evaluation can be repeated."""
        self._sent = self._failure = None
        seeds = environment_seeds(self.seeds, self.num_envs, self._purpose, self._restarts, self._first_environment)
        with self._failures_named():
            observation, info = self.vector_env.reset(seed=seeds)
        self._check_observation(observation, info)
        nowhere = torch.zeros(len(seeds), dtype=torch.bool)
        self._is_phantom = nowhere.to(self._device) if self._takes_tensors else nowhere.numpy()
        self._observation = self._observation_tensor(observation)
        return self._observation

    def restart(self) -> Tensor:
        """Start every environment with other episodes than before."""
        self._restarts += 1
        return self.reset()

    def send(self, action: Tensor) -> None:
        """Begin to act everywhere; ``action`` is ``[S, E, ...]``, int64 counted from 0 or float32.

        Raises:
            ExperienceError: an action is not finite or is none of the space, or environments failed, now or
                before.
        """
        self._require_no_failure()
        if self._sent is not None:
            raise RuntimeError("send() twice without receive() between")
        self._steps += 1
        actions: Any = action.flatten(0, 1)
        if not self._takes_tensors:
            space = self.vector_env.single_action_space
            actions = actions.detach().cpu().numpy()
            if fault := action_fault(space, actions):
                raise self._error(fault)
            actions = action_array(space, actions)
        if self._steps_apart:
            with self._failures_named():
                self.vector_env.step_async(actions)
        self._sent = actions

    def receive(self) -> Step:
        """Wait for what the sent actions did.

        Raises:
            ExperienceError: an environment raised, or returned something that cannot be learned from, now or before.
        """
        self._require_no_failure()
        if self._sent is None:
            raise RuntimeError("receive() without send()")
        actions, self._sent = self._sent, None
        with self._failures_named():
            result = self.vector_env.step_wait() if self._steps_apart else self.vector_env.step(actions)
        observation, reward, terminated, truncated, info = result
        self._check_observation(observation, info)
        self._check_reward(reward)

        ended = terminated | truncated
        valid = ~self._is_phantom
        bootstrap = valid & ~terminated
        if STOPS_BOOTSTRAP in info:
            bootstrap = bootstrap & ~info[STOPS_BOOTSTRAP]

        next_observation = observation
        if self._autoreset_mode is AutoresetMode.NEXT_STEP:
            self._is_phantom = ended
        elif self._autoreset_mode is AutoresetMode.SAME_STEP:
            next_observation = self._final_observation(observation, ended, info)
        elif ended.any():
            observation = self._reset_ended(ended)

        self._observation = self._observation_tensor(observation)
        following = self._observation
        if next_observation is not observation:
            following = self._observation_tensor(next_observation)
        return Step(
            observation=self._observation,
            next_observation=following,
            reward=self._by_seed(reward).float(),
            terminated=self._by_seed(terminated),
            truncated=self._by_seed(truncated),
            bootstrap=self._by_seed(bootstrap),
            valid=self._by_seed(valid),
            # Under NEXT_STEP the observation after an end is still the old episode's; the phantom step brings the new.
            began=self._by_seed(~valid if self._autoreset_mode is AutoresetMode.NEXT_STEP else ended),
        )

    def step(self, action: Tensor) -> Step:
        """``send`` and ``receive``."""
        self.send(action)
        return self.receive()

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture uint8 ``[height, width, 3]`` of each of the N environments, if they were made to be looked at."""
        return self.vector_env.render()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on; after a failure, everything needed to start new episodes."""
        if self._sent is not None:
            raise RuntimeError("receive() what was sent before saving")
        state = {
            "seeds": list(self.seeds),
            "num_envs": self.num_envs,
            "steps": self._steps,
            "restarts": self._restarts,
        }
        if self._stateful is not None and self._observation is not None and self._failure is None:
            state["environments"] = self._stateful.state_dict()
            state["observation"] = self._observation.clone()
            state["is_phantom"] = torch.as_tensor(self._is_phantom).clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> Tensor:
        """Go on where the state was saved, or with new episodes everywhere: see ``exact_resume``.

        Returns:
            The observations to act on.
        """
        check_saved(state, self.seeds, self.num_envs)
        check({"steps": 0, "restarts": 0}, {name: state[name] for name in ("steps", "restarts")}, "environments")
        self._steps, self._restarts = state["steps"], state["restarts"]
        self._sent = self._failure = None
        self.exact_resume = self._go_back(state)
        if not self.exact_resume:
            return self.restart()
        is_phantom, space = state["is_phantom"], self.observation_space
        dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
        check_tensor(is_phantom, (self.vector_env.num_envs,), torch.bool, "is_phantom")
        shape = (len(self.seeds), self.num_envs, *(space.shape or ()))
        check_tensor(state["observation"], shape, dtype, "observation")
        self._is_phantom = is_phantom.to(self._device) if self._takes_tensors else is_phantom.cpu().numpy()
        self._observation = state["observation"].to(self._device)
        return self._observation

    def close(self) -> None:
        """Close the environments, also during a step. Errors in closing are logged, not raised."""
        self._sent = None
        try:
            self.vector_env.close()
        except Exception as error:
            warn_once(f"{self._env_id}: close() raised {_in_one_line(error)}")

    def _go_back(self, state: dict[str, Any]) -> bool:
        if self._stateful is None or "environments" not in state:
            return False
        with self._failures_named():
            is_back = self._stateful.load_state_dict(state["environments"])
        if is_back is False:
            warnings.warn(f"{self._env_id} did not play back as saved: new episodes are started.", stacklevel=3)
            return False
        return True

    def _final_observation(self, observation: Any, ended: Any, info: dict[str, Any]) -> Any:
        """The observations that the last actions led to, where ``observation`` already shows the next episode."""
        if self._takes_tensors:
            trailing = (1,) * (observation.ndim - 1)
            return torch.where(ended.view(-1, *trailing), info["final_obs"], observation)
        if not ended.any():
            return observation
        # An array of objects in Gymnasium; in ale-py one array with only the rows of ended episodes written.
        next_observation = observation.copy()
        for environment in np.flatnonzero(ended):
            next_observation[environment] = info["final_obs"][environment]
        self._check_observation(next_observation, info)
        return next_observation

    def _reset_ended(self, ended: Any) -> Any:
        with self._failures_named():
            observation, info = self.vector_env.reset(options={"reset_mask": ended})
        self._check_observation(observation, info)
        return observation

    def _observation_tensor(self, observation: Any) -> Tensor:
        return self._by_seed(observation_tensor(self.vector_env.single_observation_space, observation))

    def _by_seed(self, flat: Any) -> Tensor:
        """``[N, ...]`` as ``[S, E, ...]`` on the device, without a copy where it is there already."""
        shape = (len(self.seeds), self.num_envs, *flat.shape[1:])
        tensor = flat.view(shape) if isinstance(flat, Tensor) else torch.from_numpy(flat.reshape(shape))
        return tensor.to(self._device)

    def _check_observation(self, observation: Any, info: dict[str, Any]) -> None:
        if not self._takes_tensors:
            space = self.vector_env.single_observation_space
            self._check(reported_fault(info) or observation_fault(space, observation, self.vector_env.num_envs))

    def _check_reward(self, reward: Any) -> None:
        if not self._takes_tensors:
            self._check(reward_fault(reward, self.vector_env.num_envs))

    def _check(self, fault: Fault | None) -> None:
        if fault is not None:
            raise self._error(fault)

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except StateError:  # no fault of the environments
            raise
        except Exception as error:
            if isinstance(error, EnvironmentFailure):
                raise self._error(Fault(error.environment, str(error))) from error
            raise self._error(Fault(None, _in_one_line(error))) from error

    def _require_no_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _error(self, fault: Fault) -> ExperienceError:
        where = "its environments"
        if fault.environment is not None:
            seed, environment = divmod(fault.environment, self.num_envs)
            where = f"environment {environment} of seed {self.seeds[seed]}"
        self._failure = ExperienceError(
            f"{self._env_id}: experience broke off in {where} at env step {self._steps}.\n{fault.what}"
        )
        return self._failure


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _autoreset_mode(vector_env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    mode = vector_env.metadata.get("autoreset_mode")
    if mode is None:
        warnings.warn(f"{vector_env} does not tell its autoreset mode: taken to be NEXT_STEP.", stacklevel=3)
        return AutoresetMode.NEXT_STEP
    return AutoresetMode(mode)
