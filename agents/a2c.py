"""Advantage actor-critic, synchronous (Mnih et al., 2016): PPO with a single step on each rollout.

At that step the policy is the one that collected: all ratios are 1, nothing is clipped, and the gradient of PPO's
objective is that of A2C (Huang et al., 2022). Adam takes the place of the paper's RMSProp.
"""

from dataclasses import dataclass
from typing import Literal

from agents.options import RatePerSeed
from agents.ppo import PPO, PPOConfig
from rlsuite.agent import AgentSpec
from rlsuite.configuration import Count, Fraction


@dataclass(frozen=True, kw_only=True)
class A2CConfig(PPOConfig):
    """Advantage actor-critic (Mnih et al., 2016), which is PPO with a single step on each rollout."""

    epochs: Literal[1] = 1
    """An update goes through its rollout once."""
    minibatches: Literal[1] = 1
    """All of a rollout is one step of gradient descent."""
    learning_rate: RatePerSeed = (7e-4,)
    """Learning rate of Adam at the start."""
    num_envs: Count = 16
    """Environments of each seed."""
    rollout_env_steps: Count = 80
    """Env steps, over all environments of a seed, between two updates."""
    trace: Fraction = 1.0
    """Lambda of generalised advantage estimation (GAE): 0 for one-step errors, 1 for whole returns."""
    standardise: bool = False
    """Normalise advantages: mean 0 and standard deviation 1 over each rollout."""


class A2C(PPO):
    """One step of gradient ascent on each rollout; arguments as for ``PPO``."""

    name = "a2c"


SPEC = AgentSpec("a2c", A2CConfig, A2C, learns_from="rollout", headline={"loss/policy": "loss"})
