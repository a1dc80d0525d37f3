"""Counter-based random numbers: a pure function of (seed, stream, step, draw), never of what was drawn before.

The same numbers come out on the CPU and on CUDA, eager, compiled or captured, and seed 3 of 32 draws exactly what
seed 3 draws alone. There is no generator state to save: the counters are the state.

Keys are 64 bits wide, so that billions of them do not meet. The draws of a key are hashed in 32 bits: vector units
multiply 32-bit integers natively and 64-bit integers not at all.
"""

import math

import torch
from torch import Tensor

from rlsuite.compiling import materialised

_PROPOSALS = 8


def _signed(constant: int, bits: int) -> int:
    # torch has no arithmetic on unsigned integers, so constants are written as their two's complement.
    return constant - (1 << bits) if constant >> (bits - 1) else constant


# SplitMix64 (Steele, Lea and Flood, 2014).
_GOLDEN_64 = _signed(0x9E3779B97F4A7C15, 64)
_MIX_64 = (_signed(0xBF58476D1CE4E5B9, 64), _signed(0x94D049BB133111EB, 64))
# The 32-bit hash with the least bias known (Wellons' hash-prospector, the constants of 2022).
_GOLDEN_32 = _signed(0x9E3779B9, 32)
_MIX_32 = (_signed(0x21F0AAAD, 32), _signed(0xD35A2D97, 32))


def _shift_right(z: Tensor, bits: int) -> Tensor:
    # torch shifts signed integers arithmetically; without the mask the sign would be smeared into the high bits.
    return (z >> bits) & ((1 << (torch.iinfo(z.dtype).bits - bits)) - 1)


def _mix_64(z: Tensor) -> Tensor:
    """The SplitMix64 finaliser: a bijection of 64 bits in which every input bit moves every output bit."""
    z = (z ^ _shift_right(z, 30)) * _MIX_64[0]
    z = (z ^ _shift_right(z, 27)) * _MIX_64[1]
    return z ^ _shift_right(z, 31)


def key(seed: Tensor, *counters: Tensor | int) -> Tensor:
    """A key for each seed (int64, any shape), made distinct by counters: ``key(seed, stream, step)``.

    Counters are integers or integer tensors that broadcast against ``seed``. Bring the seeds into a compiled region as
    a tensor: a range made inside one is an index to the compiler, whose arithmetic differs (torch 2.13, CPU).
    """
    return materialised(fold(_mix_64(seed + _GOLDEN_64), *counters))


def fold(key: Tensor, *counters: Tensor | int) -> Tensor:
    """A new key from a key and counters; ``key(seed, a, b)`` is ``fold(key(seed), a, b)``."""
    for counter in counters:
        key = _mix_64((key ^ counter) + _GOLDEN_64)
    return key


def _hash(key: Tensor, offset: Tensor | int) -> Tensor:
    """32 random bits (int32) for each key, made distinct by offsets that are multiples of the golden number."""
    z = key.to(torch.int32) + offset
    z = (z ^ _shift_right(z, 16)) * _MIX_32[0]
    # The other half of the key, already random, joins midway: keys with equal low halves still part.
    z = (z ^ _shift_right(z, 15) ^ (key >> 32).to(torch.int32)) * _MIX_32[1]
    return z ^ _shift_right(z, 15)


def _bits(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    """32 random bits for each of ``prod(shape)`` draws of each key: ``[*key.shape, *shape]`` int32."""
    # What the compiler makes of a product with the index: for CPUs a product in C++, whose overflow in 32 bits would be
    # undefined; for CUDA one in 32 bits whatever is asked for, whose overflow is defined and whose constants must fit.
    draws = torch.arange(1, math.prod(shape) + 1, device=key.device)
    if key.device.type == "cuda":
        offset = draws.to(torch.int32) * _GOLDEN_32
    else:
        offset = ((draws * 0x9E3779B9) & 0xFFFFFFFF).to(torch.int32)
    return _hash(key.unsqueeze(-1), offset).reshape(*key.shape, *shape)


def _to_uniform(bits: Tensor) -> Tensor:
    return _shift_right(bits, 8).to(torch.float32) * 2.0**-24


def uniform(key: Tensor, *shape: int) -> Tensor:
    """Uniform float32 numbers in [0, 1), shape ``[*key.shape, *shape]``; 24 bits each, so that none rounds to 1."""
    return _to_uniform(_bits(key, shape))


def uniforms(key: Tensor, count: int) -> tuple[Tensor, ...]:
    """``uniform(key, count)`` taken apart: ``count`` tensors of the shape of ``key``."""
    if torch.compiler.is_compiling():
        # One draw after the other fuses with what uses them, and the key is mixed once instead of once a draw.
        offsets = (_signed(draw * (_GOLDEN_32 % 2**32) % 2**32, 32) for draw in range(1, count + 1))
        return tuple(_to_uniform(_hash(key, offset)) for offset in offsets)
    return uniform(key, count).unbind(-1)


def integers(key: Tensor, high: Tensor | int, *shape: int) -> Tensor:
    """Uniform int64 numbers in [0, high), shape ``[*key.shape, *shape]``; ``high <= 2**31`` broadcasts against it.

    The bias of multiply-and-shift is below high / 2**32 (Lemire, 2019).
    """
    return ((_bits(key, shape).to(torch.int64) & 0xFFFFFFFF) * high) >> 32


def normal(key: Tensor, *shape: int) -> Tensor:
    """Standard normal float32 numbers, shape ``[*key.shape, *shape]`` (Box and Muller, 1958)."""
    radius, angle = _shift_right(_bits(key, (2, *shape)), 8).to(torch.float32).unbind(key.dim())
    # (0, 1] for the radius, so that the logarithm is finite.
    return torch.sqrt(-2.0 * torch.log((radius + 1.0) * 2.0**-24)) * torch.cos(angle * (2.0 * math.pi * 2.0**-24))


def dirichlet(key: Tensor, concentration: float, among: Tensor) -> Tensor:
    """Symmetric Dirichlet vectors over the entries that ``among`` marks: float32, shape of ``among`` (bool).

    ``key`` has its leading axes. Normalised gamma numbers, drawn by rejection (Marsaglia and Tsang, 2000), which takes
    more than the ``_PROPOSALS`` that are made once in a billion times; then the last is taken.
    """
    shape = among.shape[key.dim() :]
    scale = concentration + 2.0 / 3.0  # of a gamma number whose shape is greater by 1
    x = normal(fold(key, 0), _PROPOSALS, *shape)
    cubed = (1.0 + x / math.sqrt(9.0 * scale)) ** 3
    log_cubed = cubed.clamp(min=2.0**-126).log()
    chance = (uniform(fold(key, 1), _PROPOSALS, *shape) + 2.0**-25).log()
    accepted = (cubed > 0) & (chance < 0.5 * x.square() + scale * (1.0 - cubed + log_cubed))
    first = accepted.to(torch.uint8).argmax(dim=key.dim(), keepdim=True)
    log_gamma = log_cubed.gather(key.dim(), first).squeeze(key.dim())
    # To the wanted shape, in logarithms: numbers of small concentrations are below what float32 can hold.
    log_gamma = log_gamma + (uniform(fold(key, 2), *shape) + 2.0**-25).log() / concentration
    return torch.where(among, log_gamma, float("-inf")).softmax(dim=-1)
