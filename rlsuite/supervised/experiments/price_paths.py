"""Adversarial networks that make price paths, judged against the law that real ones follow.

A price that starts at 1 is a geometric Brownian motion: over a step of length dt its logarithm moves by

    (drift - volatility^2 / 2) dt + volatility sqrt(dt) e        with e standard normal, independent of all before

so that log S_1 is normal with the mean drift - volatility^2 / 2 and the variance volatility^2, moves are uncorrelated,
and their distribution is known. A generator makes a whole path from one vector of noise: moves, or the path itself.

Shapes: S seeds, B paths of T moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.networks.recurrent import RecurrentBackbone
from rlsuite.networks.spectral import SpectralConv1d, SpectralLinear
from rlsuite.supervised.adversarial import Adversarial, AdversarialConfig, Batch
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.source import Batches, made_up

_EVALUATION_STREAM = 53
_EVALUATED, _DRAWN = 4_000, 40  # paths
_NOISE = 100
# How far off a generator may be and still succeed: the mean of log S_1 in its deviations, the logarithm of the ratio of
# its variance, the correlation of a move with the next, and the Kolmogorov-Smirnov distance of moves.
_TOLERATED = {"mean": 0.15, "variance": 0.25, "autocorrelation": 0.05, "kolmogorov_smirnov": 0.05}


@dataclass(frozen=True, kw_only=True)
class PathsConfig(AdversarialConfig, group="paths"):
    epochs: Count = 20
    seeds: Count = 5
    generator: Literal["dense", "recurrent", "dcgan"] = "dense"
    """Kind of the generator; dcgan is of transposed convolutions (Radford et al., 2016, in one dimension)."""
    discriminator: Literal["dense", "convolutional"] = "dense"
    """Kind of the discriminator."""
    sees: Literal["moves", "path"] = "moves"
    """Series that are generated, and told from real ones."""
    units: Count = 128
    """Units, or channels where there are most."""
    steps: Count = 32
    """Moves of a path, in multiples of 8."""
    drift: float = 0.1
    """Of the price, a unit of time."""
    volatility: Positive = 0.2
    """Deviation of the logarithm of the price after a unit of time."""


class Law:
    """Geometric Brownian motion, and paths as networks see them: with numbers of about unit size."""

    def __init__(self, config: PathsConfig) -> None:
        if config.steps % 8:
            raise ValueError(f"--steps must be a multiple of 8, not {config.steps}")
        self.steps, self.sees = config.steps, config.sees
        self.mean = config.drift - 0.5 * config.volatility**2  # of log S_1
        self.deviation = config.volatility
        self._scale = config.volatility / config.steps**0.5

    def moves(self, key: Tensor, paths: int) -> Tensor:
        """Moves of the logarithm ``[S, paths, T]``, from keys ``[S]``."""
        return self.mean / self.steps + self._scale * random.normal(key, paths, self.steps)

    def seen(self, moves: Tensor) -> Tensor:
        """Moves as networks see them."""
        return moves / self._scale if self.sees == "moves" else moves.cumsum(dim=-1) / self.deviation

    def moves_of(self, seen: Tensor) -> Tensor:
        if self.sees == "moves":
            return seen * self._scale
        path = seen * self.deviation
        return torch.diff(path, dim=-1, prepend=torch.zeros_like(path[..., :1]))

    def judge(self, moves: np.ndarray) -> dict[str, float]:
        """Distances of moves ``[N, T]`` from the law: see ``_TOLERATED``, and the worst as a multiple of those."""
        final = moves.sum(axis=1)
        centred = moves - moves.mean()
        variance = max(float(centred.var()), 1e-30)
        distance = kstest(moves.ravel(), "norm", args=(self.mean / self.steps, self._scale)).statistic
        found = {
            "mean": abs(final.mean() - self.mean) / self.deviation,
            "variance": abs(np.log(max(final.var(), 1e-30) / self.deviation**2)),
            "autocorrelation": abs((centred[:, 1:] * centred[:, :-1]).mean() / variance),
            "kolmogorov_smirnov": distance,
        }
        return {"worst": max(found[name] / most for name, most in _TOLERATED.items())} | found


PathsSetting = Setting[PathsConfig, Law]


class Recurrent(nn.Module):
    """A recurrent generator, which sees the noise ``[B, K]`` at every step and answers with a number ``[B, T]``."""

    def __init__(self, units: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.recurrent, self.readout = RecurrentBackbone(_NOISE, units, "gru"), nn.Linear(units, 1)

    def stacked(self, child: Callable[..., Any], named: dict[str, Tensor], noise: Tensor) -> Tensor:
        """S of them on noise ``[S, B, K]``."""
        outputs, _ = child("recurrent", noise.unsqueeze(2).expand(-1, -1, self.steps, -1))
        return child("readout", outputs.flatten(1, 2)).view(*noise.shape[:2], self.steps)


def generator(config: PathsConfig) -> nn.Module:
    units, steps = config.units, config.steps
    if config.generator == "recurrent":
        return Recurrent(units, steps)
    if config.generator == "dense":
        hidden = nn.Linear(_NOISE, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU()
        return nn.Sequential(*hidden, nn.Linear(units, steps))
    layers: list[nn.Module] = [nn.Linear(_NOISE, units * steps // 8), nn.Unflatten(1, (units, steps // 8))]
    for channels in (units, units // 2, units // 4):
        outputs = channels // 2 if channels > units // 4 else 1
        # By the paths beside it alone: running statistics would be those of another generator than the mean one.
        norm = nn.BatchNorm1d(channels, track_running_stats=False)
        layers += [norm, nn.ReLU(), nn.ConvTranspose1d(channels, outputs, 4, 2, 1)]
    return nn.Sequential(*layers, nn.Flatten())


def discriminator(config: PathsConfig) -> nn.Module:
    units, steps = config.units, config.steps
    linear, convolution = (SpectralLinear, SpectralConv1d) if config.slope == "spectral" else (nn.Linear, nn.Conv1d)
    leaky = nn.LeakyReLU(0.2)
    if config.discriminator == "dense":
        return nn.Sequential(linear(steps, units), leaky, linear(units, units), leaky, linear(units, 1))
    layers: list[nn.Module] = [nn.Unflatten(1, (1, steps))]
    for inputs, outputs in ((1, units // 4), (units // 4, units // 2), (units // 2, units)):
        layers += [convolution(inputs, outputs, 4, 2, 1), leaky]
    return nn.Sequential(*layers, nn.Flatten(), linear(units * steps // 8, 1))


def make_source(setting: PathsSetting) -> Batches[Batch]:
    config, law = setting.config, setting.data

    def batch(keys: Tensor) -> Batch:
        real = law.seen(law.moves(random.fold(keys, 0), config.batch_size))
        noise = random.normal(random.fold(keys, 1), 2, config.batch_size, _NOISE)
        return Batch(real, noise, random.uniform(random.fold(keys, 2), config.batch_size))

    return made_up(batch, setting.seeds, config.updates, setting.device)


def make_learner(setting: PathsSetting, total_updates: int) -> Adversarial:
    config = setting.config
    networks = (lambda: generator(config)), (lambda: discriminator(config))
    return Adversarial(*networks, config, total_updates, setting.seeds, setting.device)


def generated(learner: Adversarial, law: Law, split: Split) -> np.ndarray:
    """Moves ``[S, N, T]`` that each seed's generator makes, of noise that belongs to the split."""
    key = random.key(learner.seeds, _EVALUATION_STREAM, ("validation", "test").index(split))
    return law.moves_of(learner(random.normal(key, _EVALUATED, _NOISE))).cpu().numpy()


def evaluate(learner: Adversarial, setting: PathsSetting, split: Split) -> dict[str, np.ndarray]:
    judged = [setting.data.judge(moves) for moves in generated(learner, setting.data, split).astype(np.float64)]
    return {name: np.array([one[name] for one in judged]) for name in judged[0]}


def report(trained: Trained[PathsConfig, Law]) -> Facts:
    """Draw real and generated paths, and the distributions of moves and of the last price beside the law."""
    law = trained.setting.data
    made = generated(trained.learner, law, "test")
    real = law.moves(random.key(torch.tensor(0), _EVALUATION_STREAM, 2), _EVALUATED).numpy()
    with figure(trained.folder / "paths.png", 10.0, 5.6, 2, 2) as (_, axes):
        times = np.arange(law.steps + 1) / law.steps
        for axis, (name, moves) in zip(axes[0], {"real": real, "generated, first seed": made[0]}.items(), strict=True):
            paths = np.pad(moves[:_DRAWN].cumsum(axis=1), ((0, 0), (1, 0)))
            axis.plot(times, np.exp(paths.clip(-5.0, 5.0)).T, linewidth=0.6, color=COLOURS[0], alpha=0.5)
            axis.set_title(f"prices, {name}", fontsize="medium", loc="left")
            axis.set_ylim(*np.exp(law.mean + np.array([-3.5, 3.5]) * law.deviation))
        ends = law.mean, law.deviation
        move = law.mean / law.steps, law.deviation / law.steps**0.5
        shown = {"moves of log S": (made.reshape(len(made), -1), move), "log S at the end": (made.sum(axis=2), ends)}
        for axis, (name, (values, (mean, deviation))) in zip(axes[1], shown.items(), strict=True):
            x = np.linspace(mean - 4.0 * deviation, mean + 4.0 * deviation, 200)
            density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2.0 * np.pi))
            for seed, own in zip(trained.setting.seeds, values, strict=True):
                axis.hist(own.clip(x[0], x[-1]), bins=80, density=True, histtype="step", label=f"seed {seed}")
            axis.plot(x, density, color="black", linestyle="--", label="the law")
            axis.set_title(name, fontsize="medium", loc="left")
        axes[1, 1].legend(frameon=False, fontsize="small")
        for axis in axes.flat:
            axis.spines[["top", "right"]].set_visible(False)
    worst = [law.judge(moves)["worst"] for moves in made.astype(np.float64)]
    return {"succeeded": int(np.sum(np.array(worst) <= 1.0)), "seeds": len(worst)}


def experiment(name: str, task: str, config: PathsConfig) -> Experiment[PathsConfig, Law]:
    return Experiment(
        name=name,
        task=task,
        data="made up",
        target=Target("worst", 1.0, higher_is_better=False),
        minutes=2,
        config=config,
        load=Law,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"loss/generator": "generator"},
        levels=lambda setting: {"tolerated": 1.0},
    )


EXPERIMENTS = [
    experiment("paths-dense", "Price paths by a dense generator and its adversary", PathsConfig()),
    experiment("paths-recurrent", "Price paths by a recurrent generator", PathsConfig(generator="recurrent")),
    experiment("paths-dcgan", "Price paths by transposed convolutions", PathsConfig(generator="dcgan")),
]
