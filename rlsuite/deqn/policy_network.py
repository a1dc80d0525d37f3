"""The network between an economy's features and its head, for S seeds at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlsuite.deqn.model import Model, Policy, PolicyFunction
from rlsuite.networks.mlp import mlp
from rlsuite.networks.population import Population


class PolicyNetwork:
    """S networks in float64, the precision that errors of 1e-6 and below need.

    Attributes:
        parameters: ``[S, P]``, as initialised.
    """

    def __init__(
        self,
        model: Model,
        hidden: Sequence[int],
        activation: str,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = [model.num_features, *hidden, model.num_outputs]
        self.model = model
        self._population = Population(lambda: mlp(sizes, activation).double(), seeds, device)
        self.parameters = self._population.parameters

    def policy(self, parameters: Tensor) -> PolicyFunction:
        """The policy function of states ``[S, B, D]`` under parameters ``[S, P]``."""

        def decide(state: Tensor) -> Policy:
            return self.model.head(self._population(self.model.features(state), parameters=parameters), state)

        return decide

    def policy_of_one(self, parameters: Tensor) -> PolicyFunction:
        """The policy function of states ``[B, D]`` under one seed's parameters ``[P]``."""

        def decide(state: Tensor) -> Policy:
            features = self.model.features(state).unsqueeze(0)
            return self.model.head(self._population(features, parameters=parameters.unsqueeze(0)).squeeze(0), state)

        return decide
