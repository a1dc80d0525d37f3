"""Tuned values of PPO by environment family or name: what differs from its plain defaults.

From the literature unless said otherwise; networks are two layers of 64. ``docs/benchmarks.md`` has what was measured.
"""

from typing import Any

from agents.presets.economies import DISCOUNTS

# The zoo's values, whose clip falls along with the learning rate; 100,000 steps.
_CARTPOLE = {
    "total_env_steps": 100_000,
    "num_envs": 8,
    "rollout_env_steps": 256,
    "epochs": 20,
    "minibatches": 1,
    "learning_rate": (1e-3,),
    "discount": (0.98,),
    "trace": 0.8,
    "evaluate_every_env_steps": 10_240,
    "log_every_env_steps": 1_024,
}

# The zoo's values; 1 million steps.
_ACROBOT = {
    "total_env_steps": 1_000_000,
    "num_envs": 16,
    "rollout_env_steps": 4_096,
    "epochs": 4,
    "minibatches": 64,
    "final_learning_rate_fraction": 1.0,
    "trace": 0.94,
    "normalise_observations": True,
    "normalise_rewards": True,
    "evaluate_every_env_steps": 40_960,
    "log_every_env_steps": 4_096,
}

# The zoo's values, without its state-dependent exploration; 100,000 steps.
_PENDULUM = {
    "total_env_steps": 100_000,
    "num_envs": 4,
    "rollout_env_steps": 4_096,
    "epochs": 10,
    "minibatches": 64,
    "learning_rate": (1e-3,),
    "final_learning_rate_fraction": 1.0,
    "discount": (0.9,),
    "evaluate_every_env_steps": 12_288,
    "log_every_env_steps": 4_096,
}

# The zoo's values, of the discrete and of the continuous lander; 1 million steps.
_LUNAR_LANDER = {
    "total_env_steps": 1_000_000,
    "num_envs": 16,
    "rollout_env_steps": 16_384,
    "epochs": 4,
    "minibatches": 256,
    "final_learning_rate_fraction": 1.0,
    "discount": (0.999,),
    "trace": 0.98,
    "entropy_weight": 0.01,
    "evaluate_every_env_steps": 65_536,
    "log_every_env_steps": 16_384,
}

# CleanRL's values for ALE's games; 10 million steps.
_ATARI = {
    "total_env_steps": 10_000_000,
    "num_envs": 8,
    "rollout_env_steps": 1_024,
    "epochs": 4,
    "minibatches": 4,
    "learning_rate": (2.5e-4,),
    "clip": 0.1,
    "value_clip": 0.1,
    "value_weight": 0.25,  # CleanRL halves the squared error, and then weighs it by a half
    "entropy_weight": 0.01,
    "clip_rewards": True,
    "evaluate_every_env_steps": 250_000,
    "log_every_env_steps": 4_096,
    "checkpoint_every_seconds": 1_800.0,
}

# Ours, for 1 million steps. Breakout stays at five for long with an entropy bonus of 0.01, by any learning rate, and
# with purejaxrl's rollouts of 8,192 steps (docs/benchmarks.md).
_MINATAR = {
    "total_env_steps": 1_000_000,
    "num_envs": 32,
    "rollout_env_steps": 1_024,
    "epochs": 4,
    "minibatches": 4,
    "learning_rate": (2e-3,),
    "activation": "relu",
    "evaluate_every_env_steps": 102_400,
    "log_every_env_steps": 8_192,
}

# CleanRL's values with eight environments instead of one, so that one call acts for eight, and twice the weight of its
# value loss; 1 million steps.
_MUJOCO: dict[str, Any] = {
    "total_env_steps": 1_000_000,
    "num_envs": 8,
    "rollout_env_steps": 2_048,
    "epochs": 10,
    "minibatches": 32,
    "value_clip": 0.2,
    "normalise_observations": True,
    "normalise_rewards": True,
    "evaluate_every_env_steps": 102_400,
    "log_every_env_steps": 2_048,
}
_MUJOCO_FAMILIES = ("Ant", "HalfCheetah", "Hopper", "Humanoid", "Reacher", "Swimmer", "Walker2d")

# Ours, of agents with memory.
_POSITION_ONLY_CARTPOLE: dict[str, Any] = {
    "total_env_steps": 100_000,
    "num_envs": 16,
    "memory": "gru",
    "normalise_observations": True,
    "rollout_env_steps": 2_048,
    "bptt_env_steps": 16,
    "epochs": 10,
    "minibatches": 4,
    "learning_rate": (1e-3,),
    "discount": (0.98,),
    "evaluate_every_env_steps": 10_240,
    "log_every_env_steps": 2_048,
}
# What is to be repeated does not depend on what was said before, so that nothing but the
# next reward counts; a rollout is one episode of each environment.
_REPEAT: dict[str, Any] = {
    "total_env_steps": 100_000,
    "num_envs": 64,
    "memory": "gru",
    "rollout_env_steps": 64 * 51,
    "bptt_env_steps": 17,
    "epochs": 8,
    "minibatches": 4,
    "learning_rate": (2e-3,),
    "discount": (0.0,),
    "trace": 0.0,
    "entropy_weight": 0.01,
    "evaluate_every_env_steps": 32_640,
    "log_every_env_steps": 3_264,
}
_REPEAT_MEDIUM = _REPEAT | {
    "total_env_steps": 2_000_000,
    "rollout_env_steps": 64 * 103,
    "bptt_env_steps": 103,
    "memory_units": 128,
    "memory_env_steps": 64,
    "learning_rate": (1e-3,),
    "evaluate_every_env_steps": 131_840,
    "log_every_env_steps": 6_592,
}
_REPEAT_FIRST = _REPEAT | {"total_env_steps": 200_000, "bptt_env_steps": 51, "memory_env_steps": 51}
# For corridors of up to 50: windows are longer than the way to the fork. One step in so many says what to remember, so
# that it takes many updates, and a policy that keeps trying both arms.
_TMAZE = _REPEAT | {
    "total_env_steps": 500_000,
    "rollout_env_steps": 64 * 128,
    "bptt_env_steps": 128,
    "memory_env_steps": 64,
    "epochs": 8,
    "minibatches": 8,
    "learning_rate": (3e-3,),
    "entropy_weight": 0.03,
    "discount": (0.99,),
    "trace": 0.95,
    "evaluate_every_env_steps": 40_960,
    "log_every_env_steps": 8_192,
}

# The zoo's values; 5 million steps.
_BIPEDAL_WALKER = _MUJOCO | {
    "total_env_steps": 5_000_000,
    "num_envs": 32,
    "rollout_env_steps": 65_536,
    "minibatches": 1_024,
    "final_learning_rate_fraction": 1.0,
    "discount": (0.999,),
    "clip": 0.18,
    "value_clip": None,
    "evaluate_every_env_steps": 262_144,
    "log_every_env_steps": 65_536,
}

# Ours, untuned.
_DRIVE: dict[str, Any] = {
    "total_env_steps": 200_000,
    "num_envs": 16,
    "rollout_env_steps": 2_048,
    "evaluate_every_env_steps": 20_480,
    "log_every_env_steps": 2_048,
}

# Ours, untuned: as long as REINFORCE's.
_ECONOMY: dict[str, Any] = {
    "total_env_steps": 800_000,
    "num_envs": 64,
    "rollout_env_steps": 6_400,
    "epochs": 10,
    "minibatches": 10,
    "evaluate_every_env_steps": 160_000,
    "log_every_env_steps": 6_400,
}

# Ours. Episodes end by themselves and are short, so that nothing is discounted. Less exploration at the start (a log
# standard deviation of -2) leaves both far from the best.
_EXECUTION: dict[str, Any] = {
    "total_env_steps": 96_000,
    "num_envs": 64,
    "rollout_env_steps": 3_200,
    "epochs": 10,
    "minibatches": 5,
    "learning_rate": (3e-3,),
    "discount": (1.0,),
    "initial_log_std": -1.0,
    "normalise_rewards": True,
    "evaluate_every_env_steps": 32_000,
    "log_every_env_steps": 3_200,
}
# What a position earns shows at once: a longer trace adds the chance of later steps.
_HEDGING = _EXECUTION | {
    "total_env_steps": 384_000,
    "num_envs": 128,
    "rollout_env_steps": 2_560,
    "epochs": 8,
    "minibatches": 4,
    "learning_rate": (2e-3,),
    "trace": 0.3,
    "evaluate_every_env_steps": 128_000,
    "log_every_env_steps": 12_800,
}
_TRADING = _EXECUTION | {
    "total_env_steps": 384_000,
    "rollout_env_steps": 64 * 63,
    "minibatches": 7,
    "learning_rate": (1e-3,),
    "trace": 0.5,
    "evaluate_every_env_steps": 129_024,
    "log_every_env_steps": 20_160,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole": _CARTPOLE,
    "PositionOnlyCartPole": _POSITION_ONLY_CARTPOLE,
    "VelocityOnlyCartPole": _POSITION_ONLY_CARTPOLE,
    "NoisyPositionOnlyCartPole": _POSITION_ONLY_CARTPOLE,
    "RepeatPrevious": _REPEAT,
    "RepeatPrevious-medium": _REPEAT_MEDIUM,
    "RepeatFirst": _REPEAT_FIRST,
    "TMaze": _TMAZE,
    "Execution": _EXECUTION,
    "Hedging": _HEDGING,
    "Trading": _TRADING,
    "Acrobot": _ACROBOT,
    "Pendulum": _PENDULUM,
    "LunarLander": _LUNAR_LANDER,
    "LunarLanderContinuous": _LUNAR_LANDER,
    "BipedalWalker": _BIPEDAL_WALKER,
    "Drive": _DRIVE,
    "DrivePixels": _DRIVE,
    "Atari": _ATARI,
    "MinAtar": _MINATAR,
    "InvertedPendulum": _MUJOCO | {"total_env_steps": 100_000, "evaluate_every_env_steps": 20_480},
    "InvertedDoublePendulum": _MUJOCO,
    **dict.fromkeys(_MUJOCO_FAMILIES, _MUJOCO),
} | {name: _ECONOMY | {"discount": discount} for name, discount in DISCOUNTS.items()}
