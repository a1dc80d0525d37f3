"""The simulated path of an economy as a source of training states."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.box import Box
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.model import Model, PolicyFunction
from rlsuite.deqn.simulation import advance, describe
from rlsuite.state import check

_START, _SHOCKS, _BOX, _RESTART = 1, 2, 3, 4  # streams of random numbers
_SETTLING_PERIODS = 50  # before clouds are drawn, as a better policy leads elsewhere
_SPACING_PERIODS = 20  # between the periods that a cloud takes its states from
log = logging.getLogger("rlsuite")


@dataclass(frozen=True)
class PathBatch:
    """States to make the residuals small at.

    ``held_out`` comes with the clouds of the second phase: states ``[S, B, D]`` to judge by, never to fit.
    """

    state: Tensor  # [S, B, D]
    held_out: Tensor | None = None


class EconomyPath:
    """``tracks`` paths a seed under the policy that is being trained; a ``Source`` of the trainer.

    In the first phase a batch is where the paths stand, partly moved over the box around where paths start. In the
    second it is a cloud of states from several periods, partly moved over the box around them, kept for some updates
    and then drawn afresh. Paths are not reset unless the settings say so, but one that leaves the feasible set is
    named, counted and started anew.

    Args:
        policy: gives the current policy function of states ``[S, B, D]``.
    """

    def __init__(
        self,
        model: Model,
        policy: Callable[[], PolicyFunction],
        config: SolverConfig,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.model, self.policy, self.config = model, policy, config
        self.seeds = torch.tensor(seeds, dtype=torch.int64, device=device)
        self.state = model.training_state(random.key(self.seeds, _START), config.tracks)
        self._start = Box.around(model, self.state)
        self.periods = 0  # simulated, of each track
        self.env_steps = 0  # the same, of all tracks of a seed
        self.collected = 0  # batches
        self.restarts = torch.zeros(len(seeds), dtype=torch.int64, device=device)
        self._cloud = self._held_out = self.state[:, :0]

    updates_due = 1

    def collect(self) -> None:
        """Move the paths on."""
        polished = self.collected - self.config.adam_updates
        self.collected += 1
        if polished < 0:
            self._advance(1)
        elif polished % self.config.polish_refresh_updates == 0:
            self._advance(_SETTLING_PERIODS)
            self._held_out, self._cloud = self._draw_cloud(), self._draw_cloud()

    def finish_round(self) -> None:
        """The path keeps count by itself."""

    def feedback(self, batch: PathBatch, priority: Tensor) -> None:
        """States have no priorities."""

    def sample(self) -> PathBatch:
        if self.collected > self.config.adam_updates:
            return PathBatch(self._cloud, self._held_out)
        done = (self.collected - 1) / max(self.config.adam_updates, 1)
        box_share = self.config.box_share * max(0.0, 1 - 2 * done)
        return PathBatch(self._mixed(self.state, self._start, box_share))

    @torch.no_grad()
    def _advance(self, periods: int) -> None:
        policy = self.policy()
        for _ in range(periods):
            following, decision = advance(self.model, policy, self.state, random.key(self.seeds, _SHOCKS, self.periods))
            self.periods += 1
            self.env_steps += self.config.tracks
            self.state = self._renew(self._repair(following, self.model.feasible(self.state, decision)))

    def _repair(self, state: Tensor, feasible: Tensor) -> Tensor:
        lost = ~(feasible & state.isfinite().all(dim=-1))
        if not lost.any():
            return state
        seed, track = lost.nonzero()[0].tolist()
        if not self.restarts.any():
            where = f"seed {self.seeds[seed]}, period {self.periods}: {describe(self.model, self.state[seed, track])}"
            log.warning("a path left the feasible set and starts anew, as others will that do (%s)", where)
        self.restarts += lost.sum(dim=1)
        return self._restarted(state, lost)

    def _renew(self, state: Tensor) -> Tensor:
        """Let paths that have gone on for long enough start anew: each period some of them."""
        every = self.config.restart_periods
        if not every:
            return state
        due = torch.arange(self.config.tracks, device=state.device) % every == self.periods % every
        return self._restarted(state, due.expand(state.shape[:-1]))

    def _restarted(self, state: Tensor, which: Tensor) -> Tensor:
        fresh = self.model.training_state(random.key(self.seeds, _RESTART, self.periods), self.config.tracks)
        return torch.where(which.unsqueeze(-1), fresh, state)

    def _draw_cloud(self) -> Tensor:
        pieces: list[Tensor] = []
        while len(pieces) * self.config.tracks < self.config.polish_states:
            self._advance(_SPACING_PERIODS)
            pieces.append(self.state)
        cloud = torch.cat(pieces, dim=1)[:, : self.config.polish_states]
        return self._mixed(cloud, Box.around(self.model, cloud), self.config.polish_box_share)

    def _mixed(self, state: Tensor, box: Box, box_share: float) -> Tensor:
        count = round(box_share * state.shape[1])
        if count == 0:
            return state
        # The counter of batches keeps the draws apart; the two clouds of one batch differ by their periods.
        key = random.key(self.seeds, _BOX, self.collected, self.periods)
        return torch.cat([box.spread(self.model, state[:, :count], key), state[:, count:]], dim=1)

    def statistics(self) -> dict[str, np.ndarray | float]:
        """Paths lost so far ``[S]``."""
        return {"path/restarts": self.restarts.cpu().numpy().astype(float)}

    def state_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "periods": self.periods,
            "collected": self.collected,
            "restarts": self.restarts,
            "cloud": self._cloud,
            "held_out": self._held_out,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        begun = state["collected"] > self.config.adam_updates  # the second phase, which alone has clouds
        cloud = self.state.new_empty(len(self.seeds), self.config.polish_states if begun else 0, self.state.shape[2])
        check(self.state_dict() | {"cloud": cloud, "held_out": cloud}, state)
        self.state, self.restarts = state["state"].clone(), state["restarts"].clone()
        self.periods, self.collected = state["periods"], state["collected"]
        self.env_steps = self.periods * self.config.tracks
        self._cloud, self._held_out = state["cloud"].clone(), state["held_out"].clone()

    def close(self) -> None: ...
