"""A simulated flow of orders, with three kinds of abuse that can be put into it.

Events come by a self-exciting process (Hawkes, 1971), sampled exactly (Dassios and Zhao, 2013): their intensity is
mu + x, where x rises by alpha with each and falls by beta a second. Each is a limit order, a cancellation or a trade,
on one side, at a distance from the best price, of a size. Honest flow has its own likenesses of abuse: orders that are
cancelled at once, large orders that are traded in equal parts, and round sizes, which meet by chance. There is no book:
nothing depends on what rests.

Shapes: N windows of T events.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rlsuite import random

LIMIT, CANCEL, TRADE = range(3)
LEVELS = 5  # ticks from the best price, 0 to 4
FEATURES = 10
_LOOKED_BACK = 8  # events, for a size that was there before
_MU, _ALPHA, _BETA = 0.5, 1.0, 2.0  # events a second; half of all events are answers to others
_NEXT = ((0.5, 0.35, 0.15), (0.55, 0.35, 0.1), (0.4, 0.2, 0.4))  # of each kind, the probabilities of the next
_SAME_SIDE = 0.65
_FLEETING, _SPLIT = 0.15, 0.3  # limit orders that are cancelled at once; trades that go on with the same size
_ROUND = 0.5  # of sizes, how many are quarters of a deviation
_FARTHER = 0.55  # of a tick's orders, how many are at the next
_WARM_UP = 16  # events before a window
_PAUSE = 0.4  # how often an honest event comes between two of a scheme


class Flow(NamedTuple):
    """Events ``[N, T]``."""

    kind: Tensor  # limit, cancel or trade
    side: Tensor  # 0 buys, 1 sells
    level: Tensor  # ticks from the best price
    size: Tensor  # logarithm, in deviations from the mean
    gap: Tensor  # seconds since the event before

    def features(self) -> Tensor:
        """Numbers of about unit scale ``[N, T, 10]``; what is rare, a repeated size, is 3 where it is true.

        They are kind, side, level, size, logarithm of the gap, and whether the size is that of the event before, on the
        same side; of one up to seven before that, on the same side; and of any of these on the other side.
        """
        columns = (2.0 * self.side - 1.0, self.level / 2.0 - 0.5, self.size, self.log_gap, *self._repeated())
        return torch.cat([F.one_hot(self.kind, 3).float(), torch.stack(columns, dim=-1)], dim=-1)

    def _repeated(self) -> tuple[Tensor, Tensor, Tensor]:
        def before(values: Tensor) -> Tensor:
            """The last values before each event, ``[N, T, 8]``."""
            return F.pad(values.double(), (_LOOKED_BACK, 0), value=torch.nan).unfold(1, _LOOKED_BACK, 1)[:, :-1]

        is_equal = before(self.size) == self.size.unsqueeze(-1)
        same = before(self.side) == self.side.unsqueeze(-1)
        found = (is_equal & same)[..., -1], (is_equal & same)[..., :-1].any(dim=-1), (is_equal & ~same).any(dim=-1)
        return tuple(3.0 * each.float() for each in found)  # type: ignore[return-value]

    @property
    def log_gap(self) -> Tensor:
        return (self.gap + 1e-4).log() / 2.0


def honest(key: Tensor, events: int) -> Flow:
    """Flow for keys ``[N]``."""
    draws = random.uniform(random.fold(key, 0), events + _WARM_UP, 6)
    sizes = random.normal(random.fold(key, 1), events + _WARM_UP)
    is_round = random.uniform(random.fold(key, 2), events + _WARM_UP) < _ROUND
    sizes = torch.where(is_round, (4.0 * sizes).round() / 4.0, sizes)
    likely = torch.tensor(_NEXT, device=key.device).cumsum(dim=1)
    kind, side, level = (torch.zeros_like(key) for _ in range(3))
    size, excitement = torch.zeros_like(draws[:, 0, 0]), torch.full_like(draws[:, 0, 0], _ALPHA)
    found = []
    for event in range(events + _WARM_UP):
        first, second, of_kind, of_side, of_level, of_habit = draws[:, event].unbind(dim=-1)
        # The next event is an answer, if there is one to come, or one of its own accord, whichever is first.
        answer = 1.0 + _BETA * (1.0 - first).log() / excitement
        answered = torch.where(answer > 0.0, -answer.clamp(min=1e-30).log() / _BETA, math.inf)
        gap = torch.minimum(answered, -(1.0 - second).log() / _MU)
        excitement = excitement * (-_BETA * gap).exp() + _ALPHA
        fleeting = (kind == LIMIT) & (of_habit < _FLEETING)
        split = (kind == TRADE) & (of_habit < _SPLIT)
        same = fleeting | split
        drawn = (of_kind.unsqueeze(1) > likely[kind]).sum(dim=1).clamp(max=TRADE)
        kind = torch.where(fleeting, CANCEL, torch.where(split, TRADE, drawn))
        side = torch.where(same | (of_side < _SAME_SIDE), side, 1 - side)
        distance = ((1.0 - of_level).log() / math.log(_FARTHER)).long().clamp(max=LEVELS - 1)
        level = torch.where(same, level, torch.where(kind == TRADE, 0, distance))
        size = torch.where(same, size, sizes[:, event])
        found.append((kind, side, level, size, gap))
    return Flow(*(torch.stack(column[_WARM_UP:], dim=1) for column in map(list, zip(*found, strict=True))))


def spoofing(key: Tensor, events: int) -> Flow:
    """Four large orders, a layer at each tick behind the best; two trades on the other side; and all are cancelled."""
    side = random.integers(random.fold(key, 10), 2, 1)
    large = 2.0 + 0.5 * random.normal(random.fold(key, 11), 4)
    traded = random.normal(random.fold(key, 12), 2)
    kinds = [LIMIT] * 4 + [TRADE] * 2 + [CANCEL] * 4
    levels = [1, 2, 3, 4, 0, 0, 4, 3, 2, 1]
    sides = torch.cat([side.expand(-1, 4), (1 - side).expand(-1, 2), side.expand(-1, 4)], dim=1)
    sizes = torch.cat([large, traded, large.flip(1)], dim=1)
    return _with_scheme(key, events, kinds, sides, _rows(levels, key), sizes, haste=0.3)


def stuffing(key: Tensor, events: int) -> Flow:
    """Quote stuffing: twelve times, an order of one size at one place and its cancellation, in quick succession."""
    side = random.integers(random.fold(key, 10), 2, 1)
    level = random.integers(random.fold(key, 11), LEVELS, 1)
    size = random.normal(random.fold(key, 12), 1)
    side, level, size = (column.expand(-1, 24) for column in (side, level, size))
    return _with_scheme(key, events, [LIMIT, CANCEL] * 12, side, level, size, haste=0.2)


def wash_trades(key: Tensor, events: int) -> Flow:
    """Eight trades of one size, in turn on both sides: somebody trades with himself."""
    side = (random.integers(random.fold(key, 10), 2, 1) + torch.arange(8, device=key.device)) % 2
    size = random.normal(random.fold(key, 11), 1).expand(-1, 8)
    return _with_scheme(key, events, [TRADE] * 8, side, _rows([0] * 8, key), size, haste=1.0)


SCHEMES: dict[str, Callable[[Tensor, int], Flow]] = {
    "spoofing": spoofing,
    "quote stuffing": stuffing,
    "wash trades": wash_trades,
}


def _rows(values: list[int], key: Tensor) -> Tensor:
    return torch.tensor(values, device=key.device).expand(len(key), -1)


def _with_scheme(
    key: Tensor, events: int, kinds: list[int], side: Tensor, level: Tensor, size: Tensor, haste: float
) -> Flow:
    """Honest flow in which some events, with now and then another between them, are those of a scheme ``[N, K]``.

    Their gaps are shorter by the factor ``haste``.

    Raises:
        ValueError: a window is too short for the scheme.
    """
    flow, length = honest(key, events), len(kinds)
    pauses = (random.uniform(random.fold(key, 20), length) < _PAUSE).long()
    places = torch.arange(length, device=key.device) + pauses.cumsum(dim=1)
    room = events - int(places.max())
    if room < 1:
        raise ValueError(f"windows of {events} events are too short for a scheme of {length}: make them longer")
    places = places + random.integers(random.fold(key, 21), room, 1)
    return Flow(
        flow.kind.scatter(1, places, _rows(kinds, key)),
        flow.side.scatter(1, places, side),
        flow.level.scatter(1, places, level),
        flow.size.scatter(1, places, size),
        flow.gap.scatter(1, places, haste * flow.gap.gather(1, places)),
    )
