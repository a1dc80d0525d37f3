"""What each kind of agent makes of an observation, for people who watch it.

An agent that is not known here is watched all the same, by its actions alone. A new agent's own file can register how
to look into it: ``@insight.register``.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from agents.ddpg import DDPG
from agents.dqn import DQN
from agents.reinforce import Reinforce


@dataclass(frozen=True)
class Insight:
    """Shapes: S seeds, E environments, A discrete actions; None where the agent has no such numbers."""

    value_name: str = ""
    value: Tensor | None = None  # [S, E], how good the agent holds its situation to be
    score_name: str = ""
    scores: Tensor | None = None  # [S, E, A], by which it chose among discrete actions
    scores_are_probabilities: bool = False


@singledispatch
def insight(agent: Any, observation: Tensor, action: Tensor) -> Insight:
    """What ``agent`` makes of ``observation`` ``[S, E, ...]``, in which it has chosen ``action``."""
    return Insight()


@insight.register
def _(agent: DQN, observation: Tensor, action: Tensor) -> Insight:
    values = agent.values(observation)
    return Insight("value: max Q(s, a)", values.max(dim=-1).values, "Q(s, a)", values)


@insight.register
def _(agent: DDPG, observation: Tensor, action: Tensor) -> Insight:
    return Insight("critic's Q(s, a)", agent.values(observation, action))


@insight.register
@torch.no_grad()
def _(agent: Reinforce, observation: Tensor, action: Tensor) -> Insight:
    value = agent.values(observation) if agent.config.baseline == "learned" else None
    if not agent.discrete:
        return Insight("baseline's V(s)", value)
    probabilities = agent.policy(observation).softmax(dim=-1)
    return Insight("baseline's V(s)", value, "probability", probabilities, scores_are_probabilities=True)
