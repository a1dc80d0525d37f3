"""Autoencoders: pictures through a narrow code and back, without labels.

An encoder makes a code of a picture, a decoder a picture of the code, and the error is the mean of ``(x - D(E(x)))^2``.
If both are linear, no code of K numbers does better than the K principal components: at the minimum ``D E`` is the
projection on the span of the first K eigenvectors of the pictures' covariance (Baldi and Hornik, 1989). Layers with
rectifiers between them bend that plane, so that two numbers say more.

Deep autoencoders may be trained layer by layer first (Hinton and Salakhutdinov, 2006): each layer of the encoder with
its opposite in the decoder, as an autoencoder of what the layers before it answer.
"""

import dataclasses
import math
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Natural, Widths
from rlsuite.networks.mlp import ACTIVATIONS
from rlsuite.supervised.classification import Examples, Labelled
from rlsuite.supervised.config import Decay, SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import picture_grid, scatter
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, minibatches

_DRAWN_EPOCHS = (5, 40, 100, 200)
_DRAWN, _GRID = 10, 12  # pictures in a row; codes along an axis


@dataclass(frozen=True, kw_only=True)
class CodeConfig(SupervisedConfig, group="network"):
    """The shape of an autoencoder; the decoder mirrors the encoder."""

    batch_size: Count = 100
    decay: Decay = "cosine"
    code: Count = 2
    """Numbers that a picture goes through."""
    hidden: Widths | None = None
    """Units of the encoder's layers before the code; none for a linear autoencoder."""
    activation: Literal["relu", "tanh", "silu", "selu"] = "relu"
    """Activation of the hidden layers."""
    layer_epochs: Natural = 0
    """Epochs that each layer is trained alone, with its opposite, before all are trained together."""


class PrincipalComponents(NamedTuple):
    """The mean ``[P]`` of the training pictures, and the eigenvectors of their covariance ``[P, P]``, largest first."""

    mean: Tensor
    vectors: Tensor

    def codes(self, pictures: Tensor, numbers: int) -> Tensor:
        return (pictures - self.mean) @ self.vectors[:, :numbers]

    def pictures(self, codes: Tensor) -> Tensor:
        return self.mean + codes @ self.vectors[:, : codes.shape[-1]].mT

    def error(self, pictures: Tensor, numbers: int) -> float:
        """The mean squared error of a pixel."""
        return float((pictures - self.pictures(self.codes(pictures, numbers))).square().mean())


class Digits(NamedTuple):
    """Flat pictures with their labels, which only colour figures, and the principal components."""

    pictures: Labelled
    components: PrincipalComponents


Codes = Setting[CodeConfig, Digits]


def load(config: CodeConfig) -> Digits:
    data = mnist(config)
    train, validation, test = (Examples(part.inputs.flatten(1), part.labels) for part in data[:3])
    return Digits(Labelled(train, validation, test, data.classes), principal_components(train.inputs))


def principal_components(pictures: Tensor) -> PrincipalComponents:
    mean = pictures.mean(dim=0)
    centred = (pictures - mean).double()
    vectors = torch.linalg.eigh(centred.mT @ centred).eigenvectors.flip(1)
    return PrincipalComponents(mean, vectors.float())


def autoencoder(pixels: int, config: CodeConfig) -> nn.Sequential:
    """``encoder`` and ``decoder``, whose parts 0, 1 ... are a linear layer each, and its activation if it is hidden."""
    sizes = [pixels, *(config.hidden or ()), config.code]

    def layers(sizes: list[int]) -> nn.Sequential:
        parts = [nn.Sequential(nn.Linear(*pair), ACTIVATIONS[config.activation]()) for pair in pairwise(sizes)]
        return nn.Sequential(*parts[:-1], parts[-1][:1])

    return nn.Sequential(OrderedDict(encoder=layers(sizes), decoder=layers(sizes[::-1])))


def error(network: Forward, batch: Examples, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    """The mean squared error of a pixel."""
    return (network(batch.inputs) - batch.inputs).square().mean(dim=(1, 2)), {}, state


class LayerByLayer:
    """The error of one layer and its opposite after the other, for so many updates each, and then that of all.

    Layers that are not trained have no gradient, so that Adam soon leaves them where they are. The state counts
    updates.
    """

    def __init__(self, layers: int, updates: int) -> None:
        self.layers, self.updates = layers, updates

    def __call__(self, network: Forward, batch: Examples, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        layer = int(state["updates"][0]) // self.updates
        state = {"updates": state["updates"] + 1}
        if layer >= self.layers:
            return error(network, batch, state)
        with torch.no_grad():
            wanted = batch.inputs
            for before in range(layer):
                wanted = network(wanted, part=f"encoder.{before}")
        found = network(network(wanted, part=f"encoder.{layer}"), part=f"decoder.{self.layers - 1 - layer}")
        return (found - wanted).square().mean(dim=(1, 2)), {}, state


def make_source(setting: Codes) -> Batches[Examples]:
    train = Examples(*(tensor.to(setting.device) for tensor in setting.data.pictures.train))
    return minibatches(train, setting.config.batch_size, setting.seeds)


def make_learner(setting: Codes, total_updates: int) -> Learner[Examples]:
    config, seeds = setting.config, setting.seeds
    pixels = setting.data.pictures.train.inputs.shape[1]

    def learner(loss: LayerByLayer | None, state: State | None = None) -> Learner[Examples]:
        network = lambda: autoencoder(pixels, config)  # noqa: E731
        return Learner(network, loss or error, config, total_updates, seeds, setting.device, state)

    if config.layer_epochs == 0:
        return learner(None)
    each = config.layer_epochs * (total_updates // config.epochs)
    counted = torch.zeros(len(seeds), dtype=torch.int64, device=setting.device)
    return learner(LayerByLayer(len(config.hidden or ()) + 1, each), {"updates": counted})


def through(learner: Learner[Examples], pictures: Tensor, part: str | None = None) -> Tensor:
    """Outputs of the networks, or of their encoders or decoders, ``[S, N, ...]``."""
    return learner(pictures.to(learner.seeds.device).expand(len(learner.seeds), *pictures.shape), part=part).cpu()


def evaluate(learner: Learner[Examples], setting: Codes, split: Split) -> dict[str, np.ndarray]:
    """The mean squared error of a pixel, and that as a multiple of the principal components' error."""
    pictures = getattr(setting.data.pictures, split).inputs
    errors = torch.stack([(through(learner, part) - part).square().sum(dim=(1, 2)) for part in pictures.split(1_000)])
    mse = errors.sum(dim=0).numpy() / pictures.numel()
    return {"mse": mse, "ratio_to_pca": mse / setting.data.components.error(pictures, setting.config.code)}


def look(trained: Trained[CodeConfig, Digits], source: Batches[Examples]) -> None:
    """Draw reconstructions after 5, 100 and 200 epochs."""
    epoch = source.drawn // source.an_epoch
    if epoch in _DRAWN_EPOCHS:
        draw_reconstructions(trained, f"reconstructions_{epoch}", f"after {epoch} epochs")


def draw_reconstructions(trained: Trained[CodeConfig, Digits], name: str, when: str) -> None:
    """Draw test pictures of each class, above what the first seed's network and the components make of them."""
    data, components = trained.setting.data.pictures, trained.setting.data.components
    firsts = [np.flatnonzero(data.test.labels == digit)[:1] for digit in range(len(data.classes))]
    pictures = data.test.inputs[np.concatenate(firsts)][:_DRAWN]
    numbers = trained.setting.config.code
    rows = pictures, through(trained.learner, pictures)[0], components.pictures(components.codes(pictures, numbers))
    title = f"test pictures; through {numbers} numbers, {when}; through {numbers} principal components"
    picture_grid(trained.folder / f"{name}.png", square(torch.cat(rows)), len(pictures), title=title, scale=0.8)


def square(pictures: Tensor) -> np.ndarray:
    """Flat pictures ``[N, P]`` as ``[N, H, H]``."""
    side = math.isqrt(pictures.shape[-1])
    return pictures.unflatten(-1, (side, side)).numpy()


def angles(learner: Learner[Examples], components: PrincipalComponents, numbers: int) -> Tensor:
    """The angles ``[K]``, in degrees and rising, between the planes of a linear decoder and of the components."""
    weight = learner.network.single(0).get_parameter("decoder.0.0.weight").cpu()  # [P, K]
    own, _ = torch.linalg.qr(weight)
    return torch.linalg.svdvals(own.mT @ components.vectors[:, :numbers]).clamp(max=1.0).acos().rad2deg()


def report(trained: Trained[CodeConfig, Digits]) -> Facts:
    """Draw reconstructions; of a code of two numbers also where the classes lie in it, and pictures of new codes."""
    setting, config = trained.setting, trained.setting.config
    draw_reconstructions(trained, "reconstructions", "at the end")
    test, components = setting.data.pictures.test, setting.data.components
    facts: Facts = {"pca_mse": components.error(test.inputs, config.code)}
    if not config.hidden:
        found = angles(trained.learner, components, config.code)
        facts["angles_degrees"] = [round(float(angle), 2) for angle in found]
    if config.code == 2:
        codes = through(trained.learner, test.inputs, "encoder")[0]
        plane = {"code of the autoencoder": codes, "principal components": components.codes(test.inputs, 2)}
        labels = test.labels.numpy()
        names = setting.data.pictures.classes
        scatter(trained.folder / "codes.png", {name: own.numpy() for name, own in plane.items()}, labels, names)
        draw_new(trained, codes)
    return facts


def draw_new(trained: Trained[CodeConfig, Digits], codes: Tensor) -> None:
    """Draw what the decoder makes of codes in a grid over where codes ``[N, 2]`` of pictures lie."""
    levels = torch.linspace(0.03, 0.97, _GRID)
    x, y = (torch.quantile(codes[:, axis], levels) for axis in range(2))
    grid = torch.stack(torch.meshgrid(x, y.flip(0), indexing="xy"), dim=-1).flatten(0, 1)
    pictures = square(through(trained.learner, grid, "decoder")[0])
    picture_grid(trained.folder / "new.png", pictures, _GRID, title="pictures of new codes", scale=0.5)


def experiment(name: str, task: str, most: float, minutes: float, config: CodeConfig) -> Experiment[CodeConfig, Digits]:
    return Experiment(
        name=name,
        task=task,
        data="MNIST, flat",
        target=Target("ratio_to_pca", most, higher_is_better=False),
        minutes=minutes,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        look=look,
        report=report,
        levels=lambda setting: {"principal components": 1.0},
    )


_DEEP = CodeConfig(epochs=40, batch_size=200, hidden=(256, 64), learning_rate=2e-3)
EXPERIMENTS = [
    experiment(
        "autoencoder-linear",
        "A linear autoencoder finds the plane of the principal components",
        1.01,
        1,
        CodeConfig(epochs=6, code=32, learning_rate=2e-3),
    ),
    experiment(
        "autoencoder-deep", "Two numbers for a picture: a deep autoencoder beside two components", 0.7, 4, _DEEP
    ),
    experiment(
        "autoencoder-layers",
        "The deep autoencoder, trained layer by layer before all layers together",
        0.7,
        4,
        dataclasses.replace(_DEEP, layer_epochs=4),
    ),
]
