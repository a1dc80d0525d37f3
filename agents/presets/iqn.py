"""Tuned values of IQN by environment family or name: DQN's, and what differs.

Fewer quantiles where episodes are simple; on Atari the paper's rates.
"""

from typing import Any

from agents.presets.dqn import PRESETS as DQN

_FEWER: dict[str, Any] = {"quantile_samples": 32}
_OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("CartPole", "Acrobot", "MountainCar", "LunarLander", "MinAtar"), _FEWER),
    "Atari": {"learning_rate": (5e-5,), "target_period_updates": 2_500},
}

PRESETS: dict[str, dict[str, Any]] = {name: DQN[name] | own for name, own in _OWN.items()}
