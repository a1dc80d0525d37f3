"""Learner states by seed: every tensor of a nested state whose leading axis is that of the S seeds has a row a seed.

Everything else, counters say, belongs to all seeds.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def select_rows(take_new: Tensor, new: Any, old: Any) -> Any:
    """A state whose row k is ``new``'s where ``take_new[k]`` (bool ``[S]``), else ``old``'s; the rest is ``new``'s."""
    if isinstance(new, dict):
        return {name: select_rows(take_new, entry, old[name]) for name, entry in new.items()}
    if not _has_rows(new, len(take_new)):
        return new.clone() if isinstance(new, Tensor) else new
    mask = take_new.to(new.device).view(-1, *[1] * (new.dim() - 1))
    return torch.where(mask, new, old.to(new.device))


def join_rows(states: Sequence[Any], sizes: Sequence[int]) -> Any:
    """One state of all seeds from those of tiles with ``sizes`` seeds; the rest is the first one's."""
    first = states[0]
    if isinstance(first, dict):
        return {name: join_rows([state[name] for state in states], sizes) for name in first}
    return torch.cat(list(states)) if _has_rows(first, sizes[0]) else first


def without_rows(state: Any, seeds: int) -> dict[str, Any]:
    """What ``join_rows`` takes of the first state only: it may differ between tiles that have not come equally far."""
    rest: dict[str, Any] = {}
    for name, entry in state.items():
        if isinstance(entry, dict):
            rest[name] = without_rows(entry, seeds)
        elif not _has_rows(entry, seeds):
            rest[name] = entry
    return rest


def with_rest(state: Any, rest: Any) -> Any:
    """A state whose entries are those of ``rest`` wherever this has them."""
    if not isinstance(rest, dict):
        return rest
    return state | {name: with_rest(state.get(name), entry) for name, entry in rest.items()}


def split_rows(state: Any, sizes: Sequence[int]) -> list[Any]:
    """The opposite of ``join_rows``: a state for each tile."""
    if isinstance(state, dict):
        pieces = {name: split_rows(entry, sizes) for name, entry in state.items()}
        return [{name: piece[k] for name, piece in pieces.items()} for k in range(len(sizes))]
    return list(state.split(list(sizes))) if _has_rows(state, sum(sizes)) else [state] * len(sizes)


def _has_rows(entry: Any, seeds: int) -> bool:
    return isinstance(entry, Tensor) and entry.dim() > 0 and len(entry) == seeds


def equal_shares(count: int, parts: int) -> list[range]:
    """The numbers below ``count`` in ``parts`` stretches as equal as can be."""
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)]
