"""Run networks at a lower precision, on processors that are quicker at it."""

from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]


class Bfloat16(nn.Module):
    """``module`` with convolutions and matrix products in bfloat16. Parameters and outputs are float32.

    bfloat16 has float32's range and 8 of its 24 significant bits. Processors that can multiply in it do so two to four
    times as fast, others several times more slowly: see ``has_bfloat16``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, observation: Tensor) -> Tensor:
        with rounding(observation.device):
            return self.module(observation).float()


def rounding(device: torch.device) -> torch.autocast:
    """A context in which convolutions and products are taken in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a processor multiplies in bfloat16 itself: x86 with AVX512_BF16, NVIDIA from Ampere on."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
