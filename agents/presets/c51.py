"""Tuned values of C51 by environment family or name: DQN's, and what differs.

Supports are of discounted returns: those of CartPole reach 1 / (1 - 0.99) = 100. On Atari the paper's rates.
"""

from typing import Any

from agents.presets.dqn import PRESETS as DQN

_RETURNS: dict[str, dict[str, Any]] = {
    "CartPole": {"support_low": 0.0, "support_high": 100.0},
    "Acrobot": {"support_low": -100.0, "support_high": 0.0},
    "MountainCar": {"support_low": -50.0, "support_high": 0.0},
    "LunarLander": {"support_low": -300.0, "support_high": 300.0},
    # The paper's 3e-4 for Adam's root is ten times as large as that of most output weights' gradients here.
    "MinAtar": {"support_low": -10.0, "support_high": 40.0, "adam_eps": 1e-8},
    "Atari": {"learning_rate": (2.5e-4,), "target_period_updates": 2_500},
}

PRESETS: dict[str, dict[str, Any]] = {name: DQN[name] | own for name, own in _RETURNS.items()}
