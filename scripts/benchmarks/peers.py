"""Stable-Baselines3 as a peer: models that take their turn in this process, with all its cores."""

import importlib
import time
from collections.abc import Callable
from typing import Any

import torch

STABLE_BASELINES3 = "Stable-Baselines3"
_CORES = torch.get_num_threads()  # read before other code here sets them


def stable_baselines3(module: str = "") -> Any:
    """The package, or a module of it.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module(f"stable_baselines3{module}")
    except ImportError as error:
        raise ValueError(f'the peer is not installed ({error}): pip install -e ".[peers]"') from None


def with_all_cores(measure: Callable[[], float]) -> Callable[[], float]:
    """``measure`` with the threads that torch begins with; rlsuite's own choice is back in force afterwards."""

    def measured() -> float:
        own = torch.get_num_threads()
        torch.set_num_threads(_CORES)
        try:
            return measure()
        finally:
            torch.set_num_threads(own)

    return measured


def learning_speed(model: Any, env_steps: int) -> Callable[[], float]:
    """Env steps a second of ``model`` while it learns for ``env_steps`` more."""

    def measure() -> float:
        started = time.perf_counter()
        model.learn(env_steps, reset_num_timesteps=False)
        return env_steps / (time.perf_counter() - started)

    return with_all_cores(measure)
