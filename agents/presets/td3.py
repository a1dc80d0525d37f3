"""Tuned values of TD3 by environment family or name: those of DDPG, which paper and zoo share too, and a few more."""

from typing import Any

from agents.presets import ddpg

# Networks of 64 learn the pendulum as well as those of 256, in a fraction of the time.
_PENDULUM = ddpg.PRESETS["Pendulum"] | {"hidden": (64, 64), "batch_size": 128}

# The zoo's values for BipedalWalker-v3 (1 million steps), with smaller networks.
_BIPEDAL_WALKER = ddpg.PRESETS["LunarLanderContinuous"] | {
    "total_env_steps": 1_000_000,
    "hidden": (256, 256),
    "batch_size": 256,
    "evaluate_every_env_steps": 20_000,
}

PRESETS: dict[str, dict[str, Any]] = ddpg.PRESETS | {"Pendulum": _PENDULUM, "BipedalWalker": _BIPEDAL_WALKER}
