"""Cards to remember: name the suit of an earlier card, as POPGym's diagnostic tasks (Morad et al., 2023).

A shuffled deck is dealt card by card. Drawing each from the numbers that are left of its suits gives the same
distribution as shuffling, and costs no permutation in each environment and step.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import State
from rlsuite import random

SUITS = 4
CARDS = 52  # of a deck
_COLORS = np.array([(86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167)], np.uint8)
_CELL, _GAP = 72, 8  # pixels


class _Cards(ABC):
    """Common parts of both games: the deck, the suit seen, and the suit to name.

    State: ``left`` (cards of each suit still in the deck, ``[N, 4]``), ``dealt`` (suits, the newest last, int8
    ``[N, K]``) and ``count`` (cards dealt so far, ``[N]``).
    """

    observation_space = Box(0.0, 1.0, (SUITS,), np.float32)  # the card just dealt, one-hot
    action_space = Discrete(SUITS)
    max_episode_steps = 1_000  # beyond the longest deck, whose last card ends an episode
    render_fps = 4
    is_random = True

    def __init__(self, decks: int, kept: int) -> None:
        self.cards, self.kept = decks * CARDS, kept

    def initial(self, key: Tensor) -> State:
        left = torch.full((*key.shape, SUITS), self.cards // SUITS, dtype=torch.int32, device=key.device)
        left, card = _deal(left, key)
        dealt = card.to(torch.int8).unsqueeze(-1).repeat(*(1,) * key.dim(), self.kept)
        return {"left": left, "dealt": dealt, "count": torch.ones_like(card)}

    def _next(self, state: State, key: Tensor) -> tuple[State, Tensor]:
        """The state after the next card, and whether it was the last."""
        left, card = _deal(state["left"], key)
        dealt = self._kept(state["dealt"], card.to(torch.int8).unsqueeze(-1))
        count = state["count"] + 1
        return {"left": left, "dealt": dealt, "count": count}, count == self.cards

    @abstractmethod
    def _kept(self, dealt: Tensor, card: Tensor) -> Tensor:
        """The suits to keep once a card has been dealt."""

    def observe(self, state: State) -> Tensor:
        suits = torch.arange(SUITS, dtype=torch.int8, device=state["dealt"].device)
        return (state["dealt"][..., -1:] == suits).to(torch.float32)

    def render(self, state: State) -> np.ndarray:
        """The card just dealt in the upper row, the suit to name in the lower one."""
        return _picture([int(state["dealt"][-1]), int(state["dealt"][0])])


class RepeatPrevious(_Cards):
    """Name the suit of the card k - 1 before the one seen. Rewards are 1 or -1 by the number of cards to be named.

    Nothing is rewarded before k cards are dealt. A policy without memory gets -0.5 on average, a perfect one 1.

    Args:
        level: easy (1 deck, k = 4), medium (2 decks, k = 32) or hard (3 decks, k = 64).

    Raises:
        ValueError: there is no such level.
    """

    def __init__(self, level: str = "easy") -> None:
        decks, self.k = _at_level({"easy": (1, 4), "medium": (2, 32), "hard": (3, 64)}, level)
        super().__init__(decks, self.k)

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        right = action == state["dealt"][..., 0]
        reward = torch.where(right, 1.0, -1.0) / (self.cards - self.k)
        following, terminated = self._next(state, key)
        return following, torch.where(state["count"] >= self.k, reward, 0.0), terminated

    def _kept(self, dealt: Tensor, card: Tensor) -> Tensor:
        return torch.cat([dealt[..., 1:], card], dim=-1)


class RepeatFirst(_Cards):
    """Name the suit of an episode's first card at every step. Rewards are 1 or -1 by the number of steps.

    A policy without memory gets -0.5 on average, a perfect one 1.

    Args:
        level: easy (1 deck), medium (8 decks) or hard (16 decks).

    Raises:
        ValueError: there is no such level.
    """

    def __init__(self, level: str = "easy") -> None:
        super().__init__(_at_level({"easy": 1, "medium": 8, "hard": 16}, level), 2)

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        right = action == state["dealt"][..., 0]
        following, terminated = self._next(state, key)
        return following, torch.where(right, 1.0, -1.0) / (self.cards - 1), terminated

    def _kept(self, dealt: Tensor, card: Tensor) -> Tensor:
        return torch.cat([dealt[..., :1], card], dim=-1)


def _deal(left: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """The cards that are left of each suit after the next one, and its suit (int64)."""
    upto = left.cumsum(-1)
    drawn = random.integers(key, upto[..., -1])
    card = (drawn.unsqueeze(-1) >= upto).sum(-1).clamp(max=SUITS - 1)  # of an empty deck any
    suits = torch.arange(SUITS, device=left.device)
    return (left - (card.unsqueeze(-1) == suits).to(left.dtype)).clamp(min=0), card


def _at_level(levels: dict[str, Any], level: str) -> Any:
    if level not in levels:
        raise ValueError(f"level must be {', '.join(levels)}, not {level!r}")
    return levels[level]


def _picture(rows: list[int]) -> np.ndarray:
    side = _CELL + _GAP
    frame = np.full((len(rows) * side + _GAP, SUITS * side + _GAP, 3), 18, np.uint8)
    for row, chosen in enumerate(rows):
        for suit in range(SUITS):
            top, left = _GAP + row * side, _GAP + suit * side
            frame[top : top + _CELL, left : left + _CELL] = _COLORS[suit] if suit == chosen else 40
    return frame
