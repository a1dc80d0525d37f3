"""Split, join and select per-seed states: tensors have a row for each seed, plain numbers belong to all."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def check_seeds_axis(state: Any, seeds: int, name: str = "state") -> None:
    """Check that every tensor of a learner's state has a row for each seed.

    Raises:
        ValueError: a tensor without a row a seed, by name.
    """
    if isinstance(state, dict):
        for key, entry in state.items():
            check_seeds_axis(entry, seeds, f"{name}/{key}")
    elif isinstance(state, Tensor) and state.shape[:1] != (seeds,):
        raise ValueError(f"{name} has shape {tuple(state.shape)}: its first axis must be that of the {seeds} seeds")


def seeds_of(state: Mapping[str, Any]) -> int | None:
    """The number of seeds of a learner's state; None where it has no tensors."""
    for entry in state.values():
        found = seeds_of(entry) if isinstance(entry, Mapping) else len(entry) if isinstance(entry, Tensor) else None
        if found is not None:
            return found
    return None


def select_seeds(take_new: Tensor, new: Any, old: Any) -> Any:
    """A state whose row k is ``new``'s where ``take_new[k]`` (bool ``[S]``), else ``old``'s; the rest is ``new``'s."""
    if isinstance(new, dict):
        return {name: select_seeds(take_new, entry, old[name]) for name, entry in new.items()}
    if not isinstance(new, Tensor):
        return new
    mask = take_new.to(new.device).view(-1, *[1] * (new.dim() - 1))
    return torch.where(mask, new, old.to(new.device))


def join_seeds(states: Sequence[Any]) -> Any:
    """One state of all seeds from those of groups of seeds; plain numbers are the first one's."""
    first = states[0]
    if isinstance(first, dict):
        return {name: join_seeds([state[name] for state in states]) for name in first}
    return torch.cat(list(states)) if isinstance(first, Tensor) else first


def without_seeds(state: Any) -> dict[str, Any]:
    """The plain numbers of a state: they may differ between groups of seeds that have not come equally far."""
    rest: dict[str, Any] = {}
    for name, entry in state.items():
        if isinstance(entry, dict):
            rest[name] = without_seeds(entry)
        elif not isinstance(entry, Tensor):
            rest[name] = entry
    return rest


def with_rest(state: Any, rest: Any) -> Any:
    """A state whose entries are those of ``rest`` wherever this has them."""
    if not isinstance(rest, dict):
        return rest
    return state | {name: with_rest(state.get(name), entry) for name, entry in rest.items()}


def split_seeds(state: Any, sizes: Sequence[int]) -> list[Any]:
    """The opposite of ``join_seeds``: a state for each group of ``sizes`` seeds."""
    if isinstance(state, dict):
        pieces = {name: split_seeds(entry, sizes) for name, entry in state.items()}
        return [{name: piece[k] for name, piece in pieces.items()} for k in range(len(sizes))]
    return list(state.split(list(sizes))) if isinstance(state, Tensor) else [state] * len(sizes)


def even_split(count: int, parts: int) -> list[range]:
    """The numbers below ``count`` in ``parts`` stretches as equal as can be."""
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)]
