import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlsuite.networks import modes, vision
from rlsuite.networks.encoder import encoder
from rlsuite.networks.population import Population
from rlsuite.networks.untied import UntiedConv2d
from rlsuite.networks.vision import TABLE, Branches, Convolution, Full, Plain, ResNet, Shortcut, Simple, classifier

# As published, on 1 x 28 x 28 with 10 classes for LeNet and 3 x 224 x 224 with 1,000 for the others.
COUNTS = {
    "lenet": 440_812,
    "lenet-5": 61_706,
    "vgg-a": 132_863_336,
    "vgg-a-lrn": 132_863_336,
    "vgg-b": 133_047_848,
    "vgg-c": 133_638_952,
    "vgg-d": 138_357_544,
    "vgg-e": 143_667_240,
    "inception": 6_998_552,
    "inception-small": 1_984_744,
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "resnet-152": 60_192_808,
}
SMALL = {
    "plain": Plain((Convolution(4), "response norm", "pool", Convolution(6)), dense=(8,), dropout=0.5),
    "resnet": ResNet((1, 1), widths=(4, 8)),
    "bottleneck": ResNet((2, 1), is_bottleneck=True, widths=(4, 8)),
    "inception": vision.Inception(
        (Simple(2, 4), vision.Half(4), Full(2, 2, 4, 2, 4, 2), "pool"), width=4, norm="batch"
    ),
    "stemmed": vision.Inception((Simple(2, 4),), width=4, narrow=(4, 8), dropout=0.4),
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_architecture_has_its_published_count():
    assert COUNTS.keys() == TABLE.keys()


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_and_shapes_are_those_of_the_papers(name):
    shape, classes = ((1, 28, 28), 10) if name.startswith("lenet") else ((3, 224, 224), 1000)
    with torch.device("meta"):  # takes no memory
        network = classifier(name, shape, classes)
        assert count(network) == COUNTS[name]
        assert network(torch.zeros(2, *shape)).shape == (2, classes)


def test_group_norm_has_the_counts_of_batch_norm():
    with torch.device("meta"):
        network = classifier("resnet-50", (3, 224, 224), 1000, norm="group")
    assert count(network) == COUNTS["resnet-50"]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    ("name", "layers"), [("vgg-a", 11), ("vgg-b", 13), ("vgg-c", 16), ("vgg-d", 16), ("vgg-e", 19)]
)
def test_vgg_is_as_deep_as_its_column_of_the_table(name, layers):
    with torch.device("meta"):
        network = classifier(name, (3, 224, 224), 1000)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in network) == layers


@pytest.mark.parametrize("name", ["lenet", "lenet-5", "vgg-d", "inception", "inception-small", "resnet-18"])
def test_the_smallest_picture_is_the_smallest(name):
    least = TABLE[name].smallest
    with torch.device("meta"):
        body, features = vision.backbone(name, (3, least, least), norm="group", dense=(8,))
        assert body(torch.zeros(2, 3, least, least)).shape == (2, features)
    with pytest.raises(ValueError, match=f"needs pictures of at least {least} x {least}, not"):
        vision.backbone(name, (3, least + 3, least - 1))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("norm", [None, "group"])
def test_three_networks_as_one_are_the_three(name, norm):
    shape = (3, 12, 12)
    population, alone = (
        Population(lambda: classifier(SMALL[name], shape, 5, norm), seeds) for seeds in ([0, 1, 2], [1])
    )
    inputs = torch.randn(3, 4, *shape)
    for training in (False, True):
        if training:
            with modes.training(torch.tensor([10, 11, 12])):
                outputs = population(inputs)
            with modes.training(torch.tensor([11])):
                expected = alone(inputs[1:2])
        else:
            outputs, expected = population(inputs), alone(inputs[1:2])
        torch.testing.assert_close(outputs[1:2], expected)
        assert outputs.std() > 0


def test_a_residual_block_begins_as_the_identity():
    (block,) = (
        module for module in classifier(ResNet((1,), widths=(4,)), (3, 8, 8), 2) if isinstance(module, Shortcut)
    )
    x = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(block(x), x)


def test_branches_stand_side_by_side():
    block, channels = Full(3, 2, 4, 2, 5, 6).block(2, "none")
    outputs = block(torch.rand(1, 2, 7, 7))
    assert isinstance(block, Branches) and outputs.shape == (1, 3 + 4 + 5 + 6, 7, 7) and channels == 18


def test_signals_neither_die_nor_explode_in_deep_networks():
    torch.manual_seed(0)
    plan = Plain(16 * (Convolution(16),), dense=())
    body, _ = vision.backbone(plan, (16, 8, 8))
    assert 0.05 < body(torch.randn(8, 16, 8, 8)).std() < 5.0  # torch's own weights give 1e-5


@pytest.mark.parametrize(
    ("name", "shape", "features"),
    [
        ("lenet", (4, 10, 10), 512),
        ("lenet-5", (4, 10, 10), 512),
        ("vgg-a", (1, 36, 36), 512),
        ("inception", (4, 10, 10), 1024),
        ("inception-small", (4, 36, 36), 336),
        ("resnet-18", (4, 84, 84), 512),
        ("resnet-50", (4, 10, 10), 2048),
    ],
)
def test_each_is_an_encoder_of_pixels(name, shape, features):
    with torch.device("meta"):
        network, width = encoder(Box(0, 255, shape, np.uint8), name)
        assert width == features
        assert network(torch.zeros(2, *shape, dtype=torch.uint8)).shape == (2, features)
    assert not list(network.buffers())  # what acts must not depend on the batch


def test_an_encoder_that_needs_larger_pictures_says_so():
    with pytest.raises(ValueError, match=r"encoder 'vgg-d' needs pictures of at least 32 x 32, not \(10, 10\)"):
        encoder(Box(0, 255, (4, 10, 10), np.uint8), "vgg-d")


def test_untied_filters_that_are_equal_are_a_convolution_and_move_with_the_picture():
    tied, untied = torch.nn.Conv2d(2, 3, 3), UntiedConv2d(2, 3, 3, picture=(6, 5))
    with torch.no_grad():
        untied.weight.copy_(tied.weight.flatten(1).unsqueeze(2).expand_as(untied.weight))
        untied.bias.copy_(tied.bias.unsqueeze(1).expand_as(untied.bias))
    pictures = torch.randn(4, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(untied(pictures), tied(pictures))
    moved = pictures.roll(1, dims=3)
    torch.testing.assert_close(untied(moved)[..., 1:], untied(pictures)[..., :-1])
    torch.nn.init.normal_(untied.weight)
    assert not torch.allclose(untied(moved)[..., 1:], untied(pictures)[..., :-1])
