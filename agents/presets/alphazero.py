"""Tuned values of AlphaZero by game: what differs from its plain defaults.

Ours, tuned little. ``docs/self_play.md`` has what was measured.
"""

from typing import Any

_TIC_TAC_TOE: dict[str, Any] = {
    "env_kwargs": {"opponent": "minimax"},
    "total_env_steps": 60_000,
    "encoder": "mlp",
    "hidden": (128, 128),
    "n_step": 9,
    "num_envs": 128,
    "train_every_env_steps": 128,
    "updates_per_train": 8,
    "simulations": 32,
    "temperature_moves": 9,
    "replay_capacity": 20_000,
    "learning_starts_env_steps": 2_000,
    "evaluate_every_env_steps": 10_240,
    "evaluation_episodes": 250,
    "evaluation_envs": 250,
    "log_every_env_steps": 2_048,
    "threads": 1,
}
_CONNECT_FOUR: dict[str, Any] = {
    "env_kwargs": {"opponent": "minimax"},
    "total_env_steps": 700_000,
    "encoder": "mlp",
    "n_step": 42,
    "num_envs": 256,
    "simulations": 64,
    "evaluation_simulations": 100,
    "noise_concentration": 1.0,
    "replay_capacity": 200_000,
    "learning_starts_env_steps": 4_096,
    "train_every_env_steps": 256,
    "updates_per_train": 8,
    "evaluate_every_env_steps": 102_400,
    "evaluation_episodes": 100,
    "evaluation_envs": 100,
    "log_every_env_steps": 8_192,
    "threads": 1,
}
_OTHELLO: dict[str, Any] = _CONNECT_FOUR | {"n_step": 64, "noise_concentration": 0.8}

PRESETS: dict[str, dict[str, Any]] = {
    "TicTacToe": _TIC_TAC_TOE,
    "ConnectFour": _CONNECT_FOUR,
    "Othello6": _OTHELLO,
}
