"""The agents by name. A new method is one new file beside this one, its configuration, and a line here."""

import difflib
import importlib
from typing import TYPE_CHECKING

from agents import configs

if TYPE_CHECKING:
    from rlsuite.agent import AgentSpec

AGENTS: dict[str, tuple[type[configs.RunConfig], str]] = {
    "dqn": (configs.DQNConfig, "agents.dqn"),
    "reinforce": (configs.ReinforceConfig, "agents.reinforce"),
    "ddpg": (configs.DDPGConfig, "agents.ddpg"),
}


def nearest(kind: str, name: str, known: list[str]) -> str:
    """One line that says that ``name`` is not a ``kind`` and what comes nearest."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {kind} {name!r}: {hint}there are {', '.join(known)}"


def config_class(agent: str) -> type[configs.RunConfig]:
    """The configuration of an agent.

    Raises:
        ValueError: no agent of that name; the message gives the nearest.
    """
    if agent not in AGENTS:
        raise ValueError(nearest("agent", agent, list(AGENTS)))
    return AGENTS[agent][0]


def find_spec(agent: str) -> "AgentSpec":
    """The spec of an agent; imports torch."""
    return importlib.import_module(AGENTS[agent][1]).SPEC
