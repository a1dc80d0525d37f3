"""Munchausen DQN (Vieillard et al., 2020): the policy's own log-probabilities are rewards; the paper's values.

``--distribution iqn`` makes it M-IQN.
"""

from dataclasses import dataclass
from typing import Literal

from agents.dqn import DQN, DQNConfig
from agents.options import FractionPerSeed, RatePerSeed
from rlsuite.agent import AgentSpec
from rlsuite.configuration import Count, Positive


@dataclass(frozen=True, kw_only=True)
class MunchausenConfig(DQNConfig):
    """Munchausen deep Q-network (Vieillard et al., 2020)."""

    target_rule: Literal["one-step", "double", "munchausen"] = "munchausen"
    """The next action of a target; see dqn."""
    learning_rate: RatePerSeed = (5e-5,)
    """Learning rate of Adam at the start."""
    adam_eps: Positive = 0.01 / 32
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = None
    """Gradients are scaled to at most this norm, seed by seed; by default they are not."""
    target_period_updates: Count = 2_000
    """Updates between two copies into the target network; ignored if tau is set."""
    epsilon_end: FractionPerSeed = (0.01,)
    """Probability of a random action from epsilon_decay_env_steps on."""


class Munchausen(DQN):
    """DQN with a soft policy in its targets, and its log-probability as a reward; arguments as for ``DQN``."""

    name = "munchausen"


SPEC = AgentSpec("munchausen", MunchausenConfig, Munchausen, learns_from="replay", headline={"loss/td": "loss"})
