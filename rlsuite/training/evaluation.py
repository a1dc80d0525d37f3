"""Evaluation: whole episodes in environments of their own."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch

from rlsuite.agent import Actor
from rlsuite.experience import Environments, ExperienceError
from rlsuite.tracking.notices import say
from rlsuite.training.signals import is_stop_requested

_LINE_SECONDS = 10.0


class EvaluationStopped(ExperienceError):
    """The run was asked to stop during an evaluation. The learner is unchanged; a resumed run evaluates again."""


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns and lengths of whole episodes, ``[S, episodes]``.

    Where the evaluation was cut, open episodes count as they stood, and those that had not begun are NaN.
    """

    returns: np.ndarray
    lengths_env_steps: np.ndarray
    unfinished: int = 0  # episodes of all seeds that were cut or had not begun

    def metrics(self) -> dict[str, np.ndarray]:
        """Per-seed means; the score is the mean return."""
        return {
            "evaluation/score": np.nanmean(self.returns, axis=1),
            "evaluation/return_std": np.nanstd(self.returns, axis=1),
            "evaluation/length_env_steps": np.nanmean(self.lengths_env_steps, axis=1),
        }


@dataclass(frozen=True)
class Progress:
    """The progress of an evaluation: env steps and episodes of one seed, on average."""

    env_steps: int
    episodes: float


class Watch:
    """Print the progress of a long evaluation, and end it when the run is asked to stop.

    Raises:
        EvaluationStopped: when called after the run was asked to stop.
    """

    def __init__(self, title: str, episodes: int) -> None:
        self._title, self._episodes = title, episodes
        self._next = time.monotonic() + _LINE_SECONDS

    def __call__(self, progress: Progress) -> None:
        if is_stop_requested():
            raise EvaluationStopped(f"stopped during the {self._title}")
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            episodes = f"{progress.episodes:.0f} of {self._episodes} episodes"
            say(f"{self._title}: {episodes}, {progress.env_steps:,} env steps")


def evaluate(
    agent: Actor,
    environments: Environments,
    episodes: int,
    device: torch.device | str = "cpu",
    max_env_steps: int | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Play ``episodes`` episodes of every seed without exploration; arguments as for ``play``.

    ``watch`` gets the progress after every step, and may raise an exception to end the evaluation.
    """
    playing = play(agent, environments, episodes, device, max_env_steps)
    while True:
        try:
            progress = next(playing)
        except StopIteration as end:
            return end.value
        if watch is not None:
            watch(progress)


def play(
    agent: Actor,
    environments: Environments,
    episodes: int,
    device: torch.device | str = "cpu",
    max_env_steps: int | None = None,
) -> Generator[Progress, None, Evaluation]:
    """Play ``episodes`` episodes of every seed without exploration, step by step; returns the evaluation.

    Each of the E environments of a seed plays its first ``ceil(episodes / E)`` episodes, so that short episodes are
    not counted more often than long ones; where E does not divide ``episodes``, the first ``episodes`` in order of
    environment are kept. Of each seed at most ``max_env_steps`` are played, for episodes may be endless.
    """
    seeds, num_envs = len(environments.seeds), environments.num_envs
    rounds = -(-episodes // num_envs)
    returns = torch.zeros(seeds, num_envs, rounds + 1, dtype=torch.float64)  # the last column takes surplus episodes
    lengths = torch.zeros_like(returns)
    finished = torch.zeros(seeds, num_envs, 1, dtype=torch.int64)
    observation = environments.reset()
    state = agent.initial_state(num_envs)
    began = torch.ones(seeds, num_envs, dtype=torch.bool, device=device)
    env_step = torch.zeros((), dtype=torch.int64, device=device)
    played = 0
    while bool((finished < rounds).any()) and (max_env_steps is None or played < max_env_steps):
        acted = agent.act(observation, state, began, env_step, explore=False)
        state, step = acted.state, environments.step(acted.action)
        returns.scatter_add_(2, finished, step.reward.double().cpu().unsqueeze(-1))
        lengths.scatter_add_(2, finished, step.valid.double().cpu().unsqueeze(-1))
        finished = (finished + step.ended.cpu().unsqueeze(-1)).clamp(max=rounds)
        observation, began = step.observation, step.began
        env_step += num_envs
        played += num_envs
        yield Progress(played, float(finished.sum()) / seeds)

    # Episode r of every environment comes before episode r + 1 of any.
    def listed(numbers: torch.Tensor) -> np.ndarray:
        return numbers[..., :rounds].permute(0, 2, 1).reshape(seeds, -1)[:, :episodes].numpy()

    has_begun = listed(lengths) > 0
    unfinished = listed((torch.arange(rounds + 1) >= finished).double())
    return Evaluation(
        np.where(has_begun, listed(returns), np.nan),
        np.where(has_begun, listed(lengths), np.nan),
        int(unfinished.sum()),
    )
