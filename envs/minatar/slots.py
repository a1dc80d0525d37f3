"""Things that come and go, in slots of fixed number, so that their tensors keep their shape.

A slot is a bit of an integer: one int64 ``[N]`` holds one flag of all things of a kind, and a number of three bits is
three of those, lowest bit first. Rules are then a few operations on whole integers, however many slots there are;
with a number for each slot compiled code took four times as long.

Slot 0, the lowest bit, holds the newest: a new thing moves all others up by one, so that slots are in order of age,
and the oldest is lost where no slot is left.
"""

import torch
from torch import Tensor

from envs.core import State
from envs.minatar import bits

Number = tuple[Tensor, ...]
"""Planes int64 ``[N]``, lowest bit first, each with one bit a slot."""
Group = dict[str, Number]
"""The fields of the things of one kind; ``there``, ``right`` (it moves to the right), ``x`` and ``y`` and others."""
Place = tuple[Number, Number]
"""A column and a row, the same in all slots."""

BITS = {"there": 1, "right": 1, "x": 4, "y": 4, "wait": 3, "reload": 4, "shot_x": 4, "shot_there": 1}


def none(key: Tensor, fields: tuple[str, ...]) -> Tensor:
    """A group without things as it lies in a state: int64 ``[N, bits of all fields]``, plane by plane in memory."""
    return torch.zeros(sum(BITS[name] for name in fields), *key.shape, dtype=torch.int64, device=key.device).T


def group(state: State, kind: str, fields: tuple[str, ...]) -> Group:
    """The fields of one kind."""
    planes = iter(state[kind].unbind(-1))
    return {name: tuple(next(planes) for _ in range(BITS[name])) for name in fields}


def ungroup(things: Group) -> Tensor:
    """A group as it lies in a state: int64 ``[N, bits of all fields]``, plane by plane in memory."""
    return torch.stack([plane for number in things.values() for plane in number]).T


def everywhere(value: Tensor, bits: int) -> Number:
    """The same number in all slots; integers ``[N]``."""
    return tuple(-(value.to(torch.int64) >> bit & 1) for bit in range(bits))


def place(x: Tensor, y: Tensor) -> Place:
    """Integers ``[N]`` as a place to compare with."""
    return everywhere(x, BITS["x"]), everywhere(y, BITS["y"])


def place_of(things: Group, slot: int) -> Place:
    """Return the coordinates of the object in one slot."""
    x, y = (tuple(-(plane >> slot & 1) for plane in things[name]) for name in ("x", "y"))
    return x, y


def chosen(slots: Tensor, if_true: Number, if_false: Number) -> Number:
    """One number in the slots that are marked, the other in the rest."""
    return tuple((one & slots) | (other & ~slots) for one, other in zip(if_true, if_false, strict=True))


def equal(first: Number, second: Number) -> Tensor:
    """The slots in which two numbers are the same."""
    different = first[0] ^ second[0]
    for one, other in zip(first[1:], second[1:], strict=True):
        different = different | (one ^ other)
    return ~different


def is_zero(number: Number) -> Tensor:
    """The slots in which a number is zero."""
    some = number[0]
    for plane in number[1:]:
        some = some | plane
    return ~some


def stepped(number: Number, up: Tensor) -> Number:
    """One more in the slots that are marked and one less in the others, around the end of the bits there are."""
    following, carry = [], torch.full_like(up, -1)
    for plane in number:
        following.append(plane ^ carry)
        carry = carry & ~(plane ^ up)
    return tuple(following)


def inserted(things: Group, new: dict[str, Tensor], where: Tensor, slots: int) -> Group:
    """With a new thing (fields ``[N]``, zero where none is given) in slot 0, where bool ``[N]`` says so."""
    joined = {}
    for name, number in things.items():
        value = new[name].to(torch.int64) if name in new else torch.zeros_like(number[0])
        joined[name] = tuple(
            torch.where(where, ((plane << 1) | (value >> bit & 1)) & ((1 << slots) - 1), plane)
            for bit, plane in enumerate(number)
        )
    return joined


def remove(things: Group, gone: Tensor) -> Group:
    """Without those that are marked."""
    return things | {"there": (things["there"][0] & ~gone,)}


def advanced(things: Group, moves: Tensor) -> Group:
    """One column on in their direction where they are marked; those that leave the grid are gone."""
    x = chosen(moves, stepped(things["x"], things["right"][0]), things["x"])
    # Columns 10 to 15, the last of which is the one before the first.
    outside = x[3] & (x[2] | x[1])
    return remove(things | {"x": x}, outside)


def at(things: Group, where: Place) -> Tensor:
    """Return the slots whose objects are at a place."""
    return things["there"][0] & equal(things["x"], where[0]) & equal(things["y"], where[1])


def newest(marked: Tensor) -> Tensor:
    """Only the newest of those marked."""
    return bits.lowest(marked)


def oldest(marked: Tensor) -> Tensor:
    """Only the oldest of those marked."""
    return bits.highest(marked)


def numbers(number: Number, slots: int) -> Tensor:
    """A number of each slot: int32 ``[N, slots]``."""
    slot = torch.arange(slots, dtype=torch.int32, device=number[0].device)
    total = torch.zeros((), dtype=torch.int32, device=slot.device)
    for bit, plane in enumerate(number):
        total = total | (plane.to(torch.int32).unsqueeze(-1) >> slot & 1) << bit
    return total
