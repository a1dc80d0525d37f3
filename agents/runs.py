"""A run and its folder: from a configuration to a trainer, and from a folder back to an agent."""

import dataclasses
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.configs import DQNConfig, RunConfig
from agents.registry import agent_class, config_class
from envs.make import make_environments
from envs.protocols import PROTOCOLS
from rlsuite.experience import Environments
from rlsuite.networks.encoder import is_pixels
from rlsuite.replay.frames import FrameReplay
from rlsuite.replay.uniform import UniformReplay
from rlsuite.tracking.record import Writer
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, load, to_device
from rlsuite.training.collector import Collector, Replay
from rlsuite.training.evaluation import evaluate
from rlsuite.training.schedules import per_seed
from rlsuite.training.trainer import Schedule, Trainer

_EVALUATION_ENVS = 10  # per seed, at most, so that populations do not open thousands of environments
_PACKAGES = ("gymnasium", "torch", "numpy", "ale-py", "wandb")


@dataclass(frozen=True)
class Run:
    """A run's folder and what it was started with."""

    folder: Path
    agent: str
    config: RunConfig

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoint")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.config.seeds))

    @property
    def device(self) -> torch.device:
        return find_device(self.config.device)


def find_device(name: str) -> torch.device:
    """The torch device of that name; ``auto`` is CUDA where there is one.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not usable here: {str(error).splitlines()[0]}") from None
    return device


def _git_commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def create(agent: str, config: RunConfig) -> Run:
    """Make the folder of a new run and write its ``config.json``.

    Raises:
        ValueError: a number is out of its range, or the folder is taken.
    """
    check(config)
    name = config.name or f"{agent}-{config.env.replace('/', '-').replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(config.runs) / name
    if (folder / "config.json").exists():
        raise ValueError(f"{folder} already holds a run: choose another --name, or go on with --resume {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "agent": agent,
        "config": dataclasses.asdict(config),
        "protocol": dataclasses.asdict(PROTOCOLS[config.protocol]) if config.env.startswith("ALE/") else None,
        "command": sys.argv,
        "commit": _git_commit(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES},
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    (folder / "config.json").write_text(json.dumps(document, indent=2) + "\n")
    return Run(folder, agent, config)


def open_run(folder: Path) -> Run:
    """The run of a folder.

    Raises:
        ValueError: the folder is missing, holds no run, or one this version cannot read.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    try:
        document = json.loads((folder / "config.json").read_text())
        fields = document["config"]
        config = config_class(document["agent"])(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
    except FileNotFoundError:
        raise ValueError(f"{folder} is not a run: it has no config.json") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'config.json'} is damaged or of another version: {error}") from None
    return Run(folder, document["agent"], config)


def check(config: RunConfig) -> None:
    """Refuse numbers no run can have.

    Raises:
        ValueError: names the option and what it must be.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        option = "--" + field.name.replace("_", "-")
        positive = field.name in {"seeds", "num_envs", "total_env_steps", "evaluation_episodes", "batch_size", "n_step"}
        positive |= field.name in {"replay_capacity", "learning_rate", "hidden", "threads"}
        positive |= field.name.endswith(("_every_env_steps", "_per_train", "_period_updates", "_seconds", "_norm"))
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, int | float) or isinstance(number, bool):
                continue
            if positive and not number > 0:
                raise ValueError(f"{option} must be positive, not {number}")
            if not positive and field.name != "target_return" and not number >= 0:
                raise ValueError(f"{option} must not be negative, not {number}")
            fraction = field.name in {"discount", "target_averaging"} or "epsilon" in field.name and "steps" not in field.name
            if fraction and number > 1:
                raise ValueError(f"{option} must be at most 1, not {number}")


def environments(run: Run, purpose: str, num_envs: int) -> Environments:
    """The environments of a run: ``train``, ``evaluate`` (between updates) or ``test`` (once it is over)."""
    config = run.config
    return make_environments(
        config.env,
        run.seeds,
        num_envs,
        protocol=PROTOCOLS[config.protocol],
        vectorization=config.vectorization,
        device=run.device,
        purpose=purpose,
    )


def build_agent(run: Run, observation_space: Any, action_space: Any) -> Any:
    """The agent of a run for the spaces of its environment, with fresh parameters."""
    return agent_class(run.agent)(run.config, observation_space, action_space, run.seeds, run.device)


def load_agent(run: Run, checkpoint: str = "best") -> Any:
    """The trained agent of a run from its ``best``, ``last`` or ``previous`` checkpoint.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    folder = run.checkpoints.folder / checkpoint
    if checkpoint == "best" and not folder.exists():
        folder = run.checkpoints.folder / "last"
    state = load(folder)
    probe = environments(run, "evaluate", 1)
    agent = build_agent(run, probe.observation_space, probe.action_space)
    probe.close()
    try:
        agent.load_state_dict(to_device(state["learner"], run.device))
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{folder} does not fit the agent of its config.json: {str(error).splitlines()[0]}") from None
    return agent


def _replay(config: DQNConfig, environments: Environments, device: torch.device) -> Replay:
    observations, actions = environments.observation_space, environments.action_space
    seeds = environments.seeds
    discount = per_seed("discount", config.discount, seeds)
    shared: dict[str, Any] = {
        "seeds": len(seeds),
        "num_envs": environments.num_envs,
        "discount": discount.to(device),
        "n_step": config.n_step,
        "device": device,
    }
    assert observations.shape is not None
    if config.env.startswith("ALE/"):
        stack, *frame = observations.shape
        return FrameReplay(config.replay_capacity, stack=stack, frame_shape=tuple(frame), **shared)
    return UniformReplay(
        config.replay_capacity,
        observation_shape=observations.shape,
        observation_dtype=torch.uint8 if is_pixels(observations) else torch.float32,
        action_shape=actions.shape,
        action_dtype=torch.int64 if np.issubdtype(actions.dtype, np.integer) else torch.float32,
        **shared,
    )


def build_trainer(run: Run, writer: Writer) -> Trainer[Any]:
    """Everything a run needs, from its configuration alone."""
    config, device = run.config, run.device
    train = environments(run, "train", config.num_envs)
    agent = build_agent(run, train.observation_space, train.action_space)
    assert isinstance(config, DQNConfig)
    source = Collector(
        agent,
        train,
        _replay(config, train, device),
        batch_size=config.batch_size,
        learning_starts_env_steps=config.learning_starts_env_steps,
        train_every_env_steps=config.train_every_env_steps,
        updates_per_train=config.updates_per_train,
        clip_rewards=config.clip_rewards,
        device=device,
    )

    def evaluation() -> dict[str, np.ndarray]:
        episodes = config.evaluation_episodes
        own = environments(run, "evaluate", min(episodes, _EVALUATION_ENVS))
        try:
            return evaluate(agent, own, episodes, device).metrics()
        finally:
            own.close()

    schedule = Schedule(
        total=config.total_env_steps,
        log_every=config.log_every_env_steps,
        evaluate_every=config.evaluate_every_env_steps,
        checkpoint_every_seconds=config.checkpoint_every_seconds,
        target_score=config.target_return,
    )
    return Trainer(agent, source, schedule, writer, run.checkpoints, evaluation)


def default_threads(observation_space: Any) -> int:
    """CPU threads of torch: small products lose more to waking threads than they win."""
    return torch.get_num_threads() if is_pixels(observation_space) else 1


def seeds_text(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}..{seeds[-1]}"
