"""Tuned values of SAC by environment family or name: what differs from its plain defaults."""

from typing import Any

from agents.presets import ddpg

# The zoo's values for Pendulum-v1, 20,000 steps, with discount 0.98 as for DDPG.
_PENDULUM = ddpg.PRESETS["Pendulum"] | {"actor_learning_rate": (1e-3,)}

PRESETS: dict[str, dict[str, Any]] = {
    "Pendulum": _PENDULUM,
}
