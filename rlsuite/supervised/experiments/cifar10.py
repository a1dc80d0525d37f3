"""CIFAR-10 with ResNet-18, VGG-16 and Inception: for a GPU; not run by us so far."""

from collections.abc import Callable

from torch import nn

from rlsuite.networks.names import VisionName
from rlsuite.networks.vision import Norm, backbone, classifier
from rlsuite.supervised.augmentation import transformed
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.cifar10 import KINDS, SHAPE, cifar10
from rlsuite.supervised.experiments.mnist import picture_classifier

SEEN = transformed(shift_pixels=4.0, is_mirrored=True)


def _network(name: VisionName, norm: Norm) -> Callable[[], nn.Module]:
    # One dense layer on the features: 4,096 wide ones, made for pictures of 224 x 224, only overfit here.
    def make() -> nn.Module:
        body, features = backbone(name, SHAPE, norm, dense=())
        return nn.Sequential(body, nn.Linear(features, len(KINDS)))

    return make


EXPERIMENTS = [
    picture_classifier(
        f"cifar10-{name}",
        f"{title} on pictures of ten kinds of things; not run by us",
        "CIFAR-10",
        cifar10,
        network,
        SupervisedConfig(
            epochs=30, batch_size=128, learning_rate=2e-3, decay="cosine", weight_decay=0.05, device="auto"
        ),
        target=target,
        minutes=900,
        augment=SEEN,
    )
    for name, title, target, network in (
        # What kuangliu/pytorch-cifar reports after 200 epochs of gradient descent: 93.02, 92.64; others: 0.9.
        ("resnet18", "ResNet-18", 0.93, lambda: classifier("resnet-18", SHAPE, len(KINDS))),
        ("vgg16", "VGG-16 with batch norm", 0.92, _network("vgg-d", "batch")),
        ("inception", "Inception", 0.9, lambda: classifier("inception", SHAPE, len(KINDS))),
    )
]
