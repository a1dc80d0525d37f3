"""Tuned values of Rainbow by environment family or name: DQN's, and what differs.

C51's supports, and no epsilon: noise explores. On Atari the paper's learning rate and target period; the rest is DQN's.
"""

from typing import Any

from agents.presets.c51 import PRESETS as C51

_NOISE: dict[str, Any] = {"epsilon_end": (0.0,), "n_step": 3}
_OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("CartPole", "Acrobot", "MountainCar", "LunarLander", "MinAtar"), _NOISE),
    "Atari": _NOISE | {"learning_rate": (6.25e-5,), "target_period_updates": 2_000},
}

PRESETS: dict[str, dict[str, Any]] = {name: C51[name] | own for name, own in _OWN.items()}
