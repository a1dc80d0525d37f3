"""``TorchVectorEnv`` as ``rlsuite.experience.Environments``, in tensor operations that can be compiled and captured."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from envs.conversion import tensor_action_space, tensor_space
from envs.core import TorchVectorEnv
from envs.seeding import Purpose, check_count, check_saved, environment_seeds
from rlsuite.experience import Step
from rlsuite.state import restore


class OnDevice:
    """S x E environments on tensors. What a step returns lives on until the next one; nothing is checked or waited for.

    Args:
        vector_env: has ``len(seeds) * num_envs`` environments, and resets them in the same step.
        seeds: S seeds, from which those of environments and episodes derive.
        num_envs: E.
        purpose: keeps the episodes of training and evaluation apart.

    Raises:
        ValueError: the number of environments does not fit, or the autoreset mode is another.
    """

    on_device = True
    exact_resume = True

    def __init__(
        self, vector_env: TorchVectorEnv, seeds: Sequence[int], num_envs: int, *, purpose: Purpose = "train"
    ) -> None:
        check_count(seeds, num_envs, vector_env.num_envs)
        if vector_env.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"environments must reset in the same step, not {vector_env.autoreset_mode}.")
        self.vector_env, self.seeds, self.num_envs = vector_env, tuple(seeds), num_envs
        self.observation_space: gymnasium.Space[Any] = tensor_space(vector_env.single_observation_space)
        self.action_space: gymnasium.Space[Any] = tensor_action_space(vector_env.single_action_space)
        self._purpose: Purpose = purpose
        discrete = not self.action_space.shape
        shape = (vector_env.num_envs, *(self.action_space.shape or ()))
        dtype = torch.int64 if discrete else torch.float32
        self._action = torch.zeros(shape, dtype=dtype, device=vector_env.device)  # the one under way
        self._valid = torch.ones(len(seeds), num_envs, dtype=torch.bool, device=vector_env.device)

    def reset(self) -> Tensor:
        """Start every environment; always with the same episodes, so that an evaluation can be repeated."""
        observation, _ = self.vector_env.reset(seed=environment_seeds(self.seeds, self.num_envs, self._purpose))
        return self._by_seed(observation)

    def send(self, action: Tensor) -> None:
        """Set the next actions; ``receive`` executes the step."""
        self._action.copy_(action.flatten(0, 1))

    def receive(self) -> Step:
        observation, next_observation, reward, terminated, truncated = map(
            self._by_seed, self.vector_env.step_tensors(self._action)
        )
        began = terminated | truncated
        return Step(observation, next_observation, reward, terminated, truncated, ~terminated, self._valid, began)

    def step(self, action: Tensor) -> Step:
        """``send`` and ``receive``."""
        self.send(action)
        return self.receive()

    def _by_seed(self, flat: Tensor) -> Tensor:
        return flat.view(len(self.seeds), self.num_envs, *flat.shape[1:])

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture uint8 ``[height, width, 3]`` of each of the N environments, if they were made to be looked at."""
        return self.vector_env.render()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, the action under way included."""
        return {
            "seeds": list(self.seeds),
            "num_envs": self.num_envs,
            "environments": self.vector_env.state_dict(),
            "action": self._action.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Tensor:
        """Go back to where the state was saved; returns the observations to act on.

        Raises:
            ValueError: it was saved with other seeds, numbers or kinds of environments.
        """
        check_saved(state, self.seeds, self.num_envs)
        self.vector_env.load_state_dict(state["environments"])
        restore({"action": self._action}, {"action": state["action"]}, "environments")
        return self._by_seed(self.vector_env.observe())

    def close(self) -> None:
        self.vector_env.close()
