"""Run the agent of a checkpoint in an environment, step by step, with a frame of picture and diagnostics at each."""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.runs.actions import Actions, Deviation
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
PAUSE_SECONDS = 1.0  # on the last picture of an episode
_AXIS_ENV_STEPS = 100  # env steps of scores that set the limits of the axis
_MOST_BINS = 60  # of a distribution


@dataclass
class Episode:
    """The course of an episode so far."""

    number: int
    label: str = ""
    ending: str = ""  # how it has ended: terminated or truncated
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
    """One seed of a run's agent in one environment, without exploration unless its ``deviation`` says otherwise.

    ``frames`` yields what windows and videos show; pages in a browser, which people steer, call ``advance`` and
    ``frame`` themselves.

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
        self.deviation = Deviation()
        self.load(checkpoint)
        self.environments = make_rendered(
            env_id,
            self.seed,
            protocol=protocol,
            device=run.device,
            env_kwargs=run.config.env_kwargs,
            preprocessing=preprocessing_of(run.config),
        )
        self.names = action_names(self.environments, env_id)
        self.actions = Actions(self.environments.action_space, self.seed)
        real_time = self.environments.vector_env.metadata.get("render_fps") or _DEFAULT_FRAMES_PER_SECOND
        self.frames_per_second = frames_per_second or float(real_time)
        self._env_steps = torch.zeros((), dtype=torch.int64, device=run.device)  # of all episodes
        self.episode = Episode(0)
        self._state: ActingState = {}
        self._thought: _Thought
        self._begin(self.environments.reset())

    def close(self) -> None:
        self.environments.close()

    def load(self, checkpoint: Name) -> None:
        """Let the agent of another checkpoint act, or that of the same one as it is now, from its next thought on."""
        self.agent = load_agent(self.run, checkpoint)

    def frames(self, episodes: int | None, max_env_steps: int | None = None) -> Iterator[Frame]:
        """Yield a frame for each env step of ``episodes`` episodes, without end if that is None.

        Of each episode the first ``max_env_steps`` are shown, and where it stopped, which stays for a second.
        """
        for number in itertools.count(1) if episodes is None else range(1, episodes + 1):
            episode = self.episode
            episode.label = str(number) if episodes is None else f"{number} of {episodes}"
            while not episode.ending:
                if max_env_steps is None or episode.env_steps < max_env_steps:
                    yield self.frame()
                elif number == episodes:
                    yield from self._pause("cut here: the episode goes on")
                    return
                self.advance()
            yield from self._pause()
            self.advance()

    def advance(self, numbers: Sequence[float] | None = None) -> None:
        """Take one env step; after the end of an episode, begin the next.

        Args:
            numbers: a person's action, see ``Actions``; the agent's unless given.
        """
        episode = self.episode
        if episode.ending:
            self._begin(self.environments.step(self._thought.action).observation)  # the step that only resets
            return
        agents_own = self._thought.action
        step = self.environments.step(agents_own if numbers is None else self.actions.action(numbers, agents_own))
        episode.env_steps += 1
        episode.score += float(step.reward)
        if bool(step.ended):
            episode.ending = "terminated" if bool(step.terminated) else "truncated"
        else:
            self._thought = self._think(step.observation, episode)

    def restart(self) -> None:
        """Begin another episode, whether or not this one has ended."""
        self._begin(self.environments.restart())

    def _begin(self, observation: Tensor) -> None:
        number = self.episode.number + 1
        self.episode = Episode(number, str(number))
        self._thought = self._think(observation, self.episode)

    def _pause(self, note: str = "") -> Iterator[Frame]:
        return itertools.repeat(self.frame(note), max(1, round(PAUSE_SECONDS * self.frames_per_second)))

    def frame(self, note: str = "") -> Frame:
        """The picture of now, with what the agent thinks of it and, where the episode has ended, how."""
        episode, thought, env_id = self.episode, self._thought, self.run.config.env
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
            note=note or episode.ending,
        )

    def _think(self, observation: Tensor, episode: Episode) -> _Thought:
        """Ask the agent, and keep what it thinks of its situation for the episode's plot."""
        # All seeds get the observation of the one on show, because agents act for all seeds at once.
        seeds = len(self.run.seeds)
        seen = observation.expand(seeds, *observation.shape[1:])
        began = torch.full((seeds, 1), episode.env_steps == 0, device=observation.device)
        before = self._state if episode.env_steps else self.agent.initial_state(1)
        acted = self.agent.act(seen, before, began, self._env_steps, explore=False)
        self._state = acted.state
        thoughts = diagnostics(self.agent, seen, before, acted)
        self._env_steps += 1
        row = self.run.seeds.index(self.seed)
        if thoughts.value is not None:
            episode.values.append(float(thoughts.value[row, 0]))
        if thoughts.memory is not None:
            episode.memories.append(thoughts.memory[row, 0].cpu().numpy())
        action = self.deviation.action(acted.action[row : row + 1], thoughts, row, self.actions)
        numbers = self.actions.numbers(action)
        shown: Bars | Sliders
        if self.actions.is_choice:
            shown = self._bars(int(numbers[0]), thoughts, row, episode)
        else:
            shown = Sliders("action", self.names, numbers, self.actions.low, self.actions.high)
        entropy = None if thoughts.entropy is None else float(thoughts.entropy[row, 0])
        returns = None if thoughts.returns is None else _histogram(thoughts.returns, row, int(numbers[0]), episode)
        return _Thought(action, shown, thoughts.value_name, entropy, returns)

    def _bars(self, chosen: int, thoughts: Diagnostics, row: int, episode: Episode) -> Bars:
        if thoughts.scores is None:
            return Bars("action", self.names, np.eye(len(self.names))[chosen], chosen, (0.0, 1.0))
        scores = thoughts.scores[row, 0].cpu().numpy()
        episode.scores.append(scores)
        # Values of good and bad actions are often close: an axis from zero would show bars of equal length.
        lately = np.stack(episode.scores)
        limits = (0.0, 1.0) if thoughts.scores_are_probabilities else (float(lately.min()), float(lately.max()))
        return Bars(thoughts.score_name, self.names, scores, chosen, limits)


def _histogram(returns: tuple[Tensor, Tensor], row: int, action: int, episode: Episode) -> Histogram:
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
