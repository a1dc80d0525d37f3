"""Tuned values of R2D2 by environment family or name: what differs from its plain defaults."""

from typing import Any

# Ours, after DQN's for CartPole: targets that follow by averages, three-step returns, a falling learning rate. From one
# step to the next, positions move by little: as they are, 12,000 env steps taught three seeds nothing.
_CARTPOLE = {
    "num_envs": 8,
    "total_env_steps": 50_000,
    "learning_rate": (1e-3,),
    "final_learning_rate_fraction": 0.0,
    "normalise_observations": True,
    "hidden": (64,),
    "memory_units": 64,
    "burn_in_env_steps": 4,
    "sequence_env_steps": 16,
    "sequence_period_env_steps": 8,
    "n_step": 3,
    "replay_capacity": 50_000,
    "learning_starts_env_steps": 1_000,
    "train_every_env_steps": 16,
    "updates_per_train": 2,
    "tau": 0.01,
    "epsilon_decay_env_steps": 5_000,
    "epsilon_end": (0.02,),
    "evaluate_every_env_steps": 5_000,
    "log_every_env_steps": 1_000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "PositionOnlyCartPole": _CARTPOLE,
}
