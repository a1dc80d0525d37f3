"""Prioritised experience replay (Schaul et al., 2016): sample in proportion to a power of the error."""

from typing import Any

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.replay.replay import Changes, Store
from rlsuite.replay.sum_tree import SumTree
from rlsuite.state import restore

_LEAST = 1e-6  # added to each priority, so that every transition can be drawn


class Prioritised:
    """Draws transition i with probability p_i^alpha / sum_k p_k^alpha, and returns its weight.

    A new transition has the largest priority seen so far, so that each is drawn soon. The weights of a batch are
    (size * P(i))^-beta over their maximum; beta rises linearly to 1 (equation 1 and section 3.4 of the paper). Draws
    are stratified: one from each of B equal parts of the sum.

    Args:
        seeds, slots: of the store.
        alpha: 0 draws uniformly, 1 in proportion to the priorities.
        beta: at the start.
        beta_draws: draws over which beta rises to 1.

    Raises:
        ValueError: alpha or beta is outside [0, 1].
    """

    def __init__(
        self,
        seeds: int,
        slots: int,
        *,
        alpha: float = 0.6,
        beta: float = 0.4,
        beta_draws: int,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], not {value}")
        self.alpha, self.beta, self.beta_draws = alpha, beta, max(beta_draws, 1)
        self.tree = SumTree(seeds, slots, device)  # of p^alpha
        self.largest = torch.ones(seeds, device=device)  # of p^alpha
        self.draws = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def nbytes(self) -> int:
        return self.tree.nbytes

    @property
    def compilable(self) -> bool:
        """On CUDA a compiled round of Rainbow drew outside the tree (torch 2.11; docs/benchmarks.md, GPU)."""
        return self.largest.device.type != "cuda"

    def note(self, changes: Changes) -> None:
        if changes.emptied_slot is not None and changes.emptied is not None:
            self._set(changes.emptied_slot, changes.emptied, torch.zeros_like(self.largest))
        self._set(changes.filled_slot, changes.filled, self.largest)

    def _set(self, slot: Tensor, chosen: Tensor, value: Tensor) -> None:
        if slot.shape[1] == 0:  # a cut with no open windows to close
            return
        # All slots are written, so that shapes never depend on data. Chosen slots of one call are distinct. The others
        # may repeat or lie outside the tree: the first chosen slot stands in for them, or slot 0 unchanged.
        stand_in = slot.gather(1, chosen.long().argmax(dim=1, keepdim=True))
        any_chosen = chosen.any(dim=1, keepdim=True)
        slot = torch.where(chosen, slot, torch.where(any_chosen, stand_in, 0))
        new = torch.where(any_chosen, value.unsqueeze(1).expand(slot.shape), self.tree.get(slot))
        self.tree.set(slot, new)

    def draw(self, store: Store, batch_size: int, key: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        strata = torch.arange(batch_size, device=key.device)
        share = (strata + random.uniform(key, batch_size)) / batch_size
        slot = self.tree.find(share)
        probability = self.tree.get(slot) / self.tree.total.unsqueeze(1)
        beta = self.beta + (1.0 - self.beta) * (self.draws / self.beta_draws).clamp(max=1.0)
        weight = (store.size.unsqueeze(1) * probability) ** -beta
        self.draws.add_(1)
        return slot, {"index": slot, "weight": weight / weight.amax(dim=1, keepdim=True)}

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Set the priorities of the transitions of a batch to ``priority`` ``[S, B]``, absolute errors."""
        scaled = (priority + _LEAST) ** self.alpha
        self.tree.set(batch.extras["index"], scaled)
        self.largest.copy_(torch.maximum(self.largest, scaled.amax(dim=1)))

    def state_dict(self) -> dict[str, Any]:
        levels = {f"level_{depth}": level for depth, level in enumerate(self.tree.levels)}
        return {**levels, "largest": self.largest, "draws": self.draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state, "sampler")
