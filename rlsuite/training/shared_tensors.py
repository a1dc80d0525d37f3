"""Tensors in memory that processes share, so that nothing large is sent."""

import math
from collections.abc import Mapping
from multiprocessing import get_context

import numpy as np
import torch
from torch import Tensor

from rlsuite.agent import TensorSpec

_ALIGNMENT = 64


class SharedTensors:
    """Some copies of named tensors, zeros at first. Processes are given them as they start.

    The memory has no name that could be left behind: it goes with the last process that has it.
    """

    def __init__(self, specs: Mapping[str, TensorSpec], copies: int) -> None:
        self._places: dict[str, tuple[int, int, TensorSpec]] = {}
        self._stride = 0
        for name, spec in specs.items():
            nbytes = math.prod(spec.shape) * spec.dtype.itemsize
            self._places[name] = (self._stride, nbytes, spec)
            self._stride += -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        self._memory = get_context("spawn").RawArray("B", max(self._stride, 1) * copies)

    def copy(self, number: int) -> dict[str, Tensor]:
        """The tensors of a copy, in the shared memory."""
        memory, first = np.frombuffer(self._memory, dtype=np.uint8), number * self._stride
        return {
            name: torch.from_numpy(memory[first + begin : first + begin + nbytes]).view(spec.dtype).view(spec.shape)
            for name, (begin, nbytes, spec) in self._places.items()
        }
