"""Find a registered environment and its kind, or suggest a similar name. Imports no torch."""

import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ale_py  # noqa: F401  registers ALE/*
import gymnasium
from gymnasium.envs.registration import EnvSpec

from rlsuite.faults import told

_OWN_PACKAGES = ("agents", "envs", "rlsuite")


def find_spec(env_id: str) -> EnvSpec:
    """The registered specification of ``Name-v0``, ``namespace/Name-v0`` or ``module:Name-v0`` (imports the module).

    Raises:
        ValueError: no such module, or no such environment; names the nearest ones.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        _import(module, f"environment {env_id!r}")
    spec = gymnasium.registry.get(name)
    if spec is None:
        raise ValueError(f"unknown environment {name!r}: {_nearest(name)}{_name_taken(module)}")
    return spec


def find_function(name: str) -> Callable[..., Any]:
    """The function or class that ``module:function`` names; its module may lie in the folder of the call.

    Raises:
        ValueError: there is no such module, or nothing to call in it.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise ValueError(f"{name!r} is not module:function")
    found: Any = _import(module, f"{name!r}")
    for attribute in function.split("."):
        found = getattr(found, attribute, None)
    if not callable(found):
        raise ValueError(f"{module} has no function or class {function!r}: {name!r} cannot be found")
    return found


def is_atari(environment: str | EnvSpec) -> bool:
    """Whether it is a game of ale-py's, under whichever name: ``ALE/Pong-v5``, ``ale_py:ALE/Pong-v5``, ``Pong-v4``.

    Raises:
        ValueError: there is no such environment.
    """
    return _module_of_maker(environment).startswith("ale_py.")


def is_on_tensors(environment: str | EnvSpec) -> bool:
    """Whether it is one of this package's environments on tensors, ``rlsuite/*``.

    Raises:
        ValueError: there is no such environment.
    """
    return _module_of_maker(environment) == "envs.registration"


def is_board_game(environment: str | EnvSpec) -> bool:
    """Whether it is one of this package's games of two players.

    Raises:
        ValueError: there is no such environment.
    """
    spec = find_spec(environment) if isinstance(environment, str) else environment
    return str(spec.kwargs.get("dynamics", "")).startswith("envs.boards.")


def is_gymnasiums_own(environment: str | EnvSpec) -> bool:
    """Whether it comes with Gymnasium itself, and is therefore cheap to open many times.

    Raises:
        ValueError: there is no such environment.
    """
    return _module_of_maker(environment).startswith("gymnasium.envs.")


def rom_id(spec: EnvSpec) -> str:
    """``pong`` for the registered ``ALE/Pong-v5``: what ale-py and the tables of scores call a game."""
    return str(spec.kwargs["game"])


def same_game(env_id: str) -> str | None:
    """The ``ALE/*`` environment that an older name of an Atari game stands for; None for all other names.

    ``Pong-v4``, ``PongNoFrameskip-v4`` and the like differ in what an Atari protocol says: they run by the protocol.
    """
    spec = find_spec(env_id)
    if not is_atari(spec) or spec.namespace == "ALE":
        return None
    names = (name for name, other in gymnasium.registry.items() if other.namespace == "ALE" and is_atari(other))
    return next((name for name in names if rom_id(gymnasium.registry[name]) == rom_id(spec)), None)


def _module_of_maker(environment: str | EnvSpec) -> str:
    maker = (find_spec(environment) if isinstance(environment, str) else environment).entry_point
    return maker.partition(":")[0] if isinstance(maker, str) else getattr(maker, "__module__", "")


def _import(module: str, wanted: str) -> ModuleType:
    """Import a person's module; scripts do not search the folder they are called from by themselves."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # worker processes inherit it
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # other people's modules may raise any error
        missing = getattr(error, "name", None) or ""
        what = str(error) if isinstance(error, ModuleNotFoundError) else told(error)
        raise ValueError(f"cannot import the module of {wanted}: {what}{_name_taken(missing)}") from error


def _name_taken(module: str) -> str:
    """The remedy where a person's package has the name of one of ours, and is therefore not found."""
    package = module.partition(".")[0]
    if package not in _OWN_PACKAGES:
        return ""
    return f". {package!r} is a package of rlsuite: a folder or module of yours needs another name"


def _nearest(name: str) -> str:
    known = {known_name.lower(): known_name for known_name in gymnasium.registry}
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if not close:
        return "no registered name is near; write module:Name-v0 where a module has to be imported to register it"
    return "did you mean " + " or ".join(known[match] for match in close) + "?"
