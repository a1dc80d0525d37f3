"""Tuned values of A2C by environment family or name: what differs from its plain defaults.

From the zoo of Stable-Baselines3, with Adam in place of RMSProp, and Gaussian noise of its own at each step where the
zoo has noise that depends on the state (gSDE, Pendulum).
"""

from typing import Any

_CARTPOLE = {
    "total_env_steps": 500_000,
    "final_learning_rate_fraction": 1.0,
    "num_envs": 8,
    "rollout_env_steps": 40,
    "evaluate_every_env_steps": 20_000,
    "log_every_env_steps": 2_000,
}
_ACROBOT = _CARTPOLE | {
    "num_envs": 16,
    "rollout_env_steps": 80,
    "normalise_observations": True,
    "normalise_rewards": True,
}
_PENDULUM = {
    "total_env_steps": 1_000_000,
    "num_envs": 8,
    "rollout_env_steps": 64,
    "discount": (0.9,),
    "trace": 0.9,
    "value_weight": 0.4,
    "normalise_observations": True,
    "normalise_rewards": True,
    "evaluate_every_env_steps": 64_000,
    "log_every_env_steps": 6_400,
}
_LUNAR_LANDER = {
    "total_env_steps": 200_000,
    "num_envs": 8,
    "rollout_env_steps": 40,
    "discount": (0.995,),
    "learning_rate": (8.3e-4,),
    "entropy_weight": 1e-5,
    "evaluate_every_env_steps": 20_000,
    "log_every_env_steps": 2_000,
}
_ATARI = {
    "total_env_steps": 10_000_000,
    "final_learning_rate_fraction": 1.0,
    "num_envs": 16,
    "rollout_env_steps": 80,
    "entropy_weight": 0.01,
    "value_weight": 0.25,
    "activation": "relu",
    "clip_rewards": True,
    "evaluate_every_env_steps": 250_000,
    "log_every_env_steps": 4_000,
    "checkpoint_every_seconds": 1_800.0,
}
# Ours: PPO's environments, with steps as short as the paper's.
_MINATAR = {
    "total_env_steps": 10_000_000,
    "num_envs": 64,
    "rollout_env_steps": 320,
    "entropy_weight": 0.01,
    "activation": "relu",
    "evaluate_every_env_steps": 500_000,
    "log_every_env_steps": 32_000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole": _CARTPOLE,
    "Acrobot": _ACROBOT,
    "Pendulum": _PENDULUM,
    "LunarLander": _LUNAR_LANDER,
    "Atari": _ATARI,
    "MinAtar": _MINATAR,
}
