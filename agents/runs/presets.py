"""Find the tuned values that a run starts from: a preset of the agent's, by environment family or by name."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from agents.runs.registry import find, nearest


def family(env_id: str) -> str:
    """``rlsuite/CartPole-v1`` and ``CartPole-v1`` are one family; so are all games of ALE, and of MinAtar.

    Raises:
        ValueError: there is no such environment.
    """
    from envs.lookup import find_spec, is_atari  # only now: Gymnasium takes longer than the rest of ``--help``

    spec = find_spec(env_id)
    if is_atari(spec):
        return "Atari"
    return "MinAtar" if spec.name.startswith("MinAtar-") else spec.name


def preset(agent: str, env_id: str, name: str = "auto") -> dict[str, Any]:
    """The tuned values to start from: those of the environment's family (``auto``), of a named preset, or ``none``.

    Whichever it is, the option ``preset`` among them says its name, or ``none``.

    Raises:
        ValueError: no environment or no preset of that name, and which is nearest; or the preset has a mistake.
    """
    file = find(agent)
    known = file.presets()
    if name == "auto":
        found = family(env_id)
        name = found if found in known else "none"
    if name == "none":
        return {"preset": name}
    if name not in known:
        raise ValueError(nearest(f"preset of {file.name}", name, [*known, "auto", "none"]))
    return {**_checked(file.config_class(), known[name], f"preset {name!r} of {file.name}"), "preset": name}


def beside(tuned: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """The tuned values but for those that would overrule an option which is named: tau does the target's period."""
    rivals = {"tau"} if "target_period_updates" in named and "tau" not in named else set()
    return {name: value for name, value in tuned.items() if name not in rivals}


def _checked(kind: type[Any], values: Any, called: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{called} must name options and their values, not be {values!r}")
    options = [field.name for field in fields(kind)]
    for name in values:
        if name not in options:
            raise ValueError(f"{called}: {nearest('option', name, options)}")
    try:
        kind(**{"env": "", **values})
    except ValueError as error:
        raise ValueError(f"{called}: {error}") from None
    return values
