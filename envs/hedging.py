"""Hedging: a call was sold at its Black-Scholes value; hold shares so that what it costs in the end is known."""

from collections.abc import Callable

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs import black_scholes
from envs.core import State
from envs.market_picture import begin, draw, record
from rlsuite import random

SPOT = STRIKE = 100.0
_FARTHEST = 5.0  # deviations from the strike that are told apart


class Hedging:
    """Prices are geometric Brownian without drift; money is in percent of the price at the start.

    The action is the number of shares to hold in the next step, for a call on one share. A step from S to S' with
    position a, bought or sold at a cost, changes the account by g - c, with

        g = a (S' - S) - (C(S') - C(S))        c = cost S |a - a before|

    where C is the call's value, at the end its payoff, and then all shares are sold, at a cost. The changes add up to
    the final P&L. The reward is -c - risk_aversion g^2. As S and C(S) are martingales, so is the sum of g whatever is
    done, and the expected sum of g^2 is the variance of its end: the rewards add up, on average, to

        -(mean of the costs) - risk_aversion (variance of the final P&L before costs)

    so that without costs the least variance is the best. That costs vary too is left out: their variance, and their
    covariance with g, are not in the reward but in what ``evaluate --baselines`` reports.

    State: ``step``; ``price``, ``position`` and ``profit`` so far, ``[N]`` float64; ``lines`` for the picture.
    Observation: time left (1 to 0), ln(price / strike) in deviations of an episode and in those of the time left
    (within 5), and the position.

    Args:
        steps: times at which shares can be traded.
        cost: of a trade, as a share of what it moves.
        risk_aversion: worth of a unit of variance.
        volatility: of the price, a root of a year.
        years: until the call expires.

    Raises:
        ValueError: an argument is out of range.
    """

    observation_space = Box(
        np.array([0, -np.inf, -_FARTHEST, 0], np.float32), np.array([1, np.inf, _FARTHEST, 1], np.float32)
    )
    action_space = Box(0.0, 1.0, (1,), np.float32)
    max_episode_steps = 1_000
    render_fps = 5
    is_random = True

    def __init__(
        self,
        steps: int = 20,
        cost: float = 0.0,
        risk_aversion: float = 1.0,
        volatility: float = 0.2,
        years: float = 1.0 / 12.0,
    ) -> None:
        if steps < 1 or cost < 0.0 or risk_aversion < 0.0 or volatility <= 0.0 or years <= 0.0:
            raise ValueError("steps, volatility and years must be positive, cost and risk aversion not negative")
        self.steps, self.cost, self.risk_aversion = steps, cost, risk_aversion
        self.volatility, self.between = volatility, years / steps
        self._step_deviation = volatility * self.between**0.5

    def initial(self, key: Tensor) -> State:
        spot = torch.full_like(key, SPOT, dtype=torch.float64)
        nothing = torch.zeros_like(spot)
        lines = begin([spot, nothing, nothing, nothing], self.steps)
        return {"step": torch.zeros_like(key), "price": spot, "position": nothing, "profit": nothing, "lines": lines}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        price, step = state["price"], state["step"] + 1
        position = action.squeeze(-1).double().clamp(0.0, 1.0)
        shock = random.normal(key).double()
        moved = price * (self._step_deviation * shock - self._step_deviation**2 / 2.0).exp()
        terminated = step >= self.steps
        value = black_scholes.value(price, STRIKE, self._deviation(state["step"]))
        gain = position * (moved - price) - (black_scholes.value(moved, STRIKE, self._deviation(step)) - value)
        paid = self.cost * (price * (position - state["position"]).abs() + torch.where(terminated, moved, 0) * position)
        profit = state["profit"] + gain - paid
        shown = [moved, position, self.delta(state), profit]
        following = {
            "step": step,
            "price": moved,
            "position": position,
            "profit": profit,
            "lines": record(state["lines"], step, shown),
        }
        return following, -paid - self.risk_aversion * gain.square(), terminated

    def _deviation(self, step: Tensor, volatility: float | None = None) -> Tensor:
        """The deviation of the logarithm of the price at the end, seen from a step."""
        return (volatility or self.volatility) * ((self.steps - step) * self.between).double().sqrt()

    def observe(self, state: State) -> Tensor:
        left = 1.0 - state["step"] / self.steps
        moneyness = (state["price"] / STRIKE).log()
        scaled = moneyness / (self._step_deviation * self.steps**0.5)
        sharp = (moneyness / self._deviation(state["step"]).clamp(min=1e-9)).clamp(-_FARTHEST, _FARTHEST)
        return torch.stack([left, scaled, sharp, state["position"]], dim=-1).float()

    def delta(self, state: State, volatility: float | None = None) -> Tensor:
        """Black and Scholes' shares ``[N]`` to hold."""
        return black_scholes.delta(state["price"], STRIKE, self._deviation(state["step"], volatility))

    def references(self) -> dict[str, Callable[[State], Tensor]]:
        """Black and Scholes' delta, Leland's where there are costs, and no hedge at all."""
        found: dict[str, Callable[[State], Tensor]] = {"delta": lambda state: self.delta(state).unsqueeze(-1)}
        if self.cost > 0.0:
            adjusted = black_scholes.with_costs(self.volatility, self.cost, self.between)
            found["Leland's delta"] = lambda state: self.delta(state, adjusted).unsqueeze(-1)
        return found | {"no hedge": lambda state: torch.zeros_like(state["price"]).unsqueeze(-1)}

    def outcomes(self, state: State) -> dict[str, Tensor]:
        return {"P&L": state["profit"]}

    def render(self, state: State) -> np.ndarray:
        price, position, delta, profit = state["lines"][:, : int(state["step"]) + 1]
        return draw(
            {
                "price": {"price": price},
                "shares held": {"held": position, "delta": delta},
                "P&L so far": {"P&L": profit},
            },
            self.steps,
        )
