"""Registers the environments on tensors with Gymnasium. Imports no torch until one of them is made."""

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from envs.core import TorchVectorEnv
    from envs.numpy_env import NumpyEnv

# name: (class of the dynamics, steps after which an episode is truncated, reward at which the task counts as solved)
_WHOLE: dict[str, tuple[str, int, float | None]] = {
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
    "KrusellSmith-v0": ("envs.economy:KrusellSmith", 200, None),
    "RepeatPrevious-v0": ("envs.repeat:RepeatPrevious", 1_000, 0.95),
    "RepeatFirst-v0": ("envs.repeat:RepeatFirst", 1_000, 0.95),
    "Execution-v0": ("envs.execution:Execution", 1_000, None),
    "Hedging-v0": ("envs.hedging:Hedging", 1_000, None),
    "Trading-v0": ("envs.trading:Trading", 1_000, None),
    "TMaze-v0": ("envs.tmaze:TMaze", 500, 3.9),
    "TicTacToe-v0": ("envs.boards.games:TicTacToe", 9, None),
    "ConnectFour-v0": ("envs.boards.games:ConnectFour", 42, None),
    "Othello6-v0": ("envs.boards.games:Othello6", 64, None),
}
# name: (the environment of which a part is seen, that part's columns or channels, options)
_PARTLY_OBSERVED: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "PositionOnlyCartPole-v1": ("CartPole-v1", (0, 2), {}),
    "VelocityOnlyCartPole-v1": ("CartPole-v1", (1, 3), {}),
    "NoisyPositionOnlyCartPole-v1": ("CartPole-v1", (0, 2), {"noise": 0.1}),
    "PositionOnlyPendulum-v1": ("Pendulum-v1", (0, 1), {}),
    # The games without what shows where things move to.
    "MinAtar-MaskedBreakout-v0": ("MinAtar-Breakout-v0", (0, 1, 3), {}),
    "MinAtar-MaskedFreeway-v0": ("MinAtar-Freeway-v0", (0, 1), {}),
    "MinAtar-MaskedAsterix-v0": ("MinAtar-Asterix-v0", (0, 1, 3), {}),
    "MinAtar-MaskedSpaceInvaders-v0": ("MinAtar-SpaceInvaders-v0", (0, 1, 4, 5), {}),
    "MinAtar-MaskedSeaquest-v0": ("MinAtar-Seaquest-v0", (0, 1, 2, 4, 5, 6, 7, 8, 9), {}),
}


def register() -> None:
    """Make ``gymnasium.make`` and ``gymnasium.make_vec`` find ``rlsuite/*``."""
    for name, (dynamics, max_episode_steps, reward_threshold) in _WHOLE.items():
        _register(name, max_episode_steps, reward_threshold, {"dynamics": dynamics})
    for name, (whole, seen, options) in _PARTLY_OBSERVED.items():
        dynamics, max_episode_steps, reward_threshold = _WHOLE[whole]
        kwargs = {"dynamics": "envs.partly_observed:PartlyObserved", "whole": dynamics, "seen": seen, **options}
        _register(name, max_episode_steps, reward_threshold, kwargs)


def _register(name: str, max_episode_steps: int, reward_threshold: float | None, kwargs: dict[str, Any]) -> None:
    gymnasium.register(
        id=f"rlsuite/{name}",
        entry_point="envs.registration:make_single",
        vector_entry_point="envs.registration:make_vector",
        max_episode_steps=max_episode_steps,
        reward_threshold=reward_threshold,
        kwargs=kwargs,
    )


def make_vector(dynamics: str, num_envs: int, **options: Any) -> "TorchVectorEnv":
    """``TorchVectorEnv`` of the dynamics ``module:Class``; see there for the options.

    Options that it does not know, such as ``dtype``, go to the dynamics, but for ``previous_action_and_reward``, which
    puts these beside observations.
    """
    from envs.core import TorchVectorEnv
    from envs.partly_observed import WithPrevious

    with_previous = options.pop("previous_action_and_reward", False)
    own = ("max_episode_steps", "device", "autoreset_mode", "render_mode", "compile")
    vector_options = {name: options.pop(name) for name in own if name in options}
    made = make_dynamics(dynamics, options)
    return TorchVectorEnv(WithPrevious(made) if with_previous else made, num_envs, **vector_options)


def make_single(dynamics: str, render_mode: str | None = None, **options: Any) -> "NumpyEnv":
    """One environment of the dynamics ``module:Class`` with NumPy arrays in and out."""
    from envs.numpy_env import NumpyEnv

    return NumpyEnv(make_dynamics(dynamics, options), render_mode=render_mode)


# ``gymnasium.make`` reads this to add its wrappers for "human" and "rgb_array_list".
make_single.metadata = {"render_modes": ["rgb_array"]}  # type: ignore[attr-defined]


def make_dynamics(dynamics: str, options: dict[str, Any]) -> Any:
    """Dynamics ``module:Class`` with options of their own.

    Raises:
        ValueError: they have no such options.
    """
    module, _, name = dynamics.partition(":")
    kind = getattr(importlib.import_module(module), name)
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be made with the options {options}: {error}") from error
