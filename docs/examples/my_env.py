"""An environment of one's own: a lift that moves up and down, and is to meet a caller's floor."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete

FLOORS, CALLS = 8, 5


class Lift(gymnasium.Env[np.ndarray, Any]):
    """A call is answered by stopping at its floor, for a reward of 1; each step costs 0.05. Five calls are an episode.

    The observation is the floor of the lift and that of the caller; an agent sees both one-hot, as one vector.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  as Gymnasium has it
    observation_space = MultiDiscrete([FLOORS, FLOORS])
    action_space = Discrete(3)  # down, stop, up

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.floor, self.call = self.np_random.integers(FLOORS, size=2)
        self.answered = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.floor = np.clip(self.floor + int(action) - 1, 0, FLOORS - 1)
        reward = -0.05
        if action == 1 and self.floor == self.call:
            reward += 1.0
            self.answered += 1
            self.call = self.np_random.integers(FLOORS)
        return self._observation(), reward, self.answered == CALLS, False, {}

    def render(self) -> np.ndarray:  # type: ignore[override]
        picture = np.full((FLOORS, 5, 3), 40, np.uint8)
        picture[FLOORS - 1 - self.floor, 1:3] = (86, 180, 233)
        picture[FLOORS - 1 - self.call, 4] = (230, 159, 0)
        return picture.repeat(30, axis=0).repeat(30, axis=1)

    def _observation(self) -> np.ndarray:
        return np.array([self.floor, self.call])


gymnasium.register("Lift-v0", Lift, max_episode_steps=100)
