"""Tuned values of REINFORCE by environment family or name: what differs from its plain defaults."""

from typing import Any

from agents.presets.economies import DISCOUNTS

# Ours. Rollouts of half this length left two of ten seeds on CartPole-v1 below 480. What counts is its length for each
# environment: with 64 environments, 32 env steps each, most seeds fail, for the baseline's errors come in.
_BASE = {
    "num_envs": 16,
    "rollout_env_steps": 2_048,
    "discount": (0.98,),
    "learning_rate": (1e-2,),
    "final_learning_rate_fraction": 0.0,
    "baseline_learning_rate": (1e-2,),
    "baseline_updates_per_rollout": 20,
    "evaluate_every_env_steps": 20_480,
    "log_every_env_steps": 2_048,
}
_CARTPOLE = _BASE | {"total_env_steps": 120_000, "hidden": (32, 32)}
_ACROBOT = _BASE | {
    "total_env_steps": 300_000,
    "rollout_env_steps": 4_096,
    "entropy_weight": 0.01,
}
_INVERTED_PENDULUM = _BASE | {"total_env_steps": 500_000}
_PENDULUM = _BASE | {
    "total_env_steps": 2_000_000,
    "rollout_env_steps": 6_400,
    "num_envs": 32,
    "discount": (0.95,),
    "learning_rate": (3e-3,),
    "evaluate_every_env_steps": 64_000,
    "log_every_env_steps": 12_800,
}

# Ours. Rewards of an economy say little about the share to save: a tenth too little costs 0.4 % of consumption. So
# rollouts are long. Less exploration (a log standard deviation of -1.5 at first) did no better.
_ECONOMY = {
    "total_env_steps": 800_000,
    "num_envs": 64,
    "rollout_env_steps": 6_400,
    "learning_rate": (3e-3,),
    "final_learning_rate_fraction": 0.0,
    "baseline_learning_rate": (1e-2,),
    "evaluate_every_env_steps": 160_000,
    "log_every_env_steps": 6_400,
}

# Ours. Episodes end by themselves and are short, so that nothing is discounted.
_MARKET = {
    "total_env_steps": 1_280_000,
    "num_envs": 128,
    "rollout_env_steps": 2_560,
    "discount": (1.0,),
    "learning_rate": (3e-3,),
    "final_learning_rate_fraction": 0.0,
    "baseline_learning_rate": (3e-3,),
    "initial_log_std": -1.0,
    "normalise_rewards": True,
    "evaluate_every_env_steps": 256_000,
    "log_every_env_steps": 25_600,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole": _CARTPOLE,
    "Acrobot": _ACROBOT,
    "InvertedPendulum": _INVERTED_PENDULUM,
    "Pendulum": _PENDULUM,
    "Execution": _MARKET | {"total_env_steps": 256_000},
    "Hedging": _MARKET,
    "Trading": _MARKET | {"rollout_env_steps": 128 * 63},
} | {name: _ECONOMY | {"discount": discount} for name, discount in DISCOUNTS.items()}
