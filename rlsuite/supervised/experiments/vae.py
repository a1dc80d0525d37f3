"""The variational autoencoder (Kingma and Welling, 2014): a density of pictures, from which new ones are drawn.

A picture x is made from a code z, which is standard normal. The likelihood ``p(x) = E p(x | z)`` cannot be computed,
but it is bounded from below by any distribution q(z | x) that tells from a picture where its code may be:

    log p(x) >= E_q log p(x | z) - KL(q(z | x) || p(z))

The encoder gives q, a normal distribution for each number of the code; the decoder gives p(x | z), the probability that
a pixel is white. Codes are drawn as mean + deviation * noise, so that gradients reach the encoder.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from rlsuite import random
from rlsuite.configuration import Count, Widths
from rlsuite.networks.mlp import mlp
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.experiments.autoencoder import square
from rlsuite.supervised.figures import picture_grid
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, minibatches

_NOISE_STREAM, _DRAWN_STREAM = 51, 52
_SIDE, _DRAWN = 12, 8  # of grids of pictures


@dataclass(frozen=True, kw_only=True)
class VAEConfig(SupervisedConfig, group="network"):
    epochs: Count = 12
    batch_size: Count = 100
    code: Count = 20
    """Numbers of the code."""
    hidden: Widths = (400,)
    """Units of the encoder's hidden layers; the decoder mirrors them."""


class Batch(NamedTuple):
    """Flat pictures ``[S, B, P]`` and the noise of their codes ``[S, B, K]``."""

    pictures: Tensor
    noise: Tensor


class Parts(NamedTuple):
    """Flat pictures ``[N, P]``."""

    train: Tensor
    validation: Tensor
    test: Tensor


VAESetting = Setting[VAEConfig, Parts]


def load(config: VAEConfig) -> Parts:
    return Parts(*(part.inputs.flatten(1) for part in mnist(config)[:3]))


def vae(pixels: int, config: VAEConfig) -> nn.Sequential:
    """``encoder``, to means and logarithms of variances, and ``decoder``, to logits."""
    sizes = [pixels, *config.hidden]
    return nn.Sequential(OrderedDict(encoder=mlp([*sizes, 2 * config.code]), decoder=mlp([config.code, *sizes[::-1]])))


def bound(network: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
    """The two parts of the negative bound on log p(x), in nats ``[S, B]``: reconstruction and divergence."""
    mean, log_variance = network(batch.pictures, part="encoder").chunk(2, dim=-1)
    posterior = Normal(mean, (0.5 * log_variance).exp(), validate_args=False)
    logits = network(mean + posterior.stddev * batch.noise, part="decoder")
    reconstruction = F.binary_cross_entropy_with_logits(logits, batch.pictures, reduction="none").sum(dim=-1)
    return reconstruction, kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=-1)


def loss(network: Forward, batch: Batch, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    reconstruction, divergence = bound(network, batch)
    return (reconstruction + divergence).mean(dim=1), {"train/divergence": divergence.mean(dim=1)}, state


def make_source(setting: VAESetting) -> Batches[Batch]:
    config = setting.config
    train = setting.data.train.to(setting.device)

    def with_noise(batch: Batch, keys: Tensor) -> Batch:
        return batch._replace(noise=random.normal(keys, config.batch_size, config.code))

    nothing = torch.empty(len(train), 0, device=setting.device)
    return minibatches(Batch(train, nothing), config.batch_size, setting.seeds, with_noise)


def make_learner(setting: VAESetting, total_updates: int) -> Learner[Batch]:
    config, pixels = setting.config, setting.data.train.shape[1]
    return Learner(lambda: vae(pixels, config), loss, config, total_updates, setting.seeds, setting.device)


@torch.no_grad()
def evaluate(learner: Learner[Batch], setting: VAESetting, split: Split) -> dict[str, np.ndarray]:
    """The negative bound and its parts, in nats a picture, with one code drawn for each."""
    pictures: Tensor = getattr(setting.data, split)
    noise = random.normal(random.key(torch.tensor(0), _NOISE_STREAM), len(pictures), setting.config.code)
    parts = [
        torch.stack(
            bound(learner, Batch(*(own.to(learner.seeds.device).expand(len(learner.seeds), -1, -1) for own in pair)))
        )
        for pair in zip(pictures.split(1_000), noise.split(1_000), strict=True)
    ]
    reconstruction, divergence = torch.cat(parts, dim=-1).mean(dim=-1).cpu().numpy()
    return {
        "negative_bound": reconstruction + divergence,
        "reconstruction": reconstruction,
        "divergence": divergence,
    }


def decoded(learner: Learner[Batch], codes: Tensor) -> Tensor:
    """Pictures ``[N, P]`` that the first seed's decoder makes of codes ``[N, K]``."""
    codes = codes.to(learner.seeds.device)
    return learner(codes.expand(len(learner.seeds), -1, -1), part="decoder")[0].sigmoid().cpu()


def report(trained: Trained[VAEConfig, Parts]) -> Facts:
    """Draw reconstructions, new pictures, and pictures as the two numbers of the code vary that say most."""
    learner, folder, numbers = trained.learner, trained.folder, trained.setting.config.code
    pictures = trained.setting.data.test[:1_000]
    shown = pictures.to(learner.seeds.device).expand(len(learner.seeds), -1, -1)
    mean, log_variance = learner(shown, part="encoder")[0].cpu().chunk(2, dim=-1)
    informed = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean(dim=0)

    both = square(torch.cat([pictures[:_DRAWN], decoded(learner, mean[:_DRAWN])]))
    picture_grid(folder / "reconstructions.png", both, _DRAWN, title="test pictures, and from their codes", scale=0.8)

    drawn = random.normal(random.key(torch.tensor(0), _DRAWN_STREAM), _DRAWN * _DRAWN, numbers)
    picture_grid(folder / "drawn.png", square(decoded(learner, drawn)), _DRAWN, title="new pictures", scale=0.6)

    most = informed.argsort(descending=True)[:2]
    quantiles = Normal(0.0, 1.0).icdf(torch.linspace(0.02, 0.98, _SIDE))
    grid = torch.zeros(_SIDE, _SIDE, numbers)
    for axis, number in enumerate(most):
        grid[..., number] = quantiles if axis else quantiles.unsqueeze(1)
    title = f"numbers {' and '.join(str(int(number) + 1) for number in most)} of the code, the others zero"
    picture_grid(folder / "grid.png", square(decoded(learner, grid.flatten(0, 1))), _SIDE, title=title, scale=0.5)
    return {"nats_by_number": [round(float(nats), 3) for nats in informed]}


EXPERIMENTS = [
    Experiment(
        name="vae",
        task="Variational autoencoder, from which digits are drawn",
        data="MNIST, flat",
        target=Target("negative_bound", 106.0, higher_is_better=False),
        minutes=1.5,
        config=VAEConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"train/divergence": "divergence"},
    )
]
