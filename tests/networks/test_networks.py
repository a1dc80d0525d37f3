import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlsuite.networks.cnn import lenet, nature
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.mlp import mlp
from rlsuite.networks.rnn import reader


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_the_papers():
    # Nature: 8*8*4*32+32, 4*4*32*64+64, 3*3*64*64+64, 3136*512+512, and the head 512*6+6.
    assert count(nn.Sequential(nature((4, 84, 84)), nn.Linear(512, 6))) == 1_687_206
    # LeNet-5's 61,706 parameters on 28 x 28 inputs.
    assert count(lenet((1, 28, 28), 10)) == 61_706
    assert count(mlp([4, 120, 84, 2])) == 4 * 120 + 120 + 120 * 84 + 84 + 84 * 2 + 2


@pytest.mark.parametrize(
    ("shape", "name", "features"),
    [
        ((4, 84, 84), "nature", 512),
        ((4, 84, 84), "impala", 256),
        ((4, 10, 10), "auto", 128),
        ((2, 40, 40, 3), "auto", 512),
    ],
)
def test_image_encoders_take_raw_pixels(shape, name, features):
    network, width = encoder(Box(0, 255, shape, np.uint8), name)
    pixels = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    assert width == features
    assert network(pixels).shape == (3, features)


def test_pixels_are_scaled_to_one():
    seen = []
    network, _ = encoder(Box(0, 255, (4, 84, 84), np.uint8))
    network[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 4, 84, 84), 255, dtype=torch.uint8))
    assert torch.equal(seen[0], torch.ones(1, 4, 84, 84))


def test_colour_stacks_keep_their_channels_apart():
    network, _ = encoder(Box(0, 255, (2, 84, 84, 3), np.uint8))
    pixels = torch.zeros(1, 2, 84, 84, 3, dtype=torch.uint8)
    pixels[0, 1, :, :, 2] = 255  # blue of the second frame is channel 1 * 3 + 2
    image = network[0](pixels)
    assert image.shape == (1, 6, 84, 84)
    assert image.sum(dim=(0, 2, 3)).tolist() == [0, 0, 0, 0, 0, 84 * 84]


def test_an_image_encoder_refuses_vectors():
    with pytest.raises(ValueError, match="needs uint8 images"):
        encoder(Box(-1, 1, (4,)), "nature")


def test_dueling_advantages_are_relative():
    head = Dueling(8, 3)
    features = torch.randn(5, 8)
    values = head(features)
    assert torch.allclose(values.mean(dim=1, keepdim=True), head.value(features), atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_reader_answers_from_the_last_output(cell):
    network = reader(3, 8, 2, cell)
    sequence = torch.randn(4, 6, 3)
    outputs, _ = network[0].recurrent(sequence)
    assert torch.equal(network(sequence), network[1](outputs[:, -1]))


def test_a_ball_on_a_plain_background_reaches_the_features():
    screens = torch.full((20, 4, 84, 84), 87, dtype=torch.uint8)
    for k, screen in enumerate(screens):
        for frame in range(4):
            screen[frame, 40:43, 3 * k + 2 * frame : 3 * k + 2 * frame + 2] = 236
    torch.manual_seed(0)
    network, _ = encoder(Box(0, 255, (4, 84, 84), np.uint8), "nature")
    with torch.no_grad():
        features = network(screens)
    assert features.std(dim=0).mean() > 0.005
