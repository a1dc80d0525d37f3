"""Check saved states in full against the states that they replace, before any of it is copied.

A state is a nested dictionary of tensors and plain values. ``copy_`` alone would broadcast another shape and round
another dtype in silence; what is saved here has to be what is there, name by name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_COUNTS_END = 2**63
_ONCE_FLOATS = ("updates", "draws")  # counts that checkpoints had as float32 until November 2026


class StateError(ValueError):
    """A saved state does not fit what it is to replace; the message names the entry."""


def restore(own: Mapping[str, Any], saved: Any, name: str = "") -> None:
    """Copy every tensor of ``saved`` into the tensor of that name in ``own``; plain values are the caller's to take.

    Raises:
        StateError: see ``check``; nothing has been copied then.
    """
    check(own, saved, name)
    _copy(own, saved)


def dotted(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by names with dots for slashes, which part the levels of a state when it is written."""
    return {name.replace("/", "."): tensor for name, tensor in tensors.items()}


def check(own: Any, saved: Any, name: str = "") -> None:
    """Check that ``saved`` has exactly the names, types, shapes and dtypes of ``own``.

    Integers are counts: not negative, and small enough for a tensor. Floats are finite.

    Raises:
        StateError: it has not.
    """
    if isinstance(own, Tensor):
        was = own.dtype == torch.int64 and name.endswith(_ONCE_FLOATS) and isinstance(saved, Tensor)
        check_tensor(saved.long() if was and saved.dtype == torch.float32 else saved, own.shape, own.dtype, name)
    elif isinstance(own, Mapping):
        _check_names(own, saved, name)
        for key, entry in own.items():
            check(entry, saved[key], f"{name}/{key}" if name else key)
    elif isinstance(own, list):
        if not isinstance(saved, list) or len(saved) != len(own):
            raise StateError(f"{name} is not a list of {len(own)}, but {_described(saved)}")
        for entry, found in zip(own, saved, strict=True):
            check(entry, found, name)
    elif isinstance(own, bool) or not isinstance(own, int | float):
        if type(saved) is not type(own):
            raise StateError(f"{name} is not of type {type(own).__name__}, but {_described(saved)}")
    elif isinstance(own, int):
        if type(saved) is not int or not 0 <= saved < _COUNTS_END:
            raise StateError(f"{name} is not a count, but {_described(saved)}")
    elif type(saved) not in (int, float) or not math.isfinite(saved):
        raise StateError(f"{name} is not a number, but {_described(saved)}")


def check_tensor(saved: Any, shape: Sequence[int | None], dtype: torch.dtype, name: str) -> None:
    """Check that ``saved`` is a tensor of that dtype and shape, in which ``None`` stands for any length.

    Raises:
        StateError: it is not.
    """
    fits = (
        isinstance(saved, Tensor)
        and saved.dtype == dtype
        and saved.dim() == len(shape)
        and all(wanted in (None, found) for wanted, found in zip(shape, saved.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise StateError(f"{name} is {_described(saved)}, where {_short(dtype)} [{wanted}] is wanted")


def check_counts(saved: Tensor, name: str) -> None:
    """Check that all numbers of an int64 tensor are counts.

    Raises:
        StateError: some are negative, or so large that they can be no count.
    """
    if saved.numel() and not 0 <= int(saved.min()) <= int(saved.max()) < _COUNTS_END // 2:
        raise StateError(f"{name} has numbers that are no counts, {int(saved.min())} to {int(saved.max())}")


def map_tensors(function: Callable[[Tensor], Any], state: Any) -> Any:
    """The nested state with every tensor replaced by what ``function`` makes of it."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {name: map_tensors(function, entry) for name, entry in state.items()}
    return state


def _check_names(own: Mapping[str, Any], saved: Any, name: str) -> None:
    if not isinstance(saved, Mapping):
        raise StateError(f"{name or 'the state'} has no entries, but is {_described(saved)}")
    place = f" in {name}" if name else ""
    if missing := own.keys() - saved.keys():
        raise StateError(f"{min(missing)} is missing{place}")
    if unknown := saved.keys() - own.keys():
        raise StateError(f"there is an unknown {min(unknown)[:40]!r}{place}")


def _copy(own: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    for key, entry in own.items():
        if isinstance(entry, Tensor):
            entry.copy_(saved[key])
        elif isinstance(entry, Mapping):
            _copy(entry, saved[key])


def _described(saved: Any) -> str:
    if isinstance(saved, Tensor):
        return f"{_short(saved.dtype)} {list(saved.shape)}"
    if isinstance(saved, Mapping):
        return f"{len(saved)} entries"
    if type(saved) is int and abs(saved) >= _COUNTS_END:
        return "a number beyond 64 bits"
    text = repr(saved)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
