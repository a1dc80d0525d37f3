"""Tuned values of TD3: those of DDPG, from which both its paper and the zoo of Stable-Baselines3 start too."""

from typing import Any

from agents.presets import ddpg

PRESETS: dict[str, dict[str, Any]] = ddpg.PRESETS
