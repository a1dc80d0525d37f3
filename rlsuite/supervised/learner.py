"""The learner of all supervised experiments: a population of networks, a loss, and Adam."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from rlsuite import ranks
from rlsuite.networks import modes
from rlsuite.networks.population import Adam, Population, clip_rows, gradient
from rlsuite.state import dotted, restore
from rlsuite.supervised.config import AdamConfig
from rlsuite.training.schedules import Plateau

State = Mapping[str, Tensor]  # what a recurrent network carries from a batch to the next, [S, ...]; often nothing
Forward = Callable[..., Any]  # S networks as one: inputs [S, B, ...]; with part="name", only that submodule of each
B_contra = TypeVar("B_contra", contravariant=True)


class Loss(Protocol[B_contra]):
    """Loss to minimise: the losses of the seeds ``[S]``, metrics ``[S]`` to log, and the next state."""

    def __call__(self, network: Forward, batch: B_contra, state: State) -> tuple[Tensor, dict[str, Tensor], State]: ...


class Learner(Generic[B_contra]):
    """Networks that minimise a loss.

    Args:
        network: makes one network, ``[B, ...]`` in and out.
        loss: see ``Loss``.
        config: the learning rate and what goes with it.
        total_updates: at which a falling learning rate is zero.
        seeds: one integer a seed.
        device: where the parameters live.
        state: at the very start.
        penalty: of the named parameters ``[S, ...]``, per seed ``[S]``; added to the loss.
    """

    averages_gradients = True  # over ranks

    def __init__(
        self,
        network: Callable[[], nn.Module],
        loss: Loss[B_contra],
        config: AdamConfig,
        total_updates: int,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
        state: State | None = None,
        penalty: Callable[[dict[str, Tensor]], Tensor] | None = None,
    ) -> None:
        self.network = Population(network, seeds, device)
        self.loss, self.penalty, self.config, self.total_updates = loss, penalty, config, total_updates
        self.optimiser = Adam(self.network.parameters, torch.full((len(seeds),), config.learning_rate))
        self.plateau = Plateau(len(seeds), config.stalled_epochs, device) if config.decay == "stalled" else None
        self.state = dict(state or {})
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)

    def update(self, batch: B_contra) -> dict[str, Tensor]:
        after: State = {}

        def loss(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            nonlocal after
            losses, metrics, after = self.loss(partial(self.network, parameters=parameters), batch, self.state)
            metrics = {"loss/train": losses} | metrics
            return losses if self.penalty is None else losses + self.penalty(self.network.named(parameters)), metrics

        with modes.training(modes.keys_of(self.seeds, self.optimiser.updates)):
            gradients, metrics = gradient(loss, self.network.parameters)
        ranks.average(self.network.buffers.values())
        self.state = {name: tensor.detach() for name, tensor in after.items()}
        if self.config.max_gradient_norm is not None:
            gradients, metrics["gradient/norm"] = clip_rows(gradients, self.config.max_gradient_norm)
        scale = self._scale()
        if self.config.weight_decay:  # apart from the gradient (Loshchilov and Hutter, 2019)
            rates = scale * self.config.learning_rate * self.config.weight_decay
            self.network.parameters.mul_(1.0 - rates.unsqueeze(1))
        self.optimiser.step(self.network.parameters, gradients, scale)
        return metrics

    def _scale(self) -> Tensor:
        """The learning rate as a share of that at the start, ``[S]``."""
        done = (self.optimiser.updates / self.total_updates).clamp(max=1.0)
        match self.config.decay:
            case "linear":
                return 1.0 - done
            case "cosine":
                return 0.5 * (1.0 + (math.pi * done).cos())
        return torch.ones_like(done) if self.plateau is None else self.plateau.share

    def validated(self, scores: Tensor) -> None:
        """Take note of scores ``[S]`` on the validation set, of which more is better."""
        if self.plateau is not None:
            self.plateau.see(scores)

    @torch.no_grad()
    def __call__(self, *inputs: Tensor, part: str | None = None) -> Any:
        """Outputs of each seed's network (or of a part of it), as they are evaluated: inputs ``[S, B, ...]``."""
        return self.network(*inputs, part=part)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"parameters": self.network.parameters, "optimiser": self.optimiser.state_dict()}
        for name, tensors in (("buffers", self.network.buffers), ("state", self.state)):
            if tensors:
                state[name] = dotted(tensors)
        if self.plateau is not None:
            state["plateau"] = self.plateau.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
