"""Rainbow (Hessel et al., 2018): DQN with all six of its improvements at once, and the paper's values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from gymnasium.spaces import Space

from agents.dqn import DQN, DQNConfig
from agents.options import FractionPerSeed, RatePerSeed
from rlsuite.agent import AgentSpec
from rlsuite.configuration import Count, Fraction, NotNegative, Positive


@dataclass(frozen=True, kw_only=True)
class RainbowConfig(DQNConfig):
    """Rainbow (Hessel et al., 2018)."""

    distribution: Literal["none", "c51", "qr", "iqn"] = "c51"
    """Description of a return that is learned; see dqn."""
    dueling: bool = True
    """State value and action advantages as two heads (Wang et al., 2016)."""
    noise_scale: NotNegative = 0.5
    """Noisy linear layers explore, with this scale at the start; 0 for plain layers."""
    n_step: Count = 3
    """Env steps of reward before the bootstrap."""
    replay_priority_exponent: Fraction = 0.5
    """Alpha of prioritised replay: transitions are drawn by their last loss to this power; 0 draws all alike."""
    learning_rate: RatePerSeed = (6.25e-5,)
    """Learning rate of Adam at the start."""
    adam_eps: Positive = 1.5e-4
    """Added to the root of Adam's second moment."""
    target_period_updates: Count = 2_000
    """Updates between two copies into the target network; ignored if tau is set."""
    epsilon_start: Fraction = 0.0
    """Probability of a random action at the first env step, beside the noise."""
    epsilon_end: FractionPerSeed = (0.0,)
    """Probability of a random action from epsilon_decay_env_steps on, beside the noise."""


class Rainbow(DQN):
    """Double, dueling, prioritised, distributional and noisy, with n-step returns; arguments as for ``DQN``."""

    name = "rainbow"

    def __init__(
        self,
        config: RainbowConfig,
        observation_space: Space,
        action_space: Space,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, observation_space, action_space, seeds, device)
        # Compilers for CPUs take minutes for all of its parts at once (docs/benchmarks.md).
        self.compilable = ("update",) if torch.device(device).type == "cuda" else ()


SPEC = AgentSpec("rainbow", RainbowConfig, Rainbow, learns_from="replay", headline={"loss/td": "loss"})
