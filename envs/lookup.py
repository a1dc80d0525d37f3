"""Find a registered environment, or say which name was probably meant."""

import difflib
import importlib

import ale_py  # noqa: F401  registers ALE/*
import gymnasium
from gymnasium.envs.registration import EnvSpec


def find_spec(env_id: str) -> EnvSpec:
    """The registered specification of ``Name-v0``, ``namespace/Name-v0`` or ``module:Name-v0`` (imports the module).

    Raises:
        ValueError: no such module, or no such environment; names the nearest ones.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"cannot import the module of environment {env_id!r}: {error}") from error
    spec = gymnasium.registry.get(name)
    if spec is None:
        raise ValueError(f"unknown environment {name!r}: {_nearest(name)}")
    return spec


def rom_id(spec: EnvSpec) -> str:
    """``pong`` for the registered ``ALE/Pong-v5``: what ale-py and the tables of scores call a game."""
    return str(spec.kwargs["game"])


def _nearest(name: str) -> str:
    known = {known_name.lower(): known_name for known_name in gymnasium.registry}
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if not close:
        return "no registered name is near; write module:Name-v0 where a module has to be imported to register it"
    return "did you mean " + " or ".join(known[match] for match in close) + "?"
