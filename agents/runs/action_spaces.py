"""The agents that act in an action space, by what each declares as ``acts_in``."""

import re
from typing import Any

from gymnasium.spaces import Box, Space

from agents.runs.registry import agent_spec, names


def acting_in(space: Space[Any]) -> list[str]:
    """The agents of this project that act in a space; those of board games, which declare none, are left out."""
    return [name for name in names() if _kinds(space) & _declared(name)]


def require_acts_in(agent: str, space: Space[Any]) -> None:
    """Refuse an action space in which an agent of this project does not act.

    Raises:
        ValueError: the message names the agents that do.
    """
    # A person's own agent may declare its spaces in other words: it refuses them by itself.
    declared = _declared(agent) if agent in names() else set()
    if not declared or declared & _kinds(space):
        return
    others = acting_in(space)
    alternatives = f": {', '.join(others)} act there" if others else ""
    needed = agent_spec(agent).agent.acts_in
    raise ValueError(f"{agent} needs a {needed} action space, but this one is {space}{alternatives}")


def _kinds(space: Space[Any]) -> set[str]:
    """Names that ``acts_in`` may have for a space."""
    return {"Box", "bounded Box"} if isinstance(space, Box) and space.is_bounded() else {type(space).__name__}


def _declared(agent: str) -> set[str]:
    """The kinds of spaces in a text such as "bounded Box or Discrete"."""
    return set(re.split(r", | or ", getattr(agent_spec(agent).agent, "acts_in", ""))) - {""}
