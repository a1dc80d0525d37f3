"""A box around what an economy visits: where policies are trained and judged beyond the paths they happen to see."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import Model, PolicyFunction
from rlsuite.deqn.simulation import advance

_SDS = 5.0  # half width in standard deviations: where shocks are normal, paths of a million states stay inside


@dataclass(frozen=True)
class Box:
    """Bounds ``[..., C]`` of a model's ``coordinates``."""

    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, model: Model, visited: Tensor) -> "Box":
        """Five standard deviations to both sides of the mean of states ``[..., B, D]``, and all that they hold."""
        found = model.coordinates(visited)
        mean, reach = found.mean(dim=-2), _SDS * found.std(dim=-2)
        return cls(torch.minimum(mean - reach, found.amin(dim=-2)), torch.maximum(mean + reach, found.amax(dim=-2)))

    def widened(self, model: Model, visited: Tensor) -> "Box":
        """The box, and all that further states ``[..., B, D]`` hold."""
        found = model.coordinates(visited)
        return Box(torch.minimum(self.low, found.amin(dim=-2)), torch.maximum(self.high, found.amax(dim=-2)))

    def spread(self, model: Model, visited: Tensor, key: Tensor) -> Tensor:
        """States ``[*key.shape, B, D]`` moved evenly over the box; what it says nothing of stays as visited."""
        coordinates = self.low.shape[-1]
        share = random.uniform(key, visited.shape[-2], coordinates).to(visited)
        return model.moved(visited, self.low.unsqueeze(-2) + share * (self.high - self.low).unsqueeze(-2))


@torch.no_grad()
def reach(model: Model, policy: PolicyFunction, visited: Tensor, key: Tensor, states: int) -> Box:
    """The box around states ``[B, D]`` that a policy visits, widened until paths of ``states`` more stay inside."""
    box = Box.around(model, visited)
    state = visited
    for period in range(-(-states // len(visited))):
        state, _ = advance(model, policy, state, random.key(key, period))
        if not state.isfinite().all():
            break  # a path that explodes is told of elsewhere
        box = box.widened(model, state)
    return box
