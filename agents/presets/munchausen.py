"""Tuned values of Munchausen DQN by environment family or name: DQN's, and what differs.

Every step has a reward of its own, so that returns are of one step. On Atari the paper's learning rate and target
period; the rest is DQN's.
"""

from typing import Any

from agents.presets.dqn import PRESETS as DQN

_OWN: dict[str, dict[str, Any]] = {
    "CartPole": {"n_step": 1},
    "Acrobot": {"n_step": 1},
    "MountainCar": {"n_step": 1},
    "LunarLander": {"n_step": 1},
    "MinAtar": {},
    "Atari": {"learning_rate": (5e-5,), "target_period_updates": 2_000},
}

PRESETS: dict[str, dict[str, Any]] = {name: DQN[name] | own for name, own in _OWN.items()}
