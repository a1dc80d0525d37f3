"""Registers the environments on tensors with Gymnasium. Imports no torch until one of them is made."""

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from envs.core import TorchVectorEnv
    from envs.numpy_env import NumpyEnv

# name: (class of the dynamics, steps after which an episode is truncated, reward at which the task counts as solved)
_ENVIRONMENTS: dict[str, tuple[str, int, float | None]] = {
    "CartPole-v1": ("envs.cartpole:CartPole", 500, 475.0),
    "MountainCar-v0": ("envs.mountain_car:MountainCar", 200, -110.0),
    "MountainCarContinuous-v0": ("envs.mountain_car:MountainCarContinuous", 999, 90.0),
    "Acrobot-v1": ("envs.acrobot:Acrobot", 500, -100.0),
    "Pendulum-v1": ("envs.pendulum:Pendulum", 200, None),
    "MinAtar-Breakout-v0": ("envs.minatar.breakout:Breakout", 10_000, None),
    "MinAtar-Freeway-v0": ("envs.minatar.freeway:Freeway", 10_000, None),
    "MinAtar-Asterix-v0": ("envs.minatar.asterix:Asterix", 10_000, None),
    "MinAtar-SpaceInvaders-v0": ("envs.minatar.space_invaders:SpaceInvaders", 10_000, None),
    "MinAtar-Seaquest-v0": ("envs.minatar.seaquest:Seaquest", 10_000, None),
    "Drive-v0": ("envs.drive:Drive", 500, None),
    "DrivePixels-v0": ("envs.drive:DrivePixels", 500, None),
    "BrockMirman-v0": ("envs.economy:BrockMirman", 200, None),
    "StochasticGrowth-v0": ("envs.economy:StochasticGrowth", 200, None),
    "IrreversibleInvestment-v0": ("envs.economy:IrreversibleInvestment", 200, None),
    "ConsumptionSaving-v0": ("envs.economy:ConsumptionSaving", 200, None),
}


def register() -> None:
    """Make ``gymnasium.make`` and ``gymnasium.make_vec`` find ``rlsuite/*``."""
    for name, (dynamics, max_episode_steps, reward_threshold) in _ENVIRONMENTS.items():
        gymnasium.register(
            id=f"rlsuite/{name}",
            entry_point="envs.registration:make_single",
            vector_entry_point="envs.registration:make_vector",
            max_episode_steps=max_episode_steps,
            reward_threshold=reward_threshold,
            kwargs={"dynamics": dynamics},
        )


def make_vector(dynamics: str, num_envs: int, **options: Any) -> "TorchVectorEnv":
    """``TorchVectorEnv`` of the dynamics ``module:Class``; see there for the options.

    Options that it does not know, such as ``dtype``, go to the dynamics.
    """
    from envs.core import TorchVectorEnv

    own = ("max_episode_steps", "device", "autoreset_mode", "render_mode", "compile")
    vector_options = {name: options.pop(name) for name in own if name in options}
    return TorchVectorEnv(_make_dynamics(dynamics, options), num_envs, **vector_options)


def make_single(dynamics: str, render_mode: str | None = None, **options: Any) -> "NumpyEnv":
    """One environment of the dynamics ``module:Class`` with NumPy arrays in and out."""
    from envs.numpy_env import NumpyEnv

    return NumpyEnv(_make_dynamics(dynamics, options), render_mode=render_mode)


# ``gymnasium.make`` reads this to add its wrappers for "human" and "rgb_array_list".
make_single.metadata = {"render_modes": ["rgb_array"]}  # type: ignore[attr-defined]


def _make_dynamics(dynamics: str, options: dict[str, Any]) -> Any:
    module, _, name = dynamics.partition(":")
    kind = getattr(importlib.import_module(module), name)
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be made with the options {options}: {error}") from error
