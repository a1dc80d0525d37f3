"""Digits that move in a frame: a convolutional LSTM foresees them beside a plain one (Shi et al., 2015, made small).

Two MNIST digits of 10 x 10 pixels move straight through a frame of 20 x 20 and turn round at its borders. A network
sees some frames and foresees as many, each from what it foresaw before.

Shapes: S seeds, B sequences of 2 T frames, P pixels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.networks.conv_lstm import ConvLSTM
from rlsuite.networks.recurrent import RecurrentBackbone
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import curves, picture_grid
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, made_up

_EVALUATION_STREAM = 16
_EVALUATED = (100, 500)  # sequences to validate and to test with
_FRAME, _DIGIT, _DIGITS = 20, 10, 2  # pixels, pixels, how many
_PATCH = 2  # pixels on a side that are channels of one place
_SPEED = 2.0  # pixels a frame, at most, along each axis


@dataclass(frozen=True, kw_only=True)
class MovingConfig(SupervisedConfig, group="frames"):
    """Training of a network that foresees frames."""

    epochs: Count = 10
    batch_size: Count = 16
    examples: Count = 3_200
    learning_rate: Positive = 2e-3
    max_gradient_norm: Positive | None = 1.0
    model: Literal["conv-lstm", "lstm"] = "conv-lstm"
    """Kind of the network."""
    channels: Count = 24
    """Outputs of the convolutional LSTM at each place."""
    hidden: Count = 256
    """Outputs of the plain LSTM."""
    steps: Count = 6
    """Frames that are seen, and frames that are foreseen."""


class Films(NamedTuple):
    """Digits to train with ``[N, D, D]``, and films ``[1, M, 2T, F, F]`` that are not trained on."""

    digits: Tensor
    validation: Tensor
    test: Tensor


MovingSetting = Setting[MovingConfig, Films]


def films(key: Tensor, digits: Tensor, batch: int, steps: int) -> Tensor:
    """Films ``[S, B, steps, F, F]`` of moving digits, from keys ``[S]``."""
    room = float(_FRAME - _DIGIT)
    shape = batch, _DIGITS, 2
    chosen = digits[random.integers(random.fold(key, 0), len(digits), batch, _DIGITS)]  # [S, B, digits, D, D]
    start = random.uniform(random.fold(key, 1), *shape) * 2.0 * room
    speed = (random.uniform(random.fold(key, 2), *shape) * 2.0 - 1.0) * _SPEED
    times = torch.arange(float(steps), device=key.device).view(steps, 1, 1)
    # A straight path, folded at the borders, in whole pixels.
    path = (start.unsqueeze(2) + times * speed.unsqueeze(2)).remainder(2.0 * room)
    corner = (room - (path - room).abs()).round().long()  # [S, B, steps, digits, 2]
    pixels = torch.arange(_FRAME, device=key.device)
    rows, columns = (pixels - corner[..., axis, None] for axis in (0, 1))  # within a digit, [..., digits, F]
    inside = ((rows >= 0) & (rows < _DIGIT)).unsqueeze(-1) & ((columns >= 0) & (columns < _DIGIT)).unsqueeze(-2)
    places = rows.clamp(0, _DIGIT - 1).unsqueeze(-1) * _DIGIT + columns.clamp(0, _DIGIT - 1).unsqueeze(-2)
    ink = chosen.flatten(-2).unsqueeze(2).expand(-1, -1, steps, -1, -1).gather(-1, places.flatten(-2))
    return (ink.view(places.shape) * inside).amax(dim=3)


class Foreseeing(nn.Module):
    """Seen frames ``[B, T, F, F]`` to the logits of the next T frames ``[B, T, F, F]``."""

    def __init__(self, network: nn.Module, readout: nn.Module, patches: bool) -> None:
        super().__init__()
        self.network, self.readout, self.patches = network, readout, patches

    def stacked(self, child: Callable[..., Any], named: dict[str, Tensor], seen: Tensor) -> Tensor:
        """The same for S networks, with frames ``[S, B, T, F, F]``."""
        outputs, state = child("network", self._enter(seen))
        foreseen: list[Tensor] = []
        for time in range(seen.shape[2]):
            if time:
                outputs, state = child("network", self._enter(foreseen[-1].sigmoid()), state)
            foreseen.append(self._leave(child("readout", outputs[:, :, -1])).unsqueeze(2))
        return torch.cat(foreseen, dim=2)

    def _enter(self, frames: Tensor) -> Tensor:
        """Pixels as the network takes them."""
        if not self.patches:
            return frames.flatten(-2)
        return F.pixel_unshuffle(frames.unsqueeze(-3), _PATCH)

    def _leave(self, outputs: Tensor) -> Tensor:
        """Outputs as pixels ``[S, B, F, F]``."""
        if not self.patches:
            return outputs.unflatten(-1, (_FRAME, _FRAME))
        return F.pixel_shuffle(outputs, _PATCH).squeeze(-3)


def network_of(config: MovingConfig) -> Foreseeing:
    if config.model == "lstm":
        pixels = _FRAME * _FRAME
        return Foreseeing(RecurrentBackbone(pixels, config.hidden, "lstm"), nn.Linear(config.hidden, pixels), False)
    channels = _PATCH * _PATCH
    readout = nn.Conv2d(config.channels, channels, 1)
    return Foreseeing(ConvLSTM(channels, config.channels), readout, True)


def cross_entropy(logits: Tensor, frames: Tensor) -> Tensor:
    """The cross-entropy of each frame, summed over pixels: ``[S, B, T, F, F]`` to ``[S, B, T]``."""
    return F.binary_cross_entropy_with_logits(logits, frames, reduction="none").sum(dim=(-2, -1))


def loss(network: Forward, batch: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    seen, wanted = batch.chunk(2, dim=2)
    return cross_entropy(network(seen), wanted).mean(dim=(1, 2)), {}, state


def load(config: MovingConfig) -> Films:
    data = mnist(config)

    def small(images: Tensor) -> Tensor:
        return F.avg_pool2d(images[:, :, 4:-4, 4:-4], 2).squeeze(1)  # the digits are in the middle

    digits = [small(examples.inputs) for examples in (data.validation, data.test)]
    keys = random.key(torch.arange(2), _EVALUATION_STREAM).split(1)
    held = (films(key, own, count, 2 * config.steps) for key, own, count in zip(keys, digits, _EVALUATED, strict=True))
    return Films(small(data.train.inputs), *held)


def make_source(setting: MovingSetting) -> Batches[Tensor]:
    config, digits = setting.config, setting.data.digits.to(setting.device)
    an_epoch = max((config.examples or len(digits)) // config.batch_size, 1)
    return made_up(
        lambda keys: films(keys, digits, config.batch_size, 2 * config.steps), setting.seeds, an_epoch, setting.device
    )


def make_learner(setting: MovingSetting, total_updates: int) -> Learner[Tensor]:
    config = setting.config
    return Learner(lambda: network_of(config), loss, config, total_updates, setting.seeds, setting.device)


def foreseen(learner: Learner[Any], held: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and what comes, ``[S, B, T, F, F]``, some films at a time."""
    for part in held.to(learner.seeds.device).split(100, dim=1):
        seen, wanted = part.expand(len(learner.seeds), -1, -1, -1, -1).chunk(2, dim=2)
        yield learner(seen), wanted


def evaluate(learner: Learner[Any], setting: MovingSetting, split: Split) -> dict[str, np.ndarray]:
    found = [cross_entropy(*pair) for pair in foreseen(learner, getattr(setting.data, split))]
    return {"cross_entropy": torch.cat(found, dim=1).mean(dim=(1, 2)).cpu().numpy()}


def same_for_all(setting: MovingSetting) -> Tensor:
    """The cross-entropy of each frame if every pixel has one probability, whatever was seen: of validation ``[T]``."""
    wanted = setting.data.validation.chunk(2, dim=2)[1]
    mean = wanted.mean(dim=(1, 2), keepdim=True).clamp(1e-4, 1.0 - 1e-4).expand_as(wanted)
    return cross_entropy(mean.logit(), wanted).mean(dim=(0, 1))


def report(trained: Trained[MovingConfig, Films]) -> Facts:
    """Draw films with what was foreseen, and how much worse it gets with time."""
    setting, steps = trained.setting, trained.setting.config.steps
    by_frame: list[Tensor] = []
    for logits, wanted in foreseen(trained.learner, setting.data.test):
        if not by_frame:
            drawn = min(3, logits.shape[1])
            seen = setting.data.test[0, :drawn, :steps]
            rows = [(seen[k], wanted[0, k].cpu(), logits[0, k].sigmoid().cpu()) for k in range(drawn)]
            pictures = torch.cat([torch.cat([past, coming, past, guess]) for past, coming, guess in rows])
        by_frame.append(cross_entropy(logits, wanted))
    picture_grid(
        trained.folder / "frames.png",
        pictures.numpy(),
        2 * steps,
        title=f"{steps} frames seen, then what came (above) and what was foreseen (below)",
        scale=0.7,
    )
    each = torch.cat(by_frame, dim=1).mean(dim=(0, 1)).cpu().numpy()
    ahead = np.arange(1, steps + 1)
    curves(
        trained.folder / "by_frame.png",
        {setting.config.model: (ahead, each), "the mean picture": (ahead, same_for_all(setting).numpy())},
        x_label="frames ahead",
        y_label="cross-entropy of a frame, nats",
        title="How far it foresees",
    )
    return {"by_frame": each.round(2).tolist()}


def experiment(name: str, task: str, target: float, config: MovingConfig) -> Experiment[MovingConfig, Films]:
    return Experiment(
        name=name,
        task=task,
        data="MNIST's digits, moved",
        target=Target("cross_entropy", target, higher_is_better=False),
        minutes=8,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        levels=lambda setting: {"the mean picture": float(same_for_all(setting).mean())},
    )


EXPERIMENTS = [
    # A convolutional LSTM knows no places: until it has learned to see it is worse than a mean picture.
    experiment(
        "moving-digits", "Foresee moving digits with a convolutional LSTM", 105.0, MovingConfig(learning_rate=1e-2)
    ),
    experiment("moving-digits-lstm", "Foresee moving digits with a plain LSTM", 110.0, MovingConfig(model="lstm")),
]
