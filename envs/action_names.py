"""Names of actions, for display."""

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Discrete

from envs.adapter import VectorAdapter
from envs.on_device import OnDevice
from envs.rendered import mujoco_model

_PUSHES = ("push left", "coast", "push right")
_SEEN = ("PositionOnly", "VelocityOnly", "NoisyPositionOnly")
_GAMES = ("Breakout", "Freeway", "Asterix", "SpaceInvaders", "Seaquest")
_MINATAR = ("nothing", "left", "up", "right", "down", "fire")


def _cells(size: int) -> tuple[str, ...]:
    """``a1`` for the cell at the upper left of a square board, and so on row by row."""
    return tuple(f"{'abcdefgh'[column]}{row + 1}" for row in range(size) for column in range(size))


# By environment name without namespace and version; all from the environments' documentation.
_DISCRETE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("CartPole", *(f"{seen}CartPole" for seen in _SEEN)), ("push left", "push right")),
    "MountainCar": _PUSHES,
    "Acrobot": ("torque -1", "no torque", "torque +1"),
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "CarRacing": ("nothing", "steer right", "steer left", "gas", "brake"),
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "Taxi": ("south", "north", "east", "west", "pick up", "drop off"),
    **dict.fromkeys((f"MinAtar-{mask}{game}" for mask in ("", "Masked") for game in _GAMES), _MINATAR),
    **dict.fromkeys(("RepeatPrevious", "RepeatFirst"), ("suit 1", "suit 2", "suit 3", "suit 4")),
    "TMaze": ("north", "ahead", "south", "back"),
    "TicTacToe": _cells(3),
    "ConnectFour": tuple("abcdefg"),
    "Othello6": (*_cells(6), "pass"),
}
_CONTINUOUS: dict[str, tuple[str, ...]] = {
    "MountainCarContinuous": ("force",),
    "Pendulum": ("torque",),
    "PositionOnlyPendulum": ("torque",),
    "LunarLander": ("main engine", "side engines"),
    "LunarLanderContinuous": ("main engine", "side engines"),
    "BipedalWalker": ("hip 1", "knee 1", "hip 2", "knee 2"),
    "BipedalWalkerHardcore": ("hip 1", "knee 1", "hip 2", "knee 2"),
    "CarRacing": ("steering", "gas", "brake"),
    "Drive": ("steer left",),
    "DrivePixels": ("steer left",),
    "BrockMirman": ("share of output saved",),
    "StochasticGrowth": ("share of output invested",),
    "IrreversibleInvestment": ("share of output invested",),
    "ConsumptionSaving": ("share of wealth saved",),
    "KrusellSmith": ("share of means saved",),
    "Execution": ("share sold",),
    "Hedging": ("shares held",),
    "Trading": ("share of wealth",),
}


def action_names(environments: VectorAdapter | OnDevice, env_id: str) -> tuple[str, ...]:
    """A name for each discrete action, or for each component of one that has several.

    Those the simulator itself gives (Atari, MuJoCo), else those of the environment's documentation, else numbers.
    """
    space = environments.action_space
    name = _name(env_id)
    if isinstance(space, Discrete):
        names = _meanings(environments) or _DISCRETE.get(name, ())
        numbers = [f"action {int(space.start) + index}" for index in range(int(space.n))]
    else:
        names = _actuator_names(environments) or _CONTINUOUS.get(name, ())
        numbers = [f"action {index}" for index in range(int(np.prod(space.shape or ())))]
    return tuple(names if len(names) == len(numbers) else numbers)


def moves_of(env_id: str) -> tuple[str, ...]:
    """The names of the actions of one of our environments that has discrete ones."""
    return _DISCRETE[_name(env_id)]


def _name(env_id: str) -> str:
    """The environment's name without namespace and version."""
    return env_id.rpartition(":")[2].rpartition("/")[2].rpartition("-v")[0]


def _meanings(environments: VectorAdapter | OnDevice) -> Sequence[str]:
    """Return the action names of an ale-py game; empty for other environments."""
    names = getattr(environments.vector_env, "action_names", None)
    copies = getattr(environments.vector_env, "envs", ())
    if names is None and copies and hasattr(copies[0].unwrapped, "get_action_meanings"):
        names = copies[0].unwrapped.get_action_meanings()
    return names or ()


def _actuator_names(environments: VectorAdapter | OnDevice) -> Sequence[str]:
    """Return the names of a MuJoCo model's actuators, or of their joints where actuators have none."""
    model = mujoco_model(environments)
    if model is None:
        return ()
    motors = [model.actuator(index).name for index in range(model.nu)]
    joints = [model.joint(index).name for index in model.actuator_trnid[:, 0]]
    return [(motor or joint).replace("_", " ") for motor, joint in zip(motors, joints, strict=True)]
