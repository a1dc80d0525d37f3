"""One environment with switches for everything that can be wrong with it: ``--env sick:sick/FAULT-v0``.

With ``SICK_CURED=1`` in the environment variables it is well.
"""

import itertools
import os
import sys
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

_AT = 61  # the step, counted over all episodes of a copy, at which it happens
_EPISODE = 13  # steps

_NAMES = """
    raises raises-in-reset raises-at-once exits exits-in-reset endless slow nan-reward inf-reward reward-array
    reward-none reward-text observation-nan observation-inf observation-shape observation-dtype observation-none
    observation-outside reused-array old-step three-values reset-without-info info-shapes info-types info-none
    terminated-int terminated-array close-raises close-exits few-copies constructor-raises constructor-needs-argument
    prints warns changes-space keyboard-interrupt system-exit big-exception
"""
FAULTS = tuple(_NAMES.split())


class Sick(gymnasium.Env[Any, Any]):
    """Walks at random; what its actions do is of no interest here."""

    alive = 0

    def __init__(self, fault: str, continuous: bool = False) -> None:
        self.fault = "" if os.environ.get("SICK_CURED") else fault
        self.observation_space = Box(-1.0, 1.0, (3,), np.float32)
        self.action_space = Box(-1.0, 1.0, (2,), np.float32) if continuous else Discrete(2)
        self.steps = self.time = 0
        self.array = np.zeros(3, np.float32)
        Sick.alive += 1
        if self.fault == "constructor-raises":
            raise RuntimeError("no licence\nfor this simulator")
        if self.fault == "constructor-needs-argument":
            raise TypeError("Sick() misses 1 required argument: 'size'")
        if self.fault == "few-copies" and Sick.alive > 4:
            Sick.alive -= 1
            raise RuntimeError("only 4 simulators may run at once")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        if self.fault == "raises-at-once":
            raise OSError("no connection to the simulator")
        if self._is_time("raises-in-reset", 40):
            raise OSError("no such level")
        if self._is_time("exits-in-reset", 40):
            os._exit(7)
        if self.fault == "reset-without-info":
            return self._observation()
        return self._observation(), self._info()

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.time += 1
        assert self.action_space.contains(action), action
        observation, reward, ended = self._observation(), 1.0, self.time >= _EPISODE
        truncated: Any = False
        match self.fault if self.steps == _AT else "":
            case "raises":
                raise ZeroDivisionError("division by zero")
            case "big-exception":
                raise ValueError("a word " * 5_000)
            case "keyboard-interrupt":
                raise KeyboardInterrupt
            case "system-exit":
                sys.exit("the simulator has ended")
            case "exits":
                os._exit(7)
            case "nan-reward":
                reward = float("nan")
            case "inf-reward":
                reward = -float("inf")
            case "reward-none":
                return observation, None, ended, truncated, {}
            case "reward-text":
                return observation, "much", ended, truncated, {}
            case "old-step":
                return observation, reward, ended, {}
            case "three-values":
                return observation, reward, ended
            case "info-none":
                return observation, reward, ended, truncated, None
        if self.fault == "endless":
            ended = False
        if self.fault == "slow":
            time.sleep(0.02)
        if self.fault == "reward-array":
            return observation, np.array([reward]), ended, truncated, {}
        if self.fault == "terminated-int":
            return observation, reward, int(ended), 0, {}
        if self.fault == "terminated-array":
            return observation, reward, np.array([ended]), truncated, {}
        if self.fault == "prints":
            print("a step of the simulator")
        if self.fault == "warns":
            gymnasium.logger.warn("a step of the simulator")
        if self.fault == "changes-space":
            self.observation_space = Box(-2.0, 2.0, (4,), np.float32)
        return observation, reward, ended, truncated, self._info()

    def close(self) -> None:
        Sick.alive -= 1
        if self.fault == "close-raises":
            raise RuntimeError("not connected to the physics server")
        if self.fault == "close-exits":
            sys.exit("the simulator has ended")

    def _is_time(self, fault: str, step: int) -> bool:
        return self.fault == fault and self.steps >= step

    def _observation(self) -> Any:
        fresh = self.np_random.uniform(-1.0, 1.0, 3).astype(np.float32)
        if self.fault == "reused-array":
            self.array[:] = fresh
            return self.array
        if self.steps < _AT or not self.fault.startswith("observation"):
            return fresh
        return {
            "observation-nan": fresh * np.nan,
            "observation-inf": fresh + np.inf,
            "observation-shape": fresh[:2],
            "observation-dtype": np.array(["a", "b", "c"]),
            "observation-none": None,
            "observation-outside": fresh + 100,
        }[self.fault]

    def _info(self) -> dict[str, Any]:
        if self.fault == "info-shapes":
            return {"visited": np.zeros(int(self.np_random.integers(1, 9)))}
        if self.fault == "info-types":
            return {"winner": 1 if self.np_random.random() < 0.5 else "nobody", "episode": 3, "_episode": "x"}
        return {}


for _fault, _continuous in itertools.product(FAULTS, (False, True)):
    gymnasium.register(
        f"sick/{_fault}{'-continuous' if _continuous else ''}-v0",
        Sick,
        kwargs={"fault": _fault, "continuous": _continuous},
        disable_env_checker=True,
        order_enforce=False,
    )
