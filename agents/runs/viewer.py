"""Run the agent of a checkpoint in an environment, and yield a frame with diagnostics at each step."""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete
from torch import Tensor

from agents.runs.run import Run, load_agent, preprocessing_of, row_of
from envs.action_names import action_names
from envs.lookup import is_atari
from envs.protocols import PROTOCOLS
from envs.rendered import make_rendered, picture
from rlsuite.agent import Acted, ActingState, Diagnostics
from rlsuite.tracking.text import number_text
from rlsuite.tracking.watch_panel import PLOT_ENV_STEPS, Bars, Frame, Histogram, Sliders
from rlsuite.training.checkpoint import Name

_DEFAULT_FRAMES_PER_SECOND = 30
_PAUSE_SECONDS = 1.0  # on the last picture of an episode
_AXIS_ENV_STEPS = 100  # env steps of scores that set the limits of the axis
_MOST_BINS = 60  # of a distribution


@dataclass
class _Episode:
    """The course of an episode so far."""

    label: str
    env_steps: int = 0
    score: float = 0.0
    values: deque[float] = field(default_factory=lambda: deque(maxlen=PLOT_ENV_STEPS))
    memories: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=PLOT_ENV_STEPS))  # [M] each
    scores: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=_AXIS_ENV_STEPS))  # [A] each
    reaches: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_AXIS_ENV_STEPS))  # of returns


@dataclass(frozen=True)
class _Thought:
    """The action of the seed on show, and the numbers by which it was chosen."""

    action: Tensor  # [1, 1] or [1, 1, A], for the environment
    shown: Bars | Sliders
    value_title: str
    entropy: float | None = None  # of the policy, where it has one
    returns: Histogram | None = None  # of the action, where their distribution is known


class Viewer:
    """One seed of a run's agent in one environment, without exploration.

    Args:
        run: the run.
        checkpoint: ``best``, ``last`` or ``previous``.
        seed: one of the run's; the first unless given.
        frames_per_second: the pace at which people will see it; the environment's real time unless given.

    Raises:
        RenderError: the environment cannot be drawn here.
        ValueError: the run has no such seed.
        CheckpointError: the checkpoint is missing or damaged.
    """

    def __init__(
        self, run: Run, checkpoint: Name, seed: int | None = None, frames_per_second: float | None = None
    ) -> None:
        self.run = run
        self.seed = run.seeds[row_of(run, seed)]
        env_id = run.config.env
        protocol = PROTOCOLS[run.config.protocol] if is_atari(env_id) else None
        self.agent = load_agent(run, checkpoint)
        self.environments = make_rendered(
            env_id,
            self.seed,
            protocol=protocol,
            device=run.device,
            env_kwargs=run.config.env_kwargs,
            preprocessing=preprocessing_of(run.config),
        )
        self.names = action_names(self.environments, env_id)
        real_time = self.environments.vector_env.metadata.get("render_fps") or _DEFAULT_FRAMES_PER_SECOND
        self.frames_per_second = frames_per_second or float(real_time)
        self._env_steps = torch.zeros((), dtype=torch.int64, device=run.device)  # of all episodes
        self._state = self.agent.initial_state(1)

    def close(self) -> None:
        self.environments.close()

    def frames(self, episodes: int | None, max_env_steps: int | None = None) -> Iterator[Frame]:
        """Yield a frame for each env step of ``episodes`` episodes, without end if that is None.

        Of each episode the first ``max_env_steps`` are shown, and where it stopped, which stays for a second.
        """
        observation = self.environments.reset()
        for number in itertools.count(1) if episodes is None else range(1, episodes + 1):
            episode = _Episode(str(number) if episodes is None else f"{number} of {episodes}")
            ended = False
            while not ended:
                thought = self._think(observation, episode)
                if max_env_steps is None or episode.env_steps < max_env_steps:
                    yield self._frame(episode, thought)
                elif number == episodes:
                    yield from self._pause(episode, thought, "cut here: the episode goes on")
                    return
                step = self.environments.step(thought.action)
                observation, ended = step.observation, bool(step.ended)
                episode.env_steps += 1
                episode.score += float(step.reward)
            yield from self._pause(episode, thought, "terminated" if bool(step.terminated) else "truncated")
            observation = self.environments.step(thought.action).observation  # the step that only resets

    def _pause(self, episode: _Episode, thought: _Thought, note: str) -> Iterator[Frame]:
        return itertools.repeat(
            self._frame(episode, thought, note), max(1, round(_PAUSE_SECONDS * self.frames_per_second))
        )

    def _frame(self, episode: _Episode, thought: _Thought, note: str = "") -> Frame:
        env_id = self.run.config.env
        return Frame(
            picture=picture(self.environments, env_id),
            heading=f"{self.run.agent_name} on {env_id}",
            subheading=self.run.folder.name,
            facts={
                "return": number_text(episode.score),
                "env step": str(episode.env_steps),
                "episode": episode.label,
                "seed": str(self.seed),
            }
            | ({} if thought.entropy is None else {"entropy": f"{thought.entropy:.2f}"}),
            action=thought.shown,
            value_title=thought.value_title,
            values=tuple(episode.values),
            memory=np.stack(episode.memories) if episode.memories else None,
            returns=thought.returns,
            note=note,
        )

    def _think(self, observation: Tensor, episode: _Episode) -> _Thought:
        """Ask the agent, and keep what it thinks of its situation for the episode's plot."""
        # All seeds get the observation of the one on show, because agents act for all seeds at once.
        seeds = len(self.run.seeds)
        seen = observation.expand(seeds, *observation.shape[1:])
        began = torch.full((seeds, 1), episode.env_steps == 0, device=observation.device)
        before = self._state if episode.env_steps else self.agent.initial_state(1)
        acted = self.agent.act(seen, before, began, self._env_steps, explore=False)
        self._state, actions = acted.state, acted.action
        thoughts = diagnostics(self.agent, seen, before, acted)
        self._env_steps += 1
        row = self.run.seeds.index(self.seed)
        if thoughts.value is not None:
            episode.values.append(float(thoughts.value[row, 0]))
        if thoughts.memory is not None:
            episode.memories.append(thoughts.memory[row, 0].cpu().numpy())
        chosen = actions[row, 0].cpu().numpy()
        shown: Bars | Sliders
        match self.environments.action_space:
            case Box(low=low, high=high):
                shown = self._sliders(chosen, low, high)
            case MultiDiscrete(start=start, nvec=choices):
                shown = self._sliders(chosen + start, start, start + choices - 1)
            case MultiBinary():
                shown = self._sliders(chosen, np.zeros_like(chosen), np.ones_like(chosen))
            case _:
                shown = self._bars(int(chosen), thoughts, row, episode)
        entropy = None if thoughts.entropy is None else float(thoughts.entropy[row, 0])
        returns = None if thoughts.returns is None else _histogram(thoughts.returns, row, int(chosen), episode)
        return _Thought(actions[row : row + 1], shown, thoughts.value_name, entropy, returns)

    def _sliders(self, chosen: np.ndarray, low: np.ndarray, high: np.ndarray) -> Sliders:
        return Sliders("action", self.names, chosen.reshape(-1), low.reshape(-1), high.reshape(-1))

    def _bars(self, chosen: int, thoughts: Diagnostics, row: int, episode: _Episode) -> Bars:
        if thoughts.scores is None:
            return Bars("action", self.names, np.eye(len(self.names))[chosen], chosen, (0.0, 1.0))
        scores = thoughts.scores[row, 0].cpu().numpy()
        episode.scores.append(scores)
        # Values of good and bad actions are often close: an axis from zero would show bars of equal length.
        lately = np.stack(episode.scores)
        limits = (0.0, 1.0) if thoughts.scores_are_probabilities else (float(lately.min()), float(lately.max()))
        return Bars(thoughts.score_name, self.names, scores, chosen, limits)


def _histogram(returns: tuple[Tensor, Tensor], row: int, action: int, episode: _Episode) -> Histogram:
    """The returns of an action, in bins between the ends of those of the last steps.

    No more bins than returns: C51's, which are at equal distances, then fall into one each.
    """
    value, probability = (part[row, 0, action].cpu().numpy() for part in returns)
    bins = min(len(value), _MOST_BINS)
    episode.reaches.append((float(value.min()), float(value.max())))
    reaches = np.array(episode.reaches)
    limits = float(reaches[:, 0].min()), float(reaches[:, 1].max())
    if not np.isfinite(limits).all():  # of a network that has diverged
        return Histogram("return of the action", np.zeros(bins), limits)
    shares, _ = np.histogram(value, bins, limits, weights=probability)
    return Histogram("return of the action", shares, limits)


def diagnostics(agent: Any, observation: Tensor, state: ActingState, acted: Acted) -> Diagnostics:
    """Return the agent's diagnostics; empty ones if it has no method ``diagnose``."""
    return agent.diagnose(observation, state, acted) if hasattr(agent, "diagnose") else Diagnostics()
