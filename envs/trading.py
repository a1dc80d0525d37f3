"""Trading: hold cash or one asset, long or short, day by day, on simulated or real prices."""

from collections.abc import Callable

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs import price_paths
from envs.core import State
from envs.market_picture import begin, draw, record

_SEEN = 10  # daily returns
_SPANS = (20, 60)  # days of longer returns; the longest is how far back is seen
_NEW_COLUMNS = 4  # volatility, position, drawdown, time left


class Trading:
    """The action is the share of one's wealth to hold in the asset for the next day; below 0 it is sold short.

    Trades are made at the close that was seen last, and cost a share of what they move; cash earns nothing. The reward
    is the logarithm of the wealth's growth, in percent, so that returns add up to that of the whole episode: whoever
    maximises its mean is the investor of Kelly (1956).

    What lies ahead is drawn when an episode begins, but nothing of it is seen or earned before its day has come.

    State: ``returns`` ``[N, 60 + days]``, the asset's log returns of 60 days before the episode and of its own;
    ``step``; ``price`` (1 at first), ``cash``, ``shares``, ``peak`` of the wealth and ``worst`` drawdown so far,
    ``[N]`` float64; ``lines`` for the picture.
    Observation: the last 10 daily returns in deviations of a usual day, those of 20 and 60 days in theirs, the
    volatility of 20 days (0 where it is usual), position, drawdown and time left.

    Args:
        prices: ``gbm`` (drift 5 % and volatility 20 % a year), ``mean-reverting`` (half-life 10 days), ``sp500``,
            ``oil`` (until it was negative, in 2020) or ``gold`` (1977 to 2012).
        split: of real prices, ``train`` for the first four fifths of the days, ``test`` for the others.
        cost: of a trade, as a share of what it moves.
        low, high: least and greatest share of the wealth to hold.
        days: of an episode.

    Raises:
        ValueError: an argument is out of range, or the prices are missing.
    """

    observation_space = Box(-np.inf, np.inf, (_SEEN + len(_SPANS) + _NEW_COLUMNS,), np.float32)
    max_episode_steps = 1_000
    render_fps = 10
    is_random = False

    def __init__(
        self,
        prices: price_paths.Kind = "gbm",
        split: price_paths.Split = "train",
        cost: float = 0.0005,
        low: float = -1.0,
        high: float = 1.0,
        days: int = 63,
    ) -> None:
        if days < 1 or cost < 0.0:
            raise ValueError("days must be positive and cost not negative")
        if not -1.0 <= low <= 0.0 < high <= 1.0:
            raise ValueError(f"positions must reach from -1 .. 0 to 0 .. 1, not from {low} to {high}")
        self.cost, self.days = cost, days
        self.action_space = Box(low, high, (1,), np.float32)
        self._low, self._high = low, high
        self._before = max(_SPANS)
        self.paths = price_paths.paths(prices, split, self._before, self._before + days)
        if isinstance(self.paths, price_paths.Real):
            self.starts = self._starts

    def initial(self, key: Tensor) -> State:
        return self._begin(self.paths.draw(key, self._before + self.days))

    def _starts(self) -> State:
        """The starts of all episodes of a series, one after the other."""
        assert isinstance(self.paths, price_paths.Real)
        return self._begin(self.paths.all(self._before + self.days))

    def _begin(self, returns: Tensor) -> State:
        one = torch.ones_like(returns[:, 0])
        nothing = torch.zeros_like(one)
        return {
            "returns": returns,
            "step": torch.zeros_like(one, dtype=torch.int64),
            "price": one,
            "cash": one,
            "shares": nothing,
            "peak": one,
            "worst": nothing,
            "lines": begin([one, nothing, nothing, nothing], self.days),
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        wealth, price, step = _wealth(state), state["price"], state["step"] + 1
        wanted = action.squeeze(-1).double().clamp(self._low, self._high)
        bought = wanted * wealth / price - state["shares"]
        shares = state["shares"] + bought
        cash = state["cash"] - bought * price - self.cost * (bought * price).abs()
        today = state["returns"].gather(1, (self._before + state["step"]).unsqueeze(1)).squeeze(1)
        price = price * today.exp()
        after = (cash + shares * price).clamp(min=1e-3 * wealth)  # a loss of all is none that can be borne
        peak = torch.maximum(state["peak"], after)
        following = state | {
            "step": step,
            "price": price,
            "cash": after - shares * price,
            "shares": shares,
            "peak": peak,
            "worst": torch.maximum(state["worst"], 1.0 - after / peak),
        }
        shown = [price, wanted, 100.0 * (after - 1.0), 100.0 * (price - 1.0)]
        following["lines"] = record(state["lines"], step, shown)
        return following, 100.0 * (after / wealth).log(), step >= self.days

    def observe(self, state: State) -> Tensor:
        back = torch.arange(self._before, device=state["step"].device)
        known = state["returns"].gather(1, state["step"].unsqueeze(1) + back)  # the last 60 days, today's the last
        scaled = known / self.paths.scale
        spans = [scaled[:, -span:].sum(dim=1) / span**0.5 for span in _SPANS]
        volatility = scaled[:, -_SPANS[0] :].square().mean(dim=1).sqrt() - 1.0
        left = 1.0 - state["step"] / self.days
        columns = [*spans, volatility, _position(state), 1.0 - _wealth(state) / state["peak"], left]
        return torch.cat([scaled[:, -_SEEN:], torch.stack(columns, dim=-1)], dim=-1).float()

    def references(self) -> dict[str, Callable[[State], Tensor]]:
        """Buy and hold; cash; with the return of 60 days, and against that of 20."""

        def hold(state: State) -> Tensor:
            return torch.where(state["step"] == 0, self._high, _position(state)).unsqueeze(-1)

        def by_span(place: int, direction: float) -> Callable[[State], Tensor]:
            return lambda state: direction * self.observe(state)[:, _SEEN + place, None].sign()

        return {
            "buy and hold": hold,
            "cash": lambda state: torch.zeros_like(state["price"]).unsqueeze(-1),
            "trend": by_span(1, 1.0),
            "contrarian": by_span(0, -1.0),
        }

    def outcomes(self, state: State) -> dict[str, Tensor]:
        return {"P&L, %": 100.0 * (_wealth(state) - 1.0), "drawdown, %": -100.0 * state["worst"]}

    def render(self, state: State) -> np.ndarray:
        price, position, profit, held = state["lines"][:, : int(state["step"]) + 1]
        return draw(
            {
                "price": {"price": price},
                "share of wealth": {"held": position},
                "P&L so far, %": {"agent": profit, "buy and hold": held},
            },
            self.days,
        )


def _wealth(state: State) -> Tensor:
    return state["cash"] + state["shares"] * state["price"]


def _position(state: State) -> Tensor:
    """The share of the wealth that is in the asset."""
    return state["shares"] * state["price"] / _wealth(state)
