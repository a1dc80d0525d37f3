"""Figures of a trained picture classifier: its first filters, the pictures it likes best, and its features in a plane.

All show the first seed's network.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite import random
from rlsuite.supervised.augmentation import transformed
from rlsuite.supervised.classification import Examples, Labelled, report_classes
from rlsuite.supervised.experiment import Facts, Trained
from rlsuite.supervised.figures import picture_grid, scatter
from rlsuite.tracking.notices import say

_STEPS, _STEP_SIZE = 200, 0.05
_BLUR_EVERY, _JITTER_PIXELS = 4, 2.0
_EMBEDDED = 1_000
_MOST_FILTERS = 64


def report_pictures(trained: Trained[Any, Labelled]) -> Facts:
    """Draw the figures and the confusion matrix; return it with precision and recall per class."""
    data, folder = trained.setting.data, trained.folder
    network = trained.learner.network.single(0)
    assert isinstance(network, nn.Sequential)
    draw_filters(folder / "filters.png", network)
    pictures, probabilities = preferred(network, data.test.inputs.shape[1:], len(data.classes), trained.setting.device)
    titles = [f"{name}: {share:.0%}" for name, share in zip(data.classes, probabilities.tolist(), strict=True)]
    picture_grid(
        folder / "preferred.png",
        _drawable(pictures),
        columns=5,
        titles=titles,
        title="the picture that raises each class's output most",
        scale=1.2,
    )
    draw_features(folder / "features.png", network, data)
    return report_classes(trained)


def draw_filters(path: Path, network: nn.Sequential) -> None:
    """Draw the weights of the first convolution, each filter between its own extremes."""
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    filters = first.weight[:_MOST_FILTERS].cpu()
    columns = min(len(filters), 10 if len(filters) % 10 == 0 else 8)
    picture_grid(path, _drawable(filters), columns, title="filters of the first convolution", scale=0.7)


def preferred(
    network: nn.Module, shape: torch.Size, classes: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] that raise each class's logit most, found by gradient ascent on the pixels.

    Pixels alone find patterns that mean something to the network only. So the picture is looked at from a slightly
    different place at every step, and is blurred now and then (Yosinski et al., 2015).

    Returns:
        The pictures ``[classes, *shape]``, and the probabilities ``[classes]`` that the network gives those classes.
    """
    key = random.key(torch.zeros(1, dtype=torch.int64), 0)
    pictures = 0.2 * random.uniform(key, classes, *shape).squeeze(0).to(device)
    labels = torch.arange(classes, device=device)
    jitter = transformed(degrees=5.0, shift_pixels=_JITTER_PIXELS)
    for step in range(_STEPS):
        pictures = pictures.detach().requires_grad_()
        seen = jitter(Examples(pictures.unsqueeze(0), labels), random.fold(key, step)).inputs.squeeze(0)
        logits = network(seen)
        (gradient,) = torch.autograd.grad(
            logits.log_softmax(dim=1).diagonal().sum() + logits.diagonal().sum(), pictures
        )
        with torch.no_grad():
            scale = gradient.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
            pictures = (pictures + _STEP_SIZE * gradient / scale).clamp(0.0, 1.0)
            if step % _BLUR_EVERY == 0 and step < _STEPS - 2 * _BLUR_EVERY:
                pictures = _blurred(pictures)
    with torch.no_grad():
        return pictures, network(pictures).softmax(dim=1).diagonal()


def _blurred(pictures: Tensor) -> Tensor:
    """Each pixel with a quarter of its neighbours, along both axes."""
    line = torch.tensor([0.1, 0.8, 0.1], device=pictures.device)
    kernel = (line.unsqueeze(0) * line.unsqueeze(1)).expand(pictures.shape[1], 1, 3, 3)
    return nn.functional.conv2d(pictures, kernel, padding=1, groups=pictures.shape[1])


@torch.no_grad()
def draw_features(path: Path, network: nn.Sequential, data: Labelled) -> None:
    """Draw features before the last layer in a plane, by t-SNE (van der Maaten and Hinton, 2008)."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        say("no figure of the features, which needs scikit-learn: pip install 'rlsuite[supervised]'")
        return
    inputs, labels = (tensor[:_EMBEDDED] for tensor in data.test)
    features = network[:-1](inputs.to(next(network.parameters()).device)).cpu().numpy()
    perplexity = min(30.0, (len(features) - 1) / 3.0)
    points = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(features)
    title = f"t-SNE of the {features.shape[1]} features of {len(points):,} test pictures"
    scatter(path, {title: points}, labels.cpu().numpy(), data.classes)


def _drawable(pictures: Tensor) -> np.ndarray:
    """Pictures ``[N, C, H, W]`` as colours ``[N, H, W, 3]`` where they have three channels, else their mean."""
    pictures = pictures.detach().cpu()
    return (pictures.movedim(1, -1) if pictures.shape[1] == 3 else pictures.mean(dim=1)).numpy()
