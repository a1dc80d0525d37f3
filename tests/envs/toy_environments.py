"""Small environments for the tests of this folder, registered as ``toy/*`` on import."""

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple


class Walk(gymnasium.Env):
    """A noisy walk on the line that terminates beyond +-1.5; the time limit of its registration is 5 steps.

    Episodes of one step, terminations, truncations and both at once all come up within some dozens of steps.
    """

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Discrete(3, start=-1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.place, self.time = self.np_random.uniform(-1.0, 1.0), 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.time += 1
        self.place += 0.5 * action + self.np_random.uniform(-0.5, 0.5)
        return self._observation(), self.place, abs(self.place) > 1.5, False, {"time": self.time}

    def _observation(self):
        return np.array([self.place, self.time])


class Drive(Walk):
    """The walk with two forces arranged as a 2 x 1 matrix."""

    action_space = Box(-1.0, 1.0, (2, 1), np.float64)

    def step(self, action):
        assert action.shape == (2, 1) and action.dtype == np.float64
        self.time += 1
        self.place += action[0, 0] - action[1, 0]
        return self._observation(), self.place, abs(self.place) > 1.5, False, {}


class Faulty(Walk):
    """The walk, until something goes wrong at the third step of the second episode."""

    def __init__(self, fault: str) -> None:
        self.fault, self.episode = fault, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.episode += 1
        if self.fault == "reset" and self.episode == 3:
            raise OSError("no such\nlevel")
        return super().reset(seed=seed, options=options)

    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        if self.episode == 2 and self.time == 3:
            match self.fault:
                case "raise":
                    raise ZeroDivisionError("division by nothing")
                case "nan reward":
                    reward = float("nan")
                case "infinite observation":
                    observation[1] = np.inf
                case "shape":
                    observation = observation[:1]
                case "type":
                    observation = np.array(["a", "b"])
                case "no reward":
                    reward = None
        return observation, reward, False, False, info


class Drifting(Walk):
    """The walk with a memory that no seed resets: playing an episode back does not lead to the same place."""

    total = 0.0

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        Drifting.total += 0.001
        return observation + Drifting.total, reward, terminated, truncated, info


_PIXELS = Box(0, 255, (20, 16, 3), np.uint8)
OBSERVATIONS: dict[str, Space[Any]] = {
    "discrete": Discrete(4, start=1),
    "multi-discrete": MultiDiscrete([3, 2], start=[1, -1]),
    "grid": MultiDiscrete([[3, 2, 2], [2, 4, 2]]),
    "multi-binary": MultiBinary((2, 3)),
    "tuple": Tuple([Discrete(3), Box(-1.0, 1.0, (2, 2), np.float64)]),
    "goal": Dict(
        observation=Box(-10.0, 10.0, (2,), np.float64),
        goals=Dict(desired_goal=Box(-10.0, 10.0, (1,)), achieved_goal=Box(-10.0, 10.0, (1,))),
        flags=MultiBinary(2),
    ),
    "picture": Dict(seen=_PIXELS, place=Box(-10.0, 10.0, (2,)), key=Discrete(2)),
    "pictures": Dict(ahead=_PIXELS, behind=Box(0, 255, (18, 18), np.uint8)),
    "spoken": Dict(place=Box(-1.0, 1.0, (2,)), said=Text(5)),
}
ACTIONS: dict[str, Space[Any]] = {
    "discrete": Discrete(3, start=-1),
    "multi-discrete": MultiDiscrete([3, 2], start=[-1, 5]),
    "grid": MultiDiscrete([[3, 2, 2], [2, 4, 2]]),
    "multi-binary": MultiBinary(3),
    "box": Box(np.float32(-1), np.array([[1, 2, 3], [4, 5, 6]], np.float32)),
    "scalar": Box(-2.0, 2.0, ()),
}


class Spaced(Walk):
    """Random observations of a named space, which the episode's seed decides; the reward is for the last action."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, observation: str = "goal", action: str = "discrete", render_mode: str | None = None) -> None:
        self.observation_space, self.action_space = deepcopy((OBSERVATIONS[observation], ACTIONS[action]))
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.observation_space.seed(seed)
        return super().reset(seed=seed, options=options)

    def step(self, action):
        assert self.action_space.contains(action), action
        self.time += 1
        return self._observation(), float(np.sum(action)), False, False, {}

    def _observation(self):
        return self.observation_space.sample()

    def render(self):
        return np.full((32, 32, 3), 128, np.uint8)


class Screen(Walk):
    """The walk seen in colour, channels last; red tells where, green tells when."""

    observation_space = Box(0, 255, (20, 30, 3), np.uint8)

    def _observation(self):
        seen = np.zeros((20, 30, 3), np.uint8)
        seen[..., 0], seen[..., 1] = 128 + 40 * self.place, self.time
        return seen


for entry_point in (Walk, Drive, Faulty, Drifting, Spaced, Screen):
    gymnasium.register(f"toy/{entry_point.__name__}-v0", entry_point, max_episode_steps=5)
