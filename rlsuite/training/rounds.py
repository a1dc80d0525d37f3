"""Rounds of experience and updates: how many are due, and the memory that batches are sampled from."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.experience import Step
from rlsuite.state import check

_SAMPLE_STREAM = 1


class Experience(Protocol):
    """A memory that steps are added to and batches sampled from: a ``Replay`` or a ``Rollout``."""

    def add(self, observation: Tensor, action: Tensor, step: Step, extras: dict[str, Tensor]) -> None: ...

    def sample(self, key: Tensor) -> Any: ...

    def feedback(self, batch: Any, priority: Tensor) -> None: ...

    def cut(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Rounds:
    """The part of a source that does not depend on who acts.

    Args:
        experience: where steps go to.
        seeds: their names, which key random numbers.
        env_steps_a_round: of each seed.
        updates_a_round: G.
        learning_starts_env_steps: no updates before; exploration is the agent's own matter.
        save_experience: keep it in the state; without it a resumed run fills it anew before it learns on.
    """

    def __init__(
        self,
        experience: Experience,
        seeds: Sequence[int],
        *,
        env_steps_a_round: int,
        updates_a_round: int,
        learning_starts_env_steps: int,
        save_experience: bool,
        device: torch.device | str,
    ) -> None:
        self.experience, self.save_experience = experience, save_experience
        self.env_steps_a_round, self.updates_a_round = env_steps_a_round, updates_a_round
        self._warm_up_env_steps = self.learning_starts_env_steps = learning_starts_env_steps
        self.env_steps = 0  # of each seed, in rounds that are over
        self._sampled = torch.zeros((), dtype=torch.int64, device=device)
        self._seeds = torch.tensor(seeds, dtype=torch.int64, device=device)

    @property
    def updates_due(self) -> int:
        """Updates that the round under way, or else the next one, pays for."""
        warm = self.env_steps + self.env_steps_a_round >= self.learning_starts_env_steps
        return self.updates_a_round if warm else 0

    def finish_round(self) -> None:
        self.env_steps += self.env_steps_a_round

    def sample(self) -> Any:
        """Return the next batch."""
        self._sampled.add_(1)
        return self.experience.sample(random.key(self._seeds, _SAMPLE_STREAM, self._sampled))

    def feedback(self, batch: Any, priority: Tensor) -> None:
        """Pass the priorities ``[S, B]`` of a batch on to its replay."""
        self.experience.feedback(batch, priority)

    def state_dict(self) -> dict[str, Any]:
        return {
            "env_steps": self.env_steps,
            "sampled": self._sampled,
            "experience": self.experience.state_dict() if self.save_experience else {},
            "learning_starts_env_steps": self.learning_starts_env_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        own = {"env_steps": 0, "sampled": self._sampled, "learning_starts_env_steps": 0}
        check(own, {name: state[name] for name in own}, "source")
        self.env_steps = state["env_steps"]
        self.learning_starts_env_steps = state["learning_starts_env_steps"]
        self._sampled.copy_(state["sampled"])
        if state["experience"]:
            self.experience.load_state_dict(state["experience"])
        else:
            # The replay was not saved: fill it again before learning.
            self.learning_starts_env_steps = self.env_steps + self._warm_up_env_steps
