"""Seeds of environments and episodes, hashed from the run's seed and their indices. Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Purpose = Literal["train", "evaluate", "test", "watch", "confirm"]

_PURPOSES: dict[Purpose, int] = {"train": 0, "evaluate": 1, "test": 2, "watch": 3, "confirm": 4}
_64_BITS = (1 << 64) - 1


def _mix(z: int) -> int:
    """The SplitMix64 finaliser (Steele, Lea and Flood, 2014)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return z ^ (z >> 31)


def key(seed: int, *counters: int) -> int:
    """``rlsuite.random.key`` on plain integers: 64 bits, a hash of the seed and the counters."""
    mixed = _mix((seed + 0x9E3779B97F4A7C15) & _64_BITS)
    for counter in counters:
        mixed = _mix(((mixed ^ counter) + 0x9E3779B97F4A7C15) & _64_BITS)
    return mixed


def environment_seeds(
    seeds: Sequence[int], num_envs: int, purpose: Purpose, restart: int = 0, first: int = 0
) -> list[int]:
    """Seeds of S x E environments, 63 bits, environment e of seed s at position ``s * num_envs + e``.

    Each depends on its own seed, number and purpose only, so seed 3 of 32 sees what seed 3 sees alone, and the episodes
    of training come up in no evaluation or test. ``restart`` tells the lives of a resumed run apart. Environments are
    numbered from ``first`` on.

    Raises:
        ValueError: there is no such purpose.
    """
    if purpose not in _PURPOSES:
        raise ValueError(f"unknown purpose {purpose!r}: it is one of {', '.join(_PURPOSES)}.")
    return [
        key(seed, _PURPOSES[purpose], environment, restart) >> 1
        for seed in seeds
        for environment in range(first, first + num_envs)
    ]


def check_count(seeds: Sequence[int], num_envs: int, there_are: int) -> None:
    """Check that ``there_are`` as many environments as S seeds of ``num_envs`` need.

    Raises:
        ValueError: there are not.
    """
    if there_are != len(seeds) * num_envs:
        raise ValueError(f"{len(seeds)} seeds of {num_envs} environments do not make {there_are}.")


def check_saved(state: Mapping[str, Any], seeds: Sequence[int], num_envs: int) -> None:
    """Check that ``state`` was saved with these seeds and ``num_envs`` environments of each.

    Raises:
        ValueError: it was not.
    """
    if not isinstance(state, Mapping):
        raise ValueError("the saved state is none of environments.")
    if (list(state["seeds"]), state["num_envs"]) != (list(seeds), num_envs):
        raise ValueError(
            f"the saved state has {state['num_envs']} environments of each of the seeds {state['seeds']}, "
            f"not {num_envs} of {list(seeds)}."
        )


def episode_seed(environment_seed: int, episode: int) -> int:
    """The seed of one episode: 31 bits, which every environment in the wild accepts."""
    return key(environment_seed, episode) >> 33
