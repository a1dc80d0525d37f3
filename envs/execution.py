"""Execution: sell a block of shares in so many steps, against its impact on the price and the risk of waiting."""

from collections.abc import Callable

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs.almgren_chriss import Market
from envs.core import State
from envs.market_picture import begin, draw, record
from rlsuite import random


class Execution:
    """The market of ``almgren_chriss``; money is in percent of what the block is worth at the start.

    The action is the share of what is left that is sold in a step; the last step sells all that is left. The reward of
    a step that sells n shares and leaves x is

        -(epsilon n + eta n^2 / tau + gamma n x) - lambda sigma^2 tau x^2

    which is its part of the shortfall, averaged over the price's own move, and its part of the risk. With gamma sum
    n_k x_k = gamma (X^2 - sum n_k^2) / 2 the rewards of a schedule add up to -(E + lambda V). What the price's own
    moves earn is left out: its mean is 0 whatever is done, and it would drown the rest. Since nothing that can be
    observed foretells those moves, the best policy of all is the best schedule.

    State: ``step``; ``holdings`` (share of the block), ``price`` and ``received`` (the price at the start, and the
    worth of the block, are 1), ``[N]`` float64; ``lines`` for the picture.
    Observation: time left, share of the block left, and the price's move since the start in deviations of an episode.

    Args:
        steps: N.
        risk_aversion: lambda, a dollar.

    Raises:
        ValueError: an argument is out of range.
    """

    observation_space = Box(np.array([0, 0, -np.inf], np.float32), np.array([1, 1, np.inf], np.float32))
    action_space = Box(0.0, 1.0, (1,), np.float32)
    max_episode_steps = 1_000
    render_fps = 4
    is_random = True

    def __init__(self, steps: int = 10, risk_aversion: float = 1e-6) -> None:
        self.market = market = Market(steps=steps, risk_aversion=risk_aversion)
        self.best = torch.from_numpy(market.best_holdings() / market.shares)
        self._per_root_step = market.volatility * market.tau**0.5 / market.price
        self._temporary = market.temporary / market.tau * market.shares / market.price
        self._permanent = market.permanent * market.shares / market.price
        self._half_spread = market.half_spread / market.price
        self._risk = market.risk_aversion * market.shares * market.price * self._per_root_step**2

    def initial(self, key: Tensor) -> State:
        one = torch.ones_like(key, dtype=torch.float64)
        nothing = torch.zeros_like(one)
        lines = begin([one, one, nothing], self.market.steps)
        return {"step": torch.zeros_like(key), "holdings": one, "price": one, "received": nothing, "lines": lines}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        price, step = state["price"], state["step"] + 1
        terminated = step >= self.market.steps
        share = torch.where(terminated, 1.0, action.squeeze(-1).double().clamp(0.0, 1.0))
        sold = share * state["holdings"]
        left = state["holdings"] - sold
        impact = sold * (self._half_spread + self._temporary * sold)
        moved = self._per_root_step * random.normal(key).double() - self._permanent * sold
        received = state["received"] + sold * price - impact
        reward = -(impact + self._permanent * sold * left + self._risk * left.square())
        price = price + moved
        profit = 100.0 * (received + left * price - 1.0)
        following = {
            "step": step,
            "holdings": left,
            "price": price,
            "received": received,
            "lines": record(state["lines"], step, [price, left, profit]),
        }
        return following, 100.0 * reward, terminated

    def observe(self, state: State) -> Tensor:
        left = 1.0 - state["step"] / self.market.steps
        moved = (state["price"] - 1.0) / (self._per_root_step * self.market.steps**0.5)
        return torch.stack([left, state["holdings"], moved], dim=-1).float()

    def references(self) -> dict[str, Callable[[State], Tensor]]:
        """The closed form; as many shares in every step; all at once."""
        fractions = 1.0 - self.best[1:] / self.best[:-1]

        def best(state: State) -> Tensor:
            return fractions.to(state["price"].device)[state["step"].clamp(max=len(fractions) - 1)].unsqueeze(-1)

        def evenly(state: State) -> Tensor:
            return (1.0 / (self.market.steps - state["step"]).double()).unsqueeze(-1)

        return {
            "closed form": best,
            "evenly": evenly,
            "at once": lambda state: torch.ones_like(state["price"]).unsqueeze(-1),
        }

    def outcomes(self, state: State) -> dict[str, Tensor]:
        """The negative shortfall, percent, of episodes that are over."""
        return {"P&L": 100.0 * (state["received"] - 1.0)}

    def render(self, state: State) -> np.ndarray:
        price, holdings, profit = state["lines"][:, : int(state["step"]) + 1]
        return draw(
            {
                "price": {"price": price},
                "left to sell": {"left": holdings, "closed form": self.best},
                "P&L so far, %": {"P&L": profit},
            },
            self.market.steps,
        )
