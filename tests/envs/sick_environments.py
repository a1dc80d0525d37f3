"""One environment with many faults, registered on import with each of them as ``sick/*``."""

import os
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

FAULTS = {
    "raises": "step() raised ConnectionError: the simulator does not answer",
    "leaves": "step() raised SystemExit: 3",
    "raises in reset": "reset() raised OSError: no such level",
    "reward nan": "the reward is nan",
    "reward infinite": "the reward is -inf",
    "reward beyond float32": "the reward is 1e+39, more than the largest float32",
    "reward of two": "step() returned a reward that is no number: array([1., 2.])",
    "observation nan": "the observation is nan at index [1]",
    "observation beyond float32": "step() returned an observation with numbers beyond float32: array(",
    "observation of another shape": "step() returned an observation of shape (2,) instead of (3,)",
    "four values": "instead of (observation, reward, terminated, truncated, info)",
    "process dies": "its process ended (exit status 7)",
}
"""A fault, and the message that it must lead to."""


class Sick(gymnasium.Env):
    """Episodes of 7 steps; at step ``at`` of its life ``fault`` happens."""

    observation_space = Box(-1.0, 1.0, (3,), np.float32)
    action_space: gymnasium.Space = Discrete(2)

    def __init__(self, fault: str | None = None, at: int = 90) -> None:
        self.fault, self.at, self.life = fault, at, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.time = 0
        if self.fault == "raises in reset" and self.life >= self.at:
            raise OSError("no such level")
        return self._observation(), {}

    def step(self, action):
        self.time, self.life = self.time + 1, self.life + 1
        observation, reward, truncated = self._observation(), 1.0, self.time >= 7
        if self.life == self.at:
            match self.fault:
                case "raises":
                    raise ConnectionError("the simulator\ndoes not answer")
                case "leaves":
                    sys.exit(3)
                case "reward nan":
                    reward = float("nan")
                case "reward infinite":
                    reward = -np.inf
                case "reward beyond float32":
                    reward = 1e39
                case "reward of two":
                    reward = np.array([1.0, 2.0])
                case "observation nan":
                    observation[1] = np.nan
                case "observation beyond float32":
                    observation = np.full(3, 1e300)
                case "observation of another shape":
                    observation = observation[:2]
                case "four values":
                    return observation, reward, truncated, {}
                case "process dies":
                    os._exit(7)
        return observation, reward, False, truncated, {}

    def _observation(self):
        return self.np_random.uniform(-1.0, 1.0, 3).astype(np.float32)


class SickBox(Sick):
    action_space = Box(-1.0, 1.0, (1,), np.float32)


def sick(agent: str, fault: str) -> str:
    """The id of an environment that ``agent`` can act in, with that fault."""
    return f"sick/{'Box' if agent == 'ddpg' else ''}{fault.title().replace(' ', '')}-v0"


for agent, entry_point in {"ddpg": SickBox, "dqn": Sick}.items():
    for fault in FAULTS:
        gymnasium.register(sick(agent, fault), entry_point, kwargs={"fault": fault}, disable_env_checker=True)
