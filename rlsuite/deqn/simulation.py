"""Paths of an economy under a policy."""

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import Model, Policy, PolicyFunction


def advance(model: Model, policy: PolicyFunction, state: Tensor, key: Tensor) -> tuple[Tensor, Policy]:
    """One period with the shocks of ``key``: tomorrow's states, and the decisions that were made today."""
    decision = policy(state)
    return model.step(state, decision, model.shocks.draw(state, key)), decision


@torch.no_grad()
def simulate(model: Model, policy: PolicyFunction, state: Tensor, key: Tensor, periods: int) -> Tensor:
    """States after each of ``periods``: ``[periods, *state.shape]``; period t draws with ``random.key(key, t)``."""
    path = []
    for period in range(periods):
        state, _ = advance(model, policy, state, random.key(key, period))
        path.append(state)
    return torch.stack(path)


@torch.no_grad()
def silent_path(model: Model, policy: PolicyFunction, state: Tensor, periods: int) -> Tensor:
    """Simulate an economy without shocks; see ``simulate``."""
    path = []
    for _ in range(periods):
        state = model.step(state, policy(state), model.shocks.silent(state))
        path.append(state)
    return torch.stack(path)


def describe(model: Model, state: Tensor) -> str:
    """One state ``[D]`` in words: its columns by name, the first dozen of many."""
    shown = [f"{name} = {value:.6g}" for name, value in zip(model.state_names, state.tolist(), strict=True)][:12]
    return ", ".join(shown) + (", ..." if len(model.state_names) > 12 else "")
