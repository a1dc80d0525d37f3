"""Economies that are one agent's problem: what dynamic programming and reinforcement learning need of them besides."""

from abc import abstractmethod

from torch import Tensor

from rlsuite.deqn.model import Model, Policy


class SingleAgent(Model):
    """One agent who saves a share of what there is, and consumes the rest.

    Attributes:
        risk_aversion: of the agent.
        usual_consumption: about what it consumes, to give rewards a scale.
        saving_bounds: of the share that ``save`` takes.
    """

    risk_aversion: float
    usual_consumption: float
    saving_bounds: tuple[float, float] = (0.0, 0.9)

    @abstractmethod
    def reward(self, state: Tensor, policy: Policy) -> Tensor:
        """Utility of one period ``[..., B]``."""

    @abstractmethod
    def save(self, share: Tensor, state: Tensor) -> Policy:
        """Return the entries of a policy saving the shares ``[..., B]`` that ``step`` and ``reward`` read."""
