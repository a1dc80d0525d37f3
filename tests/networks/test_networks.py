import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from rlsuite.networks.cnn import nature
from rlsuite.networks.encoder import encoder
from rlsuite.networks.heads import Dueling
from rlsuite.networks.mlp import mlp
from rlsuite.networks.recurrent import reader


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_the_papers():
    # Nature: 8*8*4*32+32, 4*4*32*64+64, 3*3*64*64+64, 3136*512+512, and the head 512*6+6.
    assert count(nn.Sequential(nature((4, 84, 84)), nn.Linear(512, 6))) == 1_687_206
    assert count(mlp([4, 120, 84, 2])) == 4 * 120 + 120 + 120 * 84 + 84 + 84 * 2 + 2


@pytest.mark.parametrize(
    ("shape", "dtype", "name", "features"),
    [
        ((4, 84, 84), np.uint8, "nature", 512),
        ((4, 84, 84), np.uint8, "impala", 256),
        ((4, 10, 10), np.uint8, "auto", 128),
        ((1, 3, 3), np.uint8, "auto", 128),
        ((1, 36, 36), np.uint8, "auto", 512),
        ((3, 40, 40), np.float32, "auto", 512),
        ((3, 40, 40), np.uint8, "mlp", 256),
        ((128,), np.uint8, "auto", 256),
    ],
)
def test_encoders_take_observations_as_they_come(shape, dtype, name, features):
    network, width = encoder(Box(0, 255, shape, dtype), name)
    observations = torch.randint(0, 256, (3, *shape)).to(torch.uint8 if dtype == np.uint8 else torch.float32)
    assert width == features
    assert network(observations).shape == (3, features)


def first_input(space, layer, observation):
    seen = []
    network, _ = encoder(space)
    network[layer].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(observation)
    return seen[0]


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 255, np.uint8), (0, 1, np.uint8), (0, 255, np.float32), (-1, 1, np.float32)]
)
def test_pictures_are_scaled_to_one(low, high, dtype):
    space = Box(low, high, (4, 84, 84), dtype)
    for value, expected in ((low, 0.0), (high, 1.0)):
        picture = torch.from_numpy(np.full((1, 4, 84, 84), value, dtype))
        assert torch.equal(first_input(space, 1, picture), torch.full((1, 4, 84, 84), expected))


def test_only_bytes_are_scaled_among_vectors():
    assert torch.equal(
        first_input(Box(0, 255, (5,), np.uint8), 1, torch.full((1, 5), 255, dtype=torch.uint8)), torch.ones(1, 5)
    )
    assert torch.equal(first_input(Box(0, 255, (5,)), 1, torch.full((1, 5), 255.0)), torch.full((1, 5), 255.0))


def test_a_picture_too_small_for_an_encoder_is_refused():
    with pytest.raises(ValueError, match=r"encoder 'nature' needs pictures of at least 36 x 36, not \(35, 80\)"):
        encoder(Box(0, 255, (4, 35, 80), np.uint8), "nature")
    assert encoder(Box(0, 255, (4, 36, 36), np.uint8), "nature")[1] == 512


def test_an_image_encoder_refuses_vectors():
    with pytest.raises(ValueError, match="needs pictures"):
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


def test_dueling_heads_of_several_numbers_are_one_head_for_each_number():
    torch.manual_seed(0)
    whole, features = Dueling(8, 3, 2), torch.randn(5, 8)
    outputs = whole(features).unflatten(-1, (3, 2))
    for number in range(2):
        one = Dueling(8, 3)
        for part in ("value", "advantage"):
            mine, theirs = one.get_submodule(part), whole.get_submodule(part)
            mine.weight.data, mine.bias.data = theirs.weight[number::2].clone(), theirs.bias[number::2].clone()
        torch.testing.assert_close(outputs[..., number], one(features))
