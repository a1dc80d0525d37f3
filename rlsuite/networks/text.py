"""Convolutions over sentences: wide ones, and pooling that keeps as many values as the sentence is long.

A sentence is a row of word numbers ``[T]``; number 0 is no word and fills short sentences up. It changes nothing.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite.networks.modes import Dropout

NO_WORD = 0


def k_max(x: Tensor, lengths: Tensor, k: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each channel, in the order in which they stand (Kalchbrenner et al., 2014).

    Args:
        x: ``[B, C, T]``, of which only the first ``lengths`` ``[B]`` of each sentence count.
        lengths: int64 ``[B]``.
        k: how many to keep of each sentence, int64 ``[B]``.
        most: at least the largest ``k``.

    Returns:
        The values ``[B, C, most]``, zero after the last, and their number ``[B]``: k, or less in a shorter sentence.
    """
    steps = x.shape[-1]
    counts = torch.minimum(k, lengths)
    there = torch.arange(steps, device=x.device) < lengths.unsqueeze(1)
    places = x.masked_fill(~there.unsqueeze(1), -math.inf).topk(min(most, steps), dim=-1).indices
    is_kept = torch.arange(places.shape[-1], device=x.device) < counts.unsqueeze(1)
    places = places.masked_fill(~is_kept.unsqueeze(1), steps).sort(dim=-1).values
    values = F.pad(x, (0, 1)).gather(-1, places)  # the place after the last holds a zero
    return F.pad(values, (0, most - values.shape[-1])), counts


class DynamicConvolutions(nn.Module):
    """Word vectors and layers of wide convolution, folding and k-max pooling: ``[B, T]`` to ``[B, features, top]``.

    Each dimension of the word vectors has filters of its own. Folding adds neighbouring dimensions in pairs. Layer l of
    L keeps max(top, ceil((L - l) / L * length)) values, the last one ``top``. Zero as bias and tanh come after pooling,
    so that where there is nothing, nothing comes out.

    Args:
        words: known ones, number 0 included.
        dimension: of the word vectors, divisible by 2 for each layer if folded.
        widths: of the filters of each layer, in words.
        maps: feature maps of each layer.
        top: values that the last layer keeps.
        is_folded: whether to fold.
    """

    def __init__(
        self, words: int, dimension: int, widths: Sequence[int], maps: Sequence[int], top: int, is_folded: bool = True
    ) -> None:
        super().__init__()
        self.widths, self.top, self.is_folded = tuple(widths), top, is_folded
        self.vectors = nn.Embedding(words, dimension)
        nn.init.normal_(self.vectors.weight, std=0.3)
        self.convolutions = nn.ModuleList()
        rows, inputs = dimension, 1
        for width, outputs in zip(widths, maps, strict=True):
            self.convolutions.append(
                nn.Conv1d(rows * inputs, rows * outputs, width, padding=width - 1, groups=rows, bias=False)
            )
            rows = rows // 2 if is_folded else rows
            inputs = outputs
        self.features = rows * inputs

    def forward(self, words: Tensor) -> Tensor:
        lengths = (words != NO_WORD).sum(dim=1)
        sentence, steps = lengths, words.shape[1]
        x = (self.vectors(words) * (words != NO_WORD).unsqueeze(-1)).mT
        layers = len(self.widths)
        for layer, (convolution, width) in enumerate(zip(self.convolutions, self.widths, strict=True), start=1):
            x = convolution(x)
            lengths = lengths + width - 1
            if self.is_folded:
                assert isinstance(convolution, nn.Conv1d)
                maps = convolution.out_channels // convolution.groups
                x = x.unflatten(1, (-1, 2, maps)).sum(dim=2).flatten(1, 2)
            left = layers - layer
            k = torch.div(sentence * left + layers - 1, layers, rounding_mode="floor").clamp(min=self.top)
            x, lengths = k_max(x, lengths, k, max(self.top, -(-steps * left // layers)))
            x = torch.tanh(x)
        return x


def dcnn(
    words: int,
    classes: int,
    dimension: int = 48,
    widths: Sequence[int] = (7, 5),
    maps: Sequence[int] = (6, 14),
    top: int = 4,
    is_folded: bool = True,
    dropout: float = 0.5,
) -> nn.Sequential:
    """Sentences ``[B, T]`` to logits ``[B, classes]`` (Kalchbrenner et al., 2014; their numbers by default)."""
    body = DynamicConvolutions(words, dimension, widths, maps, top, is_folded)
    return nn.Sequential(body, nn.Flatten(), Dropout(dropout), nn.Linear(body.features * top, classes))
