"""Parts common to the MinAtar games: a 10 x 10 grid, six actions, sticky actions, observations and pictures.

Differences to the published games: an episode begins with the action "nothing" as the one that may stick, so that it
does not depend on the episode before; observations are uint8, 0 or 255, channels first, as images are everywhere else.
"""

import colorsys

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

SIZE = 10
ALL_COLUMNS = (1 << SIZE) - 1  # a row with something everywhere, as bits
NOTHING, LEFT, UP, RIGHT, DOWN, FIRE = range(6)
ACTION_SPACE = Discrete(6)
MAX_EPISODE_STEPS = 10_000  # a safety net: the published games have no limit
RENDER_FPS = 15
_PIXELS = 32  # of a cell in a picture


def observation_space(channels: int) -> Box:
    return Box(0, 255, (channels, SIZE, SIZE), np.uint8)


def sticky(action: Tensor, last_action: Tensor, chance: Tensor, probability: float) -> Tensor:
    """The action that is carried out: the last one again where ``chance``, uniform in [0, 1), says so."""
    return torch.where(chance < probability, last_action, action.to(last_action.dtype))


def moved(
    coordinate: Tensor, action: Tensor, backward: int, forward: int, low: int = 0, high: int = SIZE - 1
) -> Tensor:
    """The coordinate one further where the action is ``forward`` and one less where it is ``backward``."""
    step = (action == forward).to(coordinate.dtype) - (action == backward).to(coordinate.dtype)
    return (coordinate + step).clamp(low, high)


def counted_down(timer: Tensor) -> Tensor:
    """One less, but not below zero."""
    return (timer - 1).clamp(min=0)


def cells(channel: int, y: Tensor | int, x: Tensor, there: Tensor | None = None) -> Tensor:
    """The numbers of cells of an observation, int32 ``[N, K]``; -1 for what is outside of the grid or not ``there``."""
    seen = (x >= 0) & (x < SIZE)
    if there is not None:
        seen = seen & there
    return torch.where(seen, (channel * SIZE + y) * SIZE + x, -1)


def draw(channels: int, *marks: Tensor) -> Tensor:
    """An observation uint8 ``[N, channels, 10, 10]`` that is 255 at the cells of those numbers, int32 ``[N, K]`` each.

    Marks are written one by one: to ask of every cell whether it is marked would take a hundred times the work.
    """
    numbers = torch.cat(marks, dim=-1)
    size = channels * SIZE**2
    first = torch.arange(len(numbers), device=numbers.device).unsqueeze(-1) * size
    # What is not to be seen goes to one cell more, beyond the last.
    places = torch.where(numbers >= 0, first + numbers, len(numbers) * size).flatten()
    flat = torch.zeros(len(numbers) * size + 1, dtype=torch.uint8, device=numbers.device)
    return flat.scatter(0, places, 255)[:-1].view(len(numbers), channels, SIZE, SIZE)


def columns(like: Tensor) -> Tensor:
    """0 to 9 on the device and in the type of ``like``."""
    return torch.arange(SIZE, dtype=like.dtype, device=like.device)


def picture(observation: Tensor) -> np.ndarray:
    """An observation ``[C, 10, 10]`` as an RGB image of 320 x 320, one colour a channel, the first channels on top."""
    channels = observation.numpy() > 0
    cells = np.full((SIZE, SIZE, 3), 18, np.uint8)
    for index in reversed(range(len(channels))):
        hue = (0.55 + index / len(channels)) % 1.0
        cells[channels[index]] = [int(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, 0.95)]
    frame = cells.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)
    frame[::_PIXELS] = frame[:, ::_PIXELS] = 36  # thin lines between the cells
    return frame
