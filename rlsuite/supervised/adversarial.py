"""Two networks against each other: a generator makes examples of noise, a discriminator tells them from real ones.

The discriminator scores examples, D for real ones and D' for generated ones:

    original      it maximises log sigmoid(D) + log(1 - sigmoid(D')), the generator log sigmoid(D')
                  (Goodfellow et al., 2014, with the generator's loss of their section 3)
    wasserstein   it maximises D - D', the generator D' (Arjovsky et al., 2017)

The second is a distance between the two distributions if the slope of D is at most one. Clipping its parameters sees to
that, or a penalty on its slope between real and generated examples (Gulrajani et al., 2017), or layers whose slope is
bounded (``rlsuite.networks.spectral``).

The generator learns more slowly than the discriminator (Heusel et al., 2017), and both learning rates fall linearly to
zero. What is tested is a mean of the generators so far: each of them answers the discriminator of its time, and is off
to one side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import ranks
from rlsuite.configuration import Count, Fraction, NotNegative, Positive
from rlsuite.networks import modes
from rlsuite.networks.averaging import Average
from rlsuite.networks.population import Adam, Population
from rlsuite.state import dotted, restore
from rlsuite.supervised.config import RunConfig
from rlsuite.training.schedules import linear

_BETAS = (0.5, 0.9)  # the other network changes too: old gradients say little


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(RunConfig, group="adversarial"):
    """Training of two networks against each other, one step each by Adam."""

    batch_size: Count = 64
    """Real examples an update, and as many generated ones."""
    updates: Count = 200
    """Updates an epoch, of each network."""
    loss: Literal["original", "wasserstein"] = "wasserstein"
    """Loss that the two play for."""
    slope: Literal["free", "clipping", "penalty", "spectral"] = "penalty"
    """Method that bounds the gradient of the discriminator."""
    clip: Positive = 0.05
    """Largest parameter of a discriminator under clipping."""
    penalty: NotNegative = 10.0
    """Weight of the penalty on the slope."""
    generator_rate: Positive = 3e-4
    """Learning rate of the generator at the start."""
    discriminator_rate: Positive = 1e-3
    """Learning rate of the discriminator at the start."""
    average: Fraction = 0.998
    """Share of itself that the mean of the generators, which is tested, keeps at an update; 0 for the newest one."""


class Batch(NamedTuple):
    """Real examples ``[S, B, ...]``, noise for two batches of generated ones, and shares ``[S, B]`` to mix them by."""

    real: Tensor
    noise: Tensor  # [S, 2, B, K]
    share: Tensor


class Adversarial:
    """A population of generators and one of discriminators.

    Args:
        generator: makes a network from noise ``[B, K]`` to examples.
        discriminator: makes a network from examples to scores ``[B, 1]``.
        config: the game and the learning rates.
        total_updates: in the whole run, for the learning rates.
        seeds: one integer a pair.
        device: where the parameters live.
    """

    averages_gradients = True  # over ranks

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        config: AdversarialConfig,
        total_updates: int,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.total_updates = config, total_updates
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.generator = Population(generator, seeds, device)
        self.discriminator = Population(discriminator, seeds, device)
        self.average = Average(self.generator.parameters)
        rates = config.generator_rate, config.discriminator_rate
        self.optimisers = [
            Adam(network.parameters, torch.full((len(seeds),), rate), betas=_BETAS)
            for network, rate in zip((self.generator, self.discriminator), rates, strict=True)
        ]

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, and one of the generator against it."""
        first, second = batch.noise.unbind(1)
        of_generator, of_discriminator = self.optimisers
        scale = linear(of_generator.updates, self.total_updates, 1.0, 0.0)
        with modes.training(modes.keys_of(self.seeds, of_generator.updates)):
            generated = self.generator(first)
            metrics = of_discriminator.minimise(
                lambda own: self._discriminator_loss(own, batch, generated), self.discriminator.parameters, scale=scale
            )
            if self.config.slope == "clipping":
                self.discriminator.parameters.clamp_(-self.config.clip, self.config.clip)
            more = of_generator.minimise(
                lambda own: self._generator_loss(own, second), self.generator.parameters, scale=scale
            )
        for network in (self.generator, self.discriminator):
            ranks.average(network.buffers.values())
        # Until the mean has that many to forget, each counts alike.
        share = (1.0 / of_generator.updates).clamp(min=1.0 - self.config.average)
        self.average.follow(self.generator.parameters, share)
        return metrics | more

    def _discriminator_loss(
        self, parameters: Tensor, batch: Batch, generated: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        def score(examples: Tensor) -> Tensor:
            return self.discriminator(examples, parameters=parameters).squeeze(-1)

        real, fake = score(batch.real), score(generated)
        if self.config.loss == "original":
            losses = (F.softplus(-real) + F.softplus(fake)).mean(dim=1)
        else:
            losses = (fake - real).mean(dim=1)
        metrics = {"loss/train": losses, "train/lead": (real - fake).mean(dim=1)}
        if self.config.slope == "penalty":
            share = batch.share.view(*batch.share.shape, *(1,) * (batch.real.dim() - 2))
            between = torch.lerp(batch.real, generated, share).requires_grad_()
            (slopes,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
            losses = losses + self.config.penalty * (slopes.flatten(2).norm(dim=2) - 1.0).square().mean(dim=1)
        return losses, metrics

    def _generator_loss(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        fake = self.discriminator(self.generator(noise, parameters=parameters)).squeeze(-1)
        losses = (F.softplus(-fake) if self.config.loss == "original" else -fake).mean(dim=1)
        return losses, {"loss/generator": losses}

    @torch.no_grad()
    def __call__(self, noise: Tensor) -> Tensor:
        """Examples of each seed's mean generator, ``[S, B, ...]``, from noise ``[S, B, K]``."""
        return self.generator(noise, parameters=self.average.mean)

    def state_dict(self) -> dict[str, Any]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        state: dict[str, Any] = {"average": self.average.mean}
        for (name, network), optimiser in zip(networks.items(), self.optimisers, strict=True):
            state[name] = {"parameters": network.parameters, "optimiser": optimiser.state_dict()}
            if network.buffers:
                state[name]["buffers"] = dotted(network.buffers)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state)
