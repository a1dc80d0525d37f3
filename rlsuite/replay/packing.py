"""Transitions as rows of numbers: the fields of one dtype lie side by side, so that a batch is gathered at once."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlsuite.agent import TensorSpec
from rlsuite.experience import Batch


class Packing:
    """The layout of a transition: one row for each dtype among its fields.

    A vector observation of D float32 numbers and a discrete action make a float32 row (observation, reward, discount,
    next observation: 2D + 2) and an int64 row (action). Images stay uint8. Nothing is converted: what comes out is
    bit for bit what went in.
    """

    def __init__(
        self,
        observation_shape: Sequence[int],
        observation_dtype: torch.dtype,
        action_shape: Sequence[int],
        action_dtype: torch.dtype,
        extras: Mapping[str, TensorSpec] | None = None,
    ) -> None:
        observation = TensorSpec(tuple(observation_shape), observation_dtype)
        self._extras = tuple(extras or ())
        kinds = {
            "observation": observation,
            "action": TensorSpec(tuple(action_shape), action_dtype),
            "reward": TensorSpec(()),
            "discount": TensorSpec(()),
            "next_observation": observation,
            **(extras or {}),
        }
        self.widths: dict[torch.dtype, int] = {}
        self._places: dict[str, tuple[torch.dtype, slice, tuple[int, ...]]] = {}
        for name, (shape, dtype) in kinds.items():
            begin = self.widths.get(dtype, 0)
            self.widths[dtype] = begin + math.prod(shape)
            self._places[name] = (dtype, slice(begin, self.widths[dtype]), shape)

    def pack(self, batch: Batch) -> list[Tensor]:
        """Rows ``[..., width]``, one tensor for each of ``widths``, of transitions with any leading axes."""
        parts: dict[torch.dtype, list[Tensor]] = {dtype: [] for dtype in self.widths}
        for name, (dtype, _, shape) in self._places.items():
            value = batch.extras[name] if name in self._extras else getattr(batch, name)
            parts[dtype].append(value.flatten(value.dim() - len(shape)) if shape else value.unsqueeze(-1))
        return [torch.cat(part, dim=-1) for part in parts.values()]

    def unpack(self, rows: Sequence[Tensor]) -> Batch:
        """The transitions back; their fields are views into ``rows``."""
        row = dict(zip(self.widths, rows, strict=True))
        values = {}
        for name, (dtype, place, shape) in self._places.items():
            value = row[dtype][..., place] if shape else row[dtype][..., place.start]
            values[name] = value.unflatten(-1, shape) if len(shape) > 1 else value
        extras = {name: values.pop(name) for name in self._extras}
        return Batch(**values, extras=extras)
