"""Things that come and go, in slots of fixed number, so that their tensors keep their shape.

A group has fields ``[N, K]``: int32 ``x`` and ``y``, bool ``right`` (it moves to the right) and ``there``, and others
of its kind. Slot 0 holds the newest: a new thing moves all others up by one, so that slots are in order of age, and
the oldest is lost where no slot is left.
"""

import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid

Group = dict[str, Tensor]


def group(state: State, kind: str) -> Group:
    """The fields of one kind, by their names without the kind."""
    prefix = f"{kind}_"
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def ungroup(kind: str, things: Group) -> State:
    """The fields as entries of a state."""
    return {f"{kind}_{name}": value for name, value in things.items()}


def inserted(things: Group, new: Group, where: Tensor) -> Group:
    """With a new thing (fields ``[N]``, zero where none is given) in slot 0, where bool ``[N]`` says so."""
    joined = {}
    for name, value in things.items():
        first = new.get(name, torch.zeros_like(value[:, 0])).to(value.dtype).unsqueeze(-1)
        joined[name] = torch.where(where.unsqueeze(-1), torch.cat((first, value[:, :-1]), dim=-1), value)
    return joined


def remove(things: Group, gone: Tensor) -> Group:
    """Without those that bool ``[N, K]`` marks."""
    return things | {"there": things["there"] & ~gone}


def advanced(things: Group, moves: Tensor) -> Group:
    """One column on in their direction where bool ``[N, K]`` says so; those that leave the grid are gone."""
    x = torch.where(moves, things["x"] + 2 * things["right"].to(torch.int32) - 1, things["x"])
    return things | {"x": x, "there": things["there"] & (x >= 0) & (x < grid.SIZE)}


def at(things: Group, x: Tensor, y: Tensor) -> Tensor:
    """Which are at a place, int32 ``[N]`` each: bool ``[N, K]``."""
    return things["there"] & (things["x"] == x.unsqueeze(-1)) & (things["y"] == y.unsqueeze(-1))


def newest(marked: Tensor) -> Tensor:
    """Only the newest of those marked in bool ``[N, K]``."""
    return marked & (marked.to(torch.int32).cumsum(-1) == 1)


def oldest(marked: Tensor) -> Tensor:
    """Only the oldest of those marked in bool ``[N, K]``."""
    return newest(marked.flip(-1)).flip(-1)
