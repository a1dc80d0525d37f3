import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, Text

from envs.conversion import observation_tensor, tensor_space


@pytest.mark.parametrize(
    ("axes", "dtype", "shape"),
    [
        ((), np.float32, (1,)),
        ((3,), np.float64, (3,)),
        ((128,), np.uint8, (128,)),
        ((4, 128), np.uint8, (512,)),  # a stack of four vectors
        ((8, 8), np.uint8, (64,)),  # a board
        ((60, 30), np.float32, (1800,)),  # the last minutes of some prices
        ((1, 1, 7), np.float32, (7,)),
        ((84, 96), np.uint8, (1, 84, 96)),
        ((84, 96, 1), np.uint8, (1, 84, 96)),
        ((1, 84, 96), np.uint8, (1, 84, 96)),
        ((64, 64, 3), np.uint8, (3, 64, 64)),
        ((3, 64, 64), np.uint8, (3, 64, 64)),
        ((7, 7, 3), np.uint8, (3, 7, 7)),
        ((10, 10, 4), bool, (4, 10, 10)),
        ((10, 10, 10), np.uint8, (10, 10, 10)),
        ((48, 40, 3), np.float32, (3, 48, 40)),
        ((3, 48, 40), np.float32, (3, 48, 40)),
        ((4, 96, 80, 3), np.uint8, (12, 96, 80)),
        ((4, 3, 96, 80), np.uint8, (12, 96, 80)),
        ((96, 80, 3, 4), np.uint8, (12, 96, 80)),
    ],
)
def test_observations_are_numbers_or_pictures_with_their_channels_first(axes, dtype, shape):
    space = Box(0, 1, axes, dtype)
    made = tensor_space(space)
    assert made.shape == shape
    assert made.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    batch = observation_tensor(space, np.stack([space.sample(), space.sample()]))
    assert batch.shape == (2, *shape) and batch.is_contiguous()
    assert made.contains(batch[1].numpy())


@pytest.mark.parametrize("as_tensor", [False, True])
def test_colour_stacks_keep_their_channels_apart(as_tensor):
    pixels = np.zeros((1, 2, 84, 84, 3), np.uint8)
    pixels[0, 1, :5, :, 2] = 255  # blue of the second frame is channel 1 * 3 + 2
    picture = observation_tensor(
        Box(0, 255, (2, 84, 84, 3), np.uint8), torch.from_numpy(pixels) if as_tensor else pixels
    )
    assert picture.shape == (1, 6, 84, 84)
    assert picture.sum(dim=(0, 2, 3)).tolist() == [0, 0, 0, 0, 0, 5 * 84 * 255]
    assert (picture[0, 5, :5] == 255).all()


def test_bounds_go_where_their_numbers_go():
    high = np.arange(1, 25, dtype=np.float32).reshape(4, 2, 3) * np.ones((5, 1, 1, 1), np.float32)  # [5, 4, 2, 3]
    made = tensor_space(Box(np.zeros_like(high), high))
    assert made.shape == (6, 5, 4)
    assert made.high[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_what_is_in_place_is_not_copied():
    frames = np.zeros((2, 4, 84, 84), np.uint8)
    assert np.shares_memory(observation_tensor(Box(0, 255, (4, 84, 84), np.uint8), frames).numpy(), frames)


def test_discrete_observations_are_one_hot():
    assert observation_tensor(Discrete(3, start=5), np.array([5, 7])).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("space", [Text(5), Box(0, 1, (0,)), Box(0, 1, (3, 0))])
def test_other_spaces_are_refused(space):
    with pytest.raises(ValueError, match="is not supported"):
        tensor_space(space)
