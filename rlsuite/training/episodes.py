"""Returns and lengths of the episodes that end while experience is collected."""

import numpy as np
import torch
from torch import Tensor

from rlsuite.experience import Step
from rlsuite.state import restore


class EpisodeStatistics:
    """Running returns ``[S, E]`` and, per seed, sums over the episodes that ended; tensors only, no host wait."""

    def __init__(self, seeds: int, num_envs: int, device: torch.device | str) -> None:
        self.running_return = torch.zeros(seeds, num_envs, device=device)
        self.running_length = torch.zeros(seeds, num_envs, device=device)
        self.return_sum = torch.zeros(seeds, device=device)
        self.length_sum = torch.zeros(seeds, device=device)
        self.episodes = torch.zeros(seeds, device=device)

    def add(self, step: Step) -> None:
        self.running_return.add_(step.reward)
        self.running_length.add_(step.valid)
        ended = step.ended
        self.return_sum.add_((self.running_return * ended).sum(1))
        self.length_sum.add_((self.running_length * ended).sum(1))
        self.episodes.add_(ended.sum(1))
        self.running_return.masked_fill_(ended, 0.0)
        self.running_length.masked_fill_(ended, 0.0)

    def drain(self) -> dict[str, np.ndarray | float]:
        """Mean return and length per seed ``[S]`` since the last call (NaN where no episode ended); starts over."""
        values: dict[str, np.ndarray | float] = {
            "train/return": (self.return_sum / self.episodes).cpu().numpy(),
            "train/length_env_steps": (self.length_sum / self.episodes).cpu().numpy(),
            "train/episodes": self.episodes.cpu().numpy().copy(),
        }
        for total in (self.return_sum, self.length_sum, self.episodes):
            total.zero_()
        return values

    def abandon(self) -> None:
        """Forget the running episodes: their environments have been restarted."""
        self.running_return.zero_()
        self.running_length.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        restore(self.state_dict(), state)
