"""A run and its folder: from a configuration to a trainer, and from a folder back to an agent."""

import dataclasses
import functools
import inspect
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode

from agents.options import AgentConfig, EpsilonGreedyConfig, ReplayConfig, RunConfig
from agents.runs.deciding import final_episodes, for_its_length, resolved, shards, threads, workers
from agents.runs.registry import agent_spec, find
from envs.lookup import find_spec, is_atari, is_gymnasiums_own, is_on_tensors, same_game
from envs.make import make_environments
from envs.preprocessing import Preprocessing
from envs.protocols import PROTOCOLS
from envs.seeding import Purpose
from rlsuite import ranks
from rlsuite.configuration import from_json
from rlsuite.experience import Environments
from rlsuite.networks.encoder import has_pixels
from rlsuite.networks.precision import has_bfloat16
from rlsuite.option_groups import nested
from rlsuite.tracking import run_folder
from rlsuite.training.checkpoint import Checkpoints, fitting, to_device
from rlsuite.training.device import usable_device
from rlsuite.training.normalisation import Normalised, Normaliser
from rlsuite.training.per_seed import split_seeds
from rlsuite.training.schedules import per_seed

log = logging.getLogger("rlsuite")

EVALUATION_ENVS, FINAL_EVALUATION_ENVS = 10, 25  # per seed, at most: populations do not open thousands of them
_MANY_ENV_STEPS = 100_000  # of an evaluation without a limit on env steps
_PACKAGES = ("gymnasium", "torch", "numpy", "ale-py", "wandb")


@dataclass(frozen=True)
class Run:
    """A run's folder and what it was started with; a shard of it has some of its seeds and the same folder."""

    folder: Path
    agent: str  # its name, or the path of a user's file
    config: RunConfig

    def __reduce__(self) -> Any:
        # The class of the configuration may live in a file that a worker process would not find by itself.
        return _run_of, (self.folder, self.agent, vars(self.config))

    @property
    def agent_name(self) -> str:
        return find(self.agent).name

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoint")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.config.seeds))

    @property
    def device(self) -> torch.device:
        return usable_device(self.config.device)


def _run_of(folder: Path, agent: str, options: dict[str, Any]) -> Run:
    return Run(folder, agent, agent_spec(agent).config(**options))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # W&B is optional
            found[package] = version(package)
    return found


@functools.cache  # the code of this process stays that of when it was first asked
def git_commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def plan(agent: str, config: RunConfig) -> Run:
    """A new run with everything decided and nothing written yet.

    Raises:
        ValueError: the configuration does not fit, or the folder is taken.
    """
    run_folder.require_free(Path(config.runs), config.name)
    if agent.endswith(".py"):
        agent = str(Path(agent).resolve())
    config = for_its_length(agent_spec(agent).config(**vars(config)))
    config = of_rank(Run(Path(config.runs), agent, config)).config
    if config.protocol != RunConfig.protocol and not is_atari(config.env):
        raise ValueError(f"--protocol is for Atari's games, and {config.env} is none")
    # Decided once: a checkpoint of two workers is resumed by two.
    config = dataclasses.replace(config, workers=workers(config))
    config = dataclasses.replace(config, shards=shards(config))
    if game := same_game(config.env):
        log.warning(f"{config.env} is run as {game}: frames skipped, sticky actions and all else are --protocol's")
    wants_bfloat16 = isinstance(config, AgentConfig) and config.encoder_precision == "bfloat16"
    if wants_bfloat16 and not has_bfloat16(usable_device(config.device)):
        log.warning("this processor does not multiply in bfloat16: --encoder-precision float32 is quicker here")
    return Run(Path(config.runs) / (config.name or ""), agent, config)


def of_rank(run: Run) -> Run:
    """The run of this rank, whose environments and random numbers are its own.

    Raises:
        ValueError: it is not for several ranks.
    """
    config = run.config
    if ranks.size() == 1:
        return run
    if isinstance(config, AgentConfig) and (config.normalise_observations or config.normalise_rewards):
        raise ValueError("--normalise-observations and --normalise-rewards are not for ranks: statistics would differ")
    if isinstance(config, ReplayConfig) and config.players:
        raise ValueError("--players is not for ranks of torchrun, each of which acts in environments of its own")
    if config.execution not in ("auto", "eager") or (config.workers or 1) > 1 or (config.shards or 1) > 1:
        raise ValueError("ranks run eagerly, one worker each: leave out --execution, --workers and --shards")
    own = dataclasses.replace(config, seed=ranks.own_seed(config.seed), execution="eager", workers=1, shards=1)
    return dataclasses.replace(run, config=own)


def make_folder(run: Run, spaces: "Spaces | None" = None) -> Run:
    """Make the folder of a planned run, with its ``config.json`` inside; returns the run with its folder.

    Raises:
        ValueError: the name is taken.
        OSError: the folder cannot be written.
    """
    config = run.config
    document = {
        "agent": run.agent,
        "config": nested(config),
        "config_digest": run_folder.digest(nested(config)),
        "decided": decided(run, spaces),
        "spaces": None if spaces is None else spaces.texts,
        "protocol": dataclasses.asdict(PROTOCOLS[config.protocol]) if is_atari(config.env) else None,
        "command": sys.argv,
        "commit": git_commit(),
        "versions": _versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    default_name = f"{run.agent_name}-{config.env.replace('/', '-').replace(':', '-')}"
    folder = run_folder.create(Path(config.runs), config.name, default_name, document)
    return dataclasses.replace(run, folder=folder)


def decided(run: Run, spaces: "Spaces | None") -> dict[str, Any]:
    """The values that a session takes for what options leave open, so that ``config.json`` says what ran last."""
    config = resolved(run.config)
    num_envs = evaluation_envs(run, config.evaluation_episodes, EVALUATION_ENVS)
    found: dict[str, Any] = {
        "preset": "none" if config.preset == "auto" else config.preset,  # made in Python, where none is looked up
        "device": str(run.device),
        "execution": config.execution,
        "workers": config.workers,
        "shards": config.shards,
        "threads": None if spaces is None else threads(config, spaces.observation),
        "evaluation_envs": num_envs,
        "evaluation_max_env_steps": evaluation_limit(run, config.evaluation_episodes, num_envs),
        "final_episodes": final_episodes(config),
    }
    if isinstance(config, ReplayConfig):
        found["learning_starts_env_steps"] = config.learning_starts_env_steps
    if isinstance(config, EpsilonGreedyConfig):
        found["evaluation_epsilon"] = config.evaluation_epsilon
    return found


def create(agent: str, config: RunConfig) -> Run:
    """A new run in a folder of its own; see ``plan`` and ``make_folder``."""
    return make_folder(plan(agent, config))


def open_run(folder: Path) -> Run:
    """The run of a folder.

    Raises:
        ValueError: the folder is missing, holds no run of an agent, or one this version cannot read.
    """
    document = run_folder.read(folder, "agent")
    path = folder / run_folder.CONFIG
    agent = document.get("agent")
    if not isinstance(agent, str):
        raise ValueError(f"{path} is damaged or of another version: it names no agent")
    try:
        kind = agent_spec(agent).config
    except ValueError as error:
        raise ValueError(f"{path} is damaged or of another version: {error}") from None
    return Run(folder, agent, from_json(kind, document.get("config"), path))


@dataclass(frozen=True)
class Spaces:
    """The observation and action space of one environment of a run."""

    observation: Space[Any]
    action: Space[Any]

    @property
    def texts(self) -> dict[str, str]:
        return {"observation": str(self.observation), "action": str(self.action)}

    def require_those_of(self, run: Run) -> None:
        """Raise ``ValueError`` if the run began with other spaces."""
        before = run_folder.read(run.folder).get("spaces")
        for name, now in self.texts.items():
            then = before.get(name) if isinstance(before, dict) else None
            if then is not None and then != now:
                raise ValueError(
                    f"{run.config.env} has changed since {run.folder} began: its {name} space was {then}, it is {now}"
                )


def spaces_of(run: Run) -> Spaces:
    """Return the spaces of a run's environment; one copy is made and closed."""
    probe = environments(run, "evaluate", 1, seeds=run.seeds[:1])
    spaces = Spaces(probe.observation_space, probe.action_space)
    probe.close()
    return spaces


def environments(
    run: Run, purpose: Purpose, num_envs: int, seeds: Sequence[int] | None = None, first_environment: int = 0
) -> Environments:
    """The environments of a run: ``train``; ``evaluate``, ``confirm`` (meanwhile); or ``test`` (once it is over).

    Their numbers, by which episodes differ, begin with ``first_environment``.
    """
    config = run.config
    own = agent_spec(run.agent).training_env_kwargs if purpose == "train" else {}
    return make_environments(
        config.env,
        seeds or run.seeds,
        num_envs,
        protocol=PROTOCOLS[config.protocol] if is_atari(config.env) else None,
        vectorization=config.vectorization,
        device=str(run.device),
        # No step is spent on a reset, so that all env steps are learned from and all seeds have the same count.
        autoreset_mode=AutoresetMode.SAME_STEP,
        env_kwargs={**config.env_kwargs, **own},
        preprocessing=preprocessing_of(config),
        purpose=purpose,
        first_environment=first_environment,
    )


def preprocessing_of(config: RunConfig) -> Preprocessing:
    """Return the options that apply to each copy of the environment."""
    return Preprocessing(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Preprocessing)})


def evaluation_envs(run: Run, episodes: int, at_most: int) -> int:
    """Environments of each seed for an evaluation.

    By default ``at_most`` of those that are vectors by themselves, and of Gymnasium's own in this process; of others,
    which may be simulators of which there are few, or costly ones, as many as train.
    """
    config = run.config
    is_cheap = is_atari(config.env) or is_on_tensors(config.env)
    is_cheap = is_cheap or (is_gymnasiums_own(config.env) and config.vectorization == "sync")
    return min(episodes, config.evaluation_envs or (at_most if is_cheap else config.num_envs))


def evaluation_limit(run: Run, episodes: int, num_envs: int) -> int:
    """Env steps of each seed after which an evaluation is cut; see ``RunConfig``."""
    config = run.config
    if config.evaluation_max_env_steps is not None:
        return config.evaluation_max_env_steps
    frames_a_step = 4
    longest = (
        PROTOCOLS[config.protocol].frame_cap // frames_a_step
        if is_atari(config.env)
        else config.max_episode_steps or find_spec(config.env).max_episode_steps or 0
    )
    return max(_MANY_ENV_STEPS, config.total_env_steps, (episodes + num_envs) * longest)


def build_agent(run: Run, observation_space: Any, action_space: Any) -> Any:
    """The agent of a run for the spaces of its environment, with fresh parameters.

    Raises:
        ValueError: the agent cannot be built so, or not for these spaces.
    """
    kind, normaliser = agent_spec(run.agent).agent, _normaliser(run, observation_space)
    seen = observation_space
    if normaliser is not None and isinstance(run.config, AgentConfig) and run.config.normalise_observations:
        seen = Box(-np.inf, np.inf, observation_space.shape, np.float32)
    arguments = (resolved(run.config), seen, action_space, run.seeds, run.device)
    try:
        inspect.signature(kind).bind(*arguments)
    except TypeError as error:
        raise ValueError(
            f"{run.agent_name} must be built as agent(config, observation_space, action_space, seeds, device): {error}"
        ) from None
    agent = kind(*arguments)
    return agent if normaliser is None else Normalised(agent, normaliser)


def _normaliser(run: Run, observation_space: Any) -> Normaliser | None:
    config = run.config
    if not isinstance(config, AgentConfig) or not (config.normalise_observations or config.normalise_rewards):
        return None
    if config.normalise_observations and has_pixels(observation_space):
        raise ValueError("--normalise-observations is not for pictures: networks scale them by their bounds")
    return Normaliser(
        len(run.seeds),
        config.num_envs,
        observation_space.shape,
        per_seed("discount", config.discount, run.seeds).to(run.device),
        observations=config.normalise_observations,
        rewards=config.normalise_rewards,
    )


def shard(run: Run, start: int, stop: int) -> Run:
    """The run with its seeds number ``start`` to ``stop`` only, for a worker of one thread."""
    config = run.config
    changes: dict[str, Any] = {"seed": config.seed + start, "seeds": stop - start, "threads": config.threads or 1}
    for field in dataclasses.fields(config):
        values = getattr(config, field.name)
        if field.name in config.per_seed and len(values) > 1:
            per_seed(field.name, values, run.seeds)  # as many as seeds
            changes[field.name] = values[start:stop]
    # Decided by the number of seeds of the whole run.
    changes["execution"] = resolved(config).execution
    return dataclasses.replace(run, config=dataclasses.replace(config, **changes))


def row_of(run: Run, seed: int | None) -> int:
    """The row of a seed in what the run holds of all; that of the first unless one is named.

    Raises:
        ValueError: the run has no such seed.
    """
    if seed is None:
        return 0
    if seed not in run.seeds:
        raise ValueError(f"{run.folder} has no seed {seed}: it has {', '.join(map(str, run.seeds))}")
    return run.seeds.index(seed)


def load_agent(run: Run, checkpoint: str = "best", seed: int | None = None) -> Any:
    """The trained agent of a run, or of one of its seeds, from a checkpoint: ``best``, ``last`` or another.

    Raises:
        ValueError: the run has no such seed.
        CheckpointError: the checkpoint is missing or damaged.
    """
    learner = run.checkpoints.load(shown(run, checkpoint))["learner"]
    if seed is not None:
        row = row_of(run, seed)
        learner, run = split_seeds(learner, [1] * len(run.seeds))[row], shard(run, row, row + 1)
    spaces = spaces_of(run)
    agent = build_agent(run, spaces.observation, spaces.action)
    with fitting(f"checkpoint {checkpoint} of {run.folder}"):
        agent.load_state_dict(to_device(learner, run.device))
    return agent


def shown(run: Run, checkpoint: str) -> str:
    """The checkpoint that is there to be shown: the last one, before any evaluation has found a best."""
    if checkpoint != "best" or run.checkpoints.exists("best"):
        return checkpoint
    log.warning("no evaluation has chosen a best checkpoint of %s yet: the last one is taken", run.folder)
    return "last"


def seeds_text(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}..{seeds[-1]}"
