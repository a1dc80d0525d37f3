"""Implicit quantile networks (Dabney et al., 2018b): deep Q-learning of the return's quantiles at any level.

The values are the paper's, for an agent that is neutral towards risk: those of QR-DQN.
"""

from dataclasses import dataclass
from typing import Literal

from agents.dqn import DQN
from agents.qr_dqn import QRDQNConfig
from rlsuite.agent import AgentSpec


@dataclass(frozen=True, kw_only=True)
class IQNConfig(QRDQNConfig):
    """Implicit quantile network (Dabney et al., 2018b)."""

    distribution: Literal["none", "c51", "qr", "iqn"] = "iqn"
    """Description of a return that is learned; see dqn."""


class IQN(DQN):
    """DQN with quantiles at levels that are drawn; arguments as for ``DQN``."""

    name = "iqn"


SPEC = AgentSpec("iqn", IQNConfig, IQN, learns_from="replay", headline={"loss/td": "loss"})
