"""A configuration as a preset, ready to be pasted into the file of an agent's presets."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from agents.options import RunConfig
from agents.runs.presets import family
from agents.runs.registry import find
from rlsuite.option_groups import groups

_NOT_TUNED = {"env", "preset", "seed", "seeds"}
_GROUPS_OF_A_MACHINE = ("system", "tracking")


def preset_text(agent: str, config: RunConfig, comments: Sequence[str]) -> str:
    """The values that differ from an agent's plain defaults, as Python, under the family of the environment.

    Args:
        comments: lines to put above.
    """
    file = find(agent)
    machine = {name for group in _GROUPS_OF_A_MACHINE for name in groups(type(config))[group]}
    plain = file.config_class()(env=config.env)
    values: dict[str, Any] = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _NOT_TUNED | machine and getattr(config, field.name) != getattr(plain, field.name)
    }
    lines = [f"        {name!r}: {value!r},".replace("'", '"') for name, value in values.items()]
    head = [f"# {file.name} on {config.env}.", *(f"# {line}" for line in comments)]
    return "\n".join([*head, "PRESETS = {", f'    "{family(config.env)}": {{', *lines, "    },", "}", ""])
