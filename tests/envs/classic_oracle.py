"""Steps Gymnasium's environment and ours from the same states with the same actions, and compares what comes out."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch

from envs.core import Dynamics

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}


def assert_same_transitions(
    dynamics: Dynamics,
    oracle: gymnasium.Env[Any, Any],
    names: Sequence[str],
    states: np.ndarray,
    actions: np.ndarray,
    dtype: torch.dtype,
    *,
    tolerance: float | None = None,
    oracle_state: Callable[[np.ndarray], Any] = lambda state: state,
) -> None:
    """``states`` is ``[N, len(names)]``, ``actions`` ``[N]`` or ``[N, A]``."""
    tolerance = TOLERANCES[dtype] if tolerance is None else tolerance
    rounded = torch.from_numpy(states).to(dtype)
    state = {name: rounded[:, column] for column, name in enumerate(names)}
    following, reward, terminated = dynamics.transition(state, torch.from_numpy(actions), torch.zeros(len(states)))
    observation = dynamics.observe(following)

    oracle.reset(seed=0)
    expected = {"state": [], "observation": [], "reward": [], "terminated": []}
    for start, action in zip(rounded.double().numpy(), actions, strict=True):
        oracle.unwrapped.state = oracle_state(start.copy())
        oracle.unwrapped.steps_beyond_terminated = None
        seen, oracle_reward, oracle_terminated, _, _ = oracle.unwrapped.step(action)
        expected["state"].append(np.asarray(oracle.unwrapped.state, np.float64))
        expected["observation"].append(seen)
        expected["reward"].append(oracle_reward)
        expected["terminated"].append(oracle_terminated)

    close = {"rtol": tolerance, "atol": tolerance}
    got = torch.stack([following[name] for name in names], dim=-1).double().numpy()
    np.testing.assert_allclose(got, np.array(expected["state"]), **close)
    np.testing.assert_allclose(reward.double().numpy(), np.array(expected["reward"]), **close)
    np.testing.assert_allclose(observation.numpy(), np.array(expected["observation"]), rtol=1e-5, atol=1e-5)
    assert observation.dtype == torch.float32
    disagree = terminated.numpy() != np.array(expected["terminated"])
    assert not disagree.any(), f"termination differs from {states[disagree]}"
