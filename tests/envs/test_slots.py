"""Numbers with a bit for each slot, against numbers in rows."""

import torch
from torch import Tensor

from envs.minatar import slots
from envs.minatar.slots import Number

N, SLOTS, BITS = 50, 32, 4
FIELDS = ("there", "right", "x", "y", "wait")


def _random(high: int) -> Tensor:
    return torch.randint(high, (N, SLOTS), dtype=torch.int32)


def _number(rows: Tensor, bits: int = BITS) -> Number:
    weight = 1 << torch.arange(SLOTS)
    return tuple(((rows.to(torch.int64) >> bit & 1) * weight).sum(-1) for bit in range(bits))


def _rows(number: Number) -> Tensor:
    return slots.numbers(number, SLOTS)


def _marks(planes: Tensor) -> Tensor:
    return _rows((planes,)) != 0


def test_numbers_come_back() -> None:
    rows = _random(16)
    assert torch.equal(_rows(_number(rows)), rows)


def test_arithmetic_is_that_of_numbers() -> None:
    torch.manual_seed(0)
    rows, others, up = _random(16), _random(16), _random(2)
    number, marks = _number(rows), _number(up, 1)[0]
    assert torch.equal(_rows(slots.stepped(number, marks)), (rows + 2 * up - 1) % 16)
    assert torch.equal(_marks(slots.is_zero(number)), rows == 0)
    assert torch.equal(_marks(slots.equal(number, _number(others))), rows == others)
    assert torch.equal(_rows(slots.chosen(marks, number, _number(others))), torch.where(up != 0, rows, others))
    value = torch.randint(16, (N,))
    assert torch.equal(_rows(slots.everywhere(value, BITS)), value.to(torch.int32).unsqueeze(-1).expand(N, SLOTS))


def test_newest_and_oldest() -> None:
    marks = _random(2)
    marks[0] = 0
    planes = _number(marks, 1)[0]
    newest, oldest = _marks(slots.newest(planes)), _marks(slots.oldest(planes))
    for row in range(N):
        marked = marks[row].nonzero().flatten().tolist()
        assert newest[row].nonzero().flatten().tolist() == marked[:1]
        assert oldest[row].nonzero().flatten().tolist() == marked[-1:]


def test_a_new_thing_moves_the_others_up() -> None:
    rows = {name: _random(1 << slots.BITS[name]) for name in FIELDS}
    things = {name: _number(value, slots.BITS[name]) for name, value in rows.items()}
    where = torch.arange(N) % 2 == 0
    new = {"x": torch.full((N,), 9), "there": torch.ones(N, dtype=torch.bool)}
    joined = slots.inserted(things, new, where, SLOTS)
    for name, value in rows.items():
        first = new.get(name, torch.zeros(N)).to(torch.int32).unsqueeze(-1)
        moved = torch.cat((first, value[:, :-1]), dim=-1)
        assert torch.equal(_rows(joined[name]), torch.where(where.unsqueeze(-1), moved, value)), name


def test_what_leaves_the_grid_is_gone() -> None:
    empty = {name: _number(torch.zeros(N, SLOTS), slots.BITS[name]) for name in FIELDS}
    x, right, there = _random(10), _random(2), _random(2)
    things = empty | {"x": _number(x), "right": _number(right, 1), "there": _number(there, 1)}
    moves = _random(2)
    following = slots.advanced(things, _number(moves, 1)[0])
    expected = x + (2 * right - 1) * moves
    inside = (expected >= 0) & (expected < 10) & (there != 0)
    assert torch.equal(_marks(following["there"][0]), inside)
    assert torch.equal(_rows(following["x"])[inside], expected[inside])


def test_a_group_lies_in_a_state_and_comes_back() -> None:
    things = {name: _number(_random(1 << slots.BITS[name]), slots.BITS[name]) for name in FIELDS}
    state = {"fish": slots.ungroup(things)}
    assert state["fish"].shape == slots.none(torch.zeros(N, dtype=torch.int64), FIELDS).shape
    assert state["fish"].stride() == slots.none(torch.zeros(N, dtype=torch.int64), FIELDS).stride()
    for name, number in slots.group(state, "fish", FIELDS).items():
        for plane, expected in zip(number, things[name], strict=True):
            assert torch.equal(plane, expected)
