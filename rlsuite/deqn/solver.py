"""Deep equilibrium nets (Azinovic, Gaegauf and Scheidegger, 2022): policies with small Euler errors where they lead.

The loss is the mean of squared residuals ``G(x, N(x))^2`` over states of the simulated path. Adam finds the
neighbourhood of the solution; Levenberg-Marquardt, which knows that the loss is a sum of squares, then gains several
digits in few steps.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlsuite import ranks
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.levenberg_marquardt import LevenbergMarquardt
from rlsuite.deqn.model import Model, PolicyFunction, residuals, stack_residuals
from rlsuite.deqn.path import PathBatch
from rlsuite.deqn.policy_network import PolicyNetwork
from rlsuite.networks.population import Adam, clip_rows, gradient
from rlsuite.state import restore

# Of components that stand for nobody now: paths may lead there, and households there are in others' expectations.
_LEAST_WEIGHT = 1e-2
log = logging.getLogger("rlsuite")


class EquilibriumNet:
    """S policies of one economy; a ``Learner`` of the trainer that takes batches of ``EconomyPath``.

    Where residuals of a seed are not finite, the seed goes back to its last parameters with finite ones, and on with
    half the learning rate (first phase) or not at all (second phase, whose steps are only taken where they help).

    Attributes:
        parameters: ``[S, P]``, in training.
        solution: ``[S, P]``, what to use: the best on unseen states; in the first phase the last that was finite.
        failures: ``[S]`` updates whose residuals were not finite.
    """

    def __init__(
        self, model: Model, config: SolverConfig, seeds: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        self.model, self.config = model, config
        self.network = PolicyNetwork(model, config.hidden, config.activation, seeds, device)
        self.parameters = self.network.parameters
        self.solution = self.parameters.clone()
        self.failures = torch.zeros(len(seeds), dtype=torch.int64, device=device)
        self.adam = Adam(self.parameters, torch.full((len(seeds),), config.adam_learning_rate))
        self.marquardt = LevenbergMarquardt(self._residual_of_one, self._residuals, len(seeds), config.damping, device)
        self.updates = 0
        self._nodes = len(model.shocks.quadrature(model.initial_state(torch.tensor(0), 1), fine=False).nodes)

    def policy(self) -> PolicyFunction:
        """The policy function in training, of states ``[S, B, D]``."""
        return self.network.policy(self.parameters)

    def _weighted(self, policy: PolicyFunction, state: Tensor) -> dict[str, Tensor]:
        """Residuals, times their emphasis and the roots of the weights that their squares have in the loss."""
        named = residuals(self.model, policy, state)
        named |= {name: factor * named[name] for name, factor in self.model.emphasis.items()}
        weights = self.model.weights(state)
        return named | {name: (weight + _LEAST_WEIGHT).sqrt() * named[name] for name, weight in weights.items()}

    def _residuals(self, parameters: Tensor, state: Tensor) -> Tensor:
        return stack_residuals(self._weighted(self.network.policy(parameters), state), state.ndim - 1)

    def _residual_of_one(self, parameters: Tensor, state: Tensor) -> Tensor:
        one = self._weighted(self.network.policy_of_one(parameters), state.unsqueeze(0))
        return stack_residuals(one, leading_axes=1).squeeze(0)

    def update(self, batch: PathBatch) -> dict[str, Tensor]:
        """One step of the phase that the batch belongs to; metrics are ``[S]``.

        ``solver/transitions`` counts the nodes of tomorrow that expectations of each seed summed over: what equations
        tell of the economy, where a step of an environment would.
        """
        self.updates += 1
        before = self.marquardt.evaluated
        if batch.held_out is None:
            metrics, states = self._descend(batch.state), batch.state.shape[1]
        else:
            metrics = self._polish(batch.state, batch.held_out)
            states = self.marquardt.evaluated - before
        return metrics | {"solver/transitions": torch.full_like(self.failures, states * self._nodes).double()}

    def _descend(self, state: Tensor) -> dict[str, Tensor]:
        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            # The states are data: the gradient runs through tomorrow's states and decisions, not through the path.
            named = self._weighted(self.network.policy(parameters), state)
            losses = {f"loss/{name}": residual.square().flatten(1).mean(dim=1) for name, residual in named.items()}
            return torch.stack(list(losses.values())).sum(dim=0), losses

        gradients, metrics = gradient(loss, self.parameters)
        losses = ranks.averaged(torch.stack(list(metrics.values())))  # not finite where those of any rank are not
        finite = torch.isfinite(gradients).all(dim=1) & torch.isfinite(losses).all(dim=0)
        self._fall_back(finite)
        gradients, norm = clip_rows(torch.where(finite.unsqueeze(1), gradients, 0.0), self.config.max_gradient_norm)
        rate = self._learning_rate()
        self.adam.step(self.parameters, gradients, rate / self.config.adam_learning_rate)
        metrics = {name: torch.where(finite, metric, 0.0) for name, metric in metrics.items()}
        return metrics | {"gradient/norm": norm, "solver/failures": self.failures.double()}

    def _fall_back(self, finite: Tensor) -> None:
        """Keep the parameters of seeds that are well, bring back the last good ones of those that are not."""
        if finite.all():
            self.solution.copy_(self.parameters)
            return
        rows = (~finite).nonzero().flatten().tolist()
        log.warning("residuals of seeds %s are not finite at update %d: back to the last good ones", rows, self.updates)
        self.failures += ~finite
        good = finite.unsqueeze(1)
        self.solution = torch.where(good, self.parameters, self.solution)
        self.parameters.copy_(self.solution)
        self.adam.first_moment.copy_(torch.where(good, self.adam.first_moment, 0.0))
        self.adam.learning_rate = torch.where(finite, self.adam.learning_rate, 0.5 * self.adam.learning_rate)

    def _learning_rate(self) -> float:
        done = min(self.updates / max(self.config.adam_updates, 1), 1.0)
        first, last = self.config.adam_learning_rate, self.config.adam_final_learning_rate
        return last + 0.5 * (first - last) * (1 + math.cos(math.pi * done))

    def _polish(self, state: Tensor, held_out: Tensor) -> dict[str, Tensor]:
        improved, loss = self.marquardt.step(self.parameters, state)
        self.failures += ~torch.isfinite(loss)
        self.parameters.copy_(improved)
        return {
            "loss/polish": torch.where(torch.isfinite(loss), loss, 0.0),
            "loss/held_out": self._keep_better(held_out),
            "solver/damping": self.marquardt.damping,
            "solver/failures": self.failures.double(),
        }

    def _keep_better(self, held_out: Tensor) -> Tensor:
        """Take the parameters as solution where they do better on unseen states; returns its loss there."""
        loss, best = self.marquardt.loss(self.parameters, held_out), self.marquardt.loss(self.solution, held_out)
        better = loss < best
        self.solution = torch.where(better.unsqueeze(1), self.parameters, self.solution)
        return torch.where(better, loss, best)

    def state_dict(self) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "solution": self.solution,
            "failures": self.failures,
            "adam": self.adam.state_dict() | {"learning_rate": self.adam.learning_rate},
            "damping": self.marquardt.damping,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
        self.updates = state["updates"]
