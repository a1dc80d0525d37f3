"""Runs from Python and notebooks: train one or open its folder, then evaluate it, act with it, see it."""

import base64
import dataclasses
import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from agents.options import RunConfig
from agents.runs.evaluating import evaluate_run
from agents.runs.presets import beside, preset
from agents.runs.registry import config_class, find, names, nearest
from agents.runs.run import environments, load_agent, open_run, row_of
from agents.runs.synonyms import refuse_synonym
from agents.runs.training import Ended, resume_run
from agents.runs.training import train as train_run
from agents.runs.watching import record
from envs.conversion import action_array, observation_tensor
from envs.preparing import Preparation
from rlsuite.agent import AgentSpec
from rlsuite.tracking.jsonl import Series, read_metrics
from rlsuite.training.checkpoint import Name


def train(agent: str | AgentSpec, **options: Any) -> "Trained":
    """Train a new run, as ``rlsuite train`` does: presets included, and Ctrl-C saves and ends it.

    Args:
        agent: name of an agent, path of a person's own file, or the ``SPEC`` of either.
        options: those of the command line with underscores; ``env`` is needed. An option of several values takes one
            number too.

    Raises:
        ValueError: an option is unknown or does not fit; the message gives the nearest.
        TrainingError, ExperienceError: training could not go on; the last good checkpoint is kept.
    """
    name = agent if isinstance(agent, str) else _where(agent)
    return _opened(train_run(name, configuration(name, options)))


def load(folder: str | PathLike[str], checkpoint: Name = "best", seed: int | None = None) -> "Trained":
    """The run of a folder, with the agent of its ``best``, ``last`` or ``previous`` checkpoint.

    Args:
        seed: which of the run's seeds acts and is seen; the first unless given.

    Raises:
        ValueError: the folder holds no run, or the run has no such seed.
    """
    return Trained(Path(folder), checkpoint, seed)


def configuration(agent: str, options: Mapping[str, Any]) -> RunConfig:
    """The configuration of a run: plain defaults, then the preset, then what ``options`` name."""
    kind = config_class(agent)
    fields = [field.name for field in dataclasses.fields(kind)]
    for name in options:
        if name not in fields:
            refuse_synonym(agent, kind, name, repr)
            raise ValueError(nearest(f"option of {agent}", name, fields))
    if "env" not in options:
        raise ValueError(f"{agent} needs an environment, such as env='CartPole-v1'")
    tuned = preset(agent, options["env"], options.get("preset", "auto"))
    several = {field.name for field in dataclasses.fields(kind) if isinstance(field.default, tuple)}
    named = {name: _value(value, name in several) for name, value in options.items() if name != "preset"}
    if "env_kwargs" in named:  # beside those of the preset
        named["env_kwargs"] = tuned.get("env_kwargs", {}) | named["env_kwargs"]
    return kind(**beside(tuned, named) | named)


def _value(value: Any, one_of_several: bool) -> Any:
    """A value as configurations hold it: tuples for lists, texts for paths."""
    if isinstance(value, PathLike):
        return str(value)
    if isinstance(value, list):
        return tuple(value)
    return (value,) if one_of_several and isinstance(value, int | float) else value


def _where(spec: AgentSpec) -> str:
    """The name of an agent of this project, or the file of a person's own, in which a run finds it again."""
    if spec.name in names() and find(spec.name).spec() is spec:
        return spec.name
    modules = (module for module in list(sys.modules.values()) if getattr(module, "__dict__", {}).get("SPEC") is spec)
    path = next((module.__file__ for module in modules if getattr(module, "__file__", None)), None)
    if path is None:
        raise ValueError(f"agent {spec.name!r} is in no file, where a run could find it again: write it to one")
    return str(path)


def _opened(ended: Ended, seed: int | None = None, checkpoint: Name = "best") -> "Trained":
    if not ended.finished:
        print("stopped; go on with: run.resume()")
    return Trained(ended.run.folder, checkpoint, seed, ended.finished)


class Trained:
    """A run and its agent.

    Args:
        folder: of the run.
        checkpoint: which agent acts: ``best``, ``last`` or ``previous``.
        seed: which of the run's seeds acts and is seen; the first unless given.
        finished: False where the training was asked to stop.
    """

    def __init__(
        self, folder: Path, checkpoint: Name = "best", seed: int | None = None, finished: bool | None = None
    ) -> None:
        self._run = open_run(folder)
        self.folder, self.checkpoint, self.finished = folder, checkpoint, finished
        self.config = self._run.config
        self.seeds = self._run.seeds
        self.seed = self.seeds[row_of(self._run, seed)]
        self._acting: _Acting | None = None  # made when it first acts

    def __repr__(self) -> str:
        return f"<{self._run.agent_name} on {self.config.env} in {self.folder}>"

    def metrics(self) -> dict[str, Series]:
        """The metrics of the run by name: ``env_steps`` ``[T]`` and ``values`` ``[S, T]`` of each metric."""
        return read_metrics(self.folder / "metrics.jsonl")

    def evaluate(self, episodes: int = 100) -> dict[str, Any]:
        """Play whole episodes with every seed's agent, without exploring; the report is in ``evaluation.json`` too."""
        if episodes < 1:
            raise ValueError(f"episodes must be at least 1, not {episodes}")
        return evaluate_run(self._run, episodes, self.checkpoint)

    def act(self, observation: Any) -> Any:
        """The action for one observation, or the actions for a batch of them; both as the environment has them.

        An agent that remembers does so from one call to the next: call ``reset`` where an episode begins. The entries
        of a batch are environments of their own.
        """
        if self._acting is None:
            self._acting = _Acting(self)
        return self._acting.act(observation)

    def reset(self) -> None:
        """Forget: the next observation is the first of its episode."""
        if self._acting is not None:
            self._acting.state = None

    def video(self, episodes: int = 1, max_seconds: float = 20.0) -> "Video":
        """Record the agent at play; shown by a notebook where it is a cell's last value."""
        path = self.folder / "videos" / f"{self.checkpoint}-seed-{self.seed}.mp4"
        how: dict[str, Any] = {"checkpoint": self.checkpoint, "seed": self.seed, "max_seconds": max_seconds}
        return Video(record(self._run, path, episodes=episodes, **how))

    def resume(self, total_env_steps: int | None = None) -> "Trained":
        """Go on exactly where the run stopped, to its end or to another; returns the run with its new agent."""
        return _opened(resume_run(self.folder, total_env_steps=total_env_steps), self.seed, self.checkpoint)


class _Acting:
    """The agent of a run with what it remembers."""

    def __init__(self, trained: Trained) -> None:
        run = trained._run
        here = dataclasses.replace(run, config=dataclasses.replace(run.config, vectorization="sync"))
        probe: Any = environments(here, "evaluate", 1, seeds=run.seeds[:1])
        self._space = probe.vector_env.single_observation_space
        self._preparation = Preparation(self._space, next(iter(getattr(probe.vector_env, "envs", ())), None))
        self._action_space = probe.vector_env.single_action_space
        probe.close()
        self._agent = load_agent(run, trained.checkpoint)
        self._seeds, self._row, self._device = len(run.seeds), run.seeds.index(trained.seed), run.device
        self._num_envs = 0
        self._env_steps = torch.zeros((), dtype=torch.int64, device=run.device)
        self.state: Any = None  # None before an episode

    def act(self, observation: Any) -> Any:
        observations, single = self._preparation.arrays(observation)
        num_envs = len(observations)
        began = self.state is None or num_envs != self._num_envs
        if began:
            self.state, self._num_envs = self._agent.initial_state(num_envs), num_envs
        seen = observation_tensor(self._space, observations).to(self._device)
        # Agents act for all seeds at once.
        acted = self._agent.act(
            seen.expand(self._seeds, *seen.shape),
            self.state,
            torch.full((self._seeds, num_envs), began, device=self._device),
            self._env_steps,
            explore=False,
        )
        self.state = acted.state
        self._env_steps += num_envs
        actions = action_array(self._action_space, acted.action[self._row].detach().cpu().numpy())
        return actions[0] if single else actions


@dataclasses.dataclass(frozen=True)
class Video:
    """A video file, which notebooks show."""

    path: Path

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.path.read_bytes()).decode()
        return f'<video controls autoplay loop muted src="data:video/mp4;base64,{data}"></video>'
