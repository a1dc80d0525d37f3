"""QR-DQN (Dabney et al., 2018): deep Q-learning of 200 quantiles of the return, with the paper's values."""

from dataclasses import dataclass
from typing import Literal

from agents.c51 import C51Config
from agents.dqn import DQN
from agents.options import RatePerSeed
from rlsuite.agent import AgentSpec


@dataclass(frozen=True, kw_only=True)
class QRDQNConfig(C51Config):
    """Quantile regression DQN (Dabney et al., 2018)."""

    distribution: Literal["none", "c51", "qr", "iqn"] = "qr"
    """Description of a return that is learned; see dqn."""
    learning_rate: RatePerSeed = (5e-5,)
    """Learning rate of Adam at the start."""


class QRDQN(DQN):
    """DQN with quantiles at fixed levels; arguments as for ``DQN``."""

    name = "qr-dqn"


SPEC = AgentSpec("qr-dqn", QRDQNConfig, QRDQN, learns_from="replay", headline={"loss/td": "loss"})
