"""Tuned values of PQN by environment family or name: what differs from its plain defaults.

The authors' values for MinAtar, with Adam. CartPole's are ours.
"""

from typing import Any

_CARTPOLE = {
    "total_env_steps": 500_000,
    "num_envs": 32,
    "rollout_env_steps": 2_048,
    "epochs": 4,
    "minibatches": 16,
    "learning_rate": (2.5e-4,),
    "trace": 0.95,
    "epsilon_decay_env_steps": 100_000,
    "evaluate_every_env_steps": 20_480,
    "log_every_env_steps": 2_048,
}

_MINATAR = {
    "total_env_steps": 10_000_000,
    "num_envs": 128,
    "rollout_env_steps": 4_096,
    "epochs": 2,
    "minibatches": 32,
    "learning_rate": (5e-4,),
    "trace": 0.65,
    "epsilon_decay_env_steps": 1_000_000,
    "evaluate_every_env_steps": 500_000,
    "log_every_env_steps": 40_960,
}

# The authors' for Atari, for 40 million frames instead of 200.
_ATARI = {
    "total_env_steps": 10_000_000,
    "final_learning_rate_fraction": 1.0,
    "num_envs": 128,
    "rollout_env_steps": 4_096,
    "epochs": 2,
    "minibatches": 32,
    "learning_rate": (2.5e-4,),
    "trace": 0.65,
    "epsilon_decay_env_steps": 1_000_000,
    "epsilon_end": (0.001,),
    "clip_rewards": True,
    "evaluate_every_env_steps": 500_000,
    "log_every_env_steps": 40_960,
    "checkpoint_every_seconds": 1_800.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole": _CARTPOLE,
    "PositionOnlyCartPole": _CARTPOLE | {"memory": "gru", "minibatches": 4},
    "MinAtar": _MINATAR,
    "Atari": _ATARI,
}
