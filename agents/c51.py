"""C51 (Bellemare et al., 2017): deep Q-learning of the probabilities of 51 returns, with the paper's values."""

from dataclasses import dataclass
from typing import Literal

from agents.dqn import DQN, DQNConfig
from agents.options import FractionPerSeed, RatePerSeed
from rlsuite.agent import AgentSpec
from rlsuite.configuration import Count, Positive


@dataclass(frozen=True, kw_only=True)
class C51Config(DQNConfig):
    """C51 (Bellemare et al., 2017)."""

    distribution: Literal["none", "c51", "qr", "iqn"] = "c51"
    """Description of a return that is learned; see dqn."""
    target_rule: Literal["one-step", "double", "munchausen"] = "one-step"
    """The next action of a target; see dqn."""
    learning_rate: RatePerSeed = (2.5e-4,)
    """Learning rate of Adam at the start."""
    adam_eps: Positive = 0.01 / 32
    """Added to the root of Adam's second moment."""
    max_gradient_norm: Positive | None = None
    """Gradients are scaled to at most this norm, seed by seed; by default they are not."""
    target_period_updates: Count = 2_500
    """Updates between two copies into the target network; ignored if tau is set."""
    epsilon_end: FractionPerSeed = (0.01,)
    """Probability of a random action from epsilon_decay_env_steps on."""


class C51(DQN):
    """DQN with categorical distributions; arguments as for ``DQN``."""

    name = "c51"


SPEC = AgentSpec("c51", C51Config, C51, learns_from="replay", headline={"loss/td": "loss"})
