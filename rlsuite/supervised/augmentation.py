"""Changed copies of pictures: turned, shifted, scaled and mirrored, each by chances of its own."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite import random
from rlsuite.supervised.classification import Examples

Augment = Callable[[Examples, Tensor], Examples]


def transformed(
    degrees: float = 0.0, shift_pixels: float = 0.0, scale: float = 0.0, is_mirrored: bool = False
) -> Augment:
    """A change of pictures ``[S, B, C, H, W]``: each draws its angle, shift and size evenly from a range around none.

    Args:
        degrees: an angle is within plus and minus so much.
        shift_pixels: a shift along each axis is within plus and minus so much.
        scale: a size is within 1 plus and minus so much.
        is_mirrored: every other picture is mirrored left to right.
    """

    def augment(batch: Examples, keys: Tensor) -> Examples:
        pictures = batch.inputs
        height, width = pictures.shape[-2:]
        draws = random.uniform(keys, 5, pictures.shape[1]).to(pictures.device)
        angle, right, down, size, side = (2.0 * draws - 1.0).unbind(1)  # each [S, B], in [-1, 1)
        mirror = torch.where(side < 0.0, -1.0, 1.0) if is_mirrored else torch.ones_like(side)
        matrix = affine(
            degrees * angle, 2.0 * shift_pixels * right / width, 2.0 * shift_pixels * down / height, 1.0 + scale * size
        )
        matrix = matrix * torch.stack([mirror, torch.ones_like(mirror), torch.ones_like(mirror)], dim=-1).unsqueeze(-2)
        return Examples(sampled(pictures.flatten(0, 1), matrix.flatten(0, 1)).view_as(pictures), batch.labels)

    return augment


def affine(degrees: Tensor, right: Tensor, down: Tensor, size: Tensor) -> Tensor:
    """Matrices ``[..., 2, 3]`` that say for each place of the new picture where in the old one it is.

    Places are from -1 to 1 along each axis. The picture turns anticlockwise by ``degrees``, its content grows by
    ``size`` and moves ``right`` and ``down``.
    """
    radians = torch.deg2rad(degrees)
    cos, sin = radians.cos() / size, radians.sin() / size
    rows = [torch.stack([cos, -sin, -(cos * right - sin * down)], dim=-1)]
    rows.append(torch.stack([sin, cos, -(sin * right + cos * down)], dim=-1))
    return torch.stack(rows, dim=-2)


def sampled(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Pictures ``[N, C, H, W]`` seen through matrices ``[N, 2, 3]``; outside is zero."""
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def turned(pictures: Tensor, degrees: float) -> Tensor:
    """Pictures ``[N, C, H, W]`` turned anticlockwise; exact where the angle is a multiple of 90."""
    quarters = degrees / 90.0
    if math.isclose(quarters, round(quarters)):
        return torch.rot90(pictures, round(quarters), dims=(-2, -1))
    angle = torch.full((len(pictures),), degrees, device=pictures.device)
    zero = torch.zeros_like(angle)
    return sampled(pictures, affine(angle, zero, zero, torch.ones_like(angle)))
