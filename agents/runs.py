"""A run and its folder: from a configuration to a trainer, and from a folder back to an agent."""

import dataclasses
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode

from agents.configs import DQNConfig, ReinforceConfig, ReplayConfig, RunConfig
from agents.registry import agent_class, config_class
from envs.make import make_environments
from envs.protocols import PROTOCOLS
from envs.seeding import Purpose
from rlsuite.experience import Environments
from rlsuite.networks.encoder import is_pixels
from rlsuite.replay.frames import FrameReplay
from rlsuite.replay.rollout import Rollout
from rlsuite.replay.uniform import UniformReplay
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, load, to_device
from rlsuite.training.collector import Collector, Replay
from rlsuite.training.evaluation import evaluate
from rlsuite.training.on_policy import RolloutSource
from rlsuite.training.schedules import per_seed
from rlsuite.training.trainer import Schedule, Source, Trainer

_EVALUATION_ENVS = 10  # per seed, at most, so that populations do not open thousands of environments
_UPDATES_WORTH_COMPILING = 40_000  # of one seed; compiling takes 10 to 30 s and halves an update of small networks
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


def create(agent: str, config: RunConfig) -> Run:
    """Make the folder of a new run and write its ``config.json``.

    Raises:
        ValueError: the folder is taken.
    """
    name = config.name or f"{agent}-{config.env.replace('/', '-').replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(config.runs) / name
    if (folder / "config.json").exists():
        raise ValueError(f"{folder} already holds a run: choose another --name, or go on with --resume {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "agent": agent,
        "config": dataclasses.asdict(config),
        "protocol": dataclasses.asdict(PROTOCOLS[config.protocol]) if is_atari(config.env) else None,
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
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
        }
        config = config_class(document["agent"])(**values)
    except FileNotFoundError:
        raise ValueError(f"{folder} is not a run: it has no config.json") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'config.json'} is damaged or of another version: {error}") from None
    return Run(folder, document["agent"], config)


def is_atari(env_id: str) -> bool:
    return env_id.startswith("ALE/")


def environments(run: Run, purpose: Purpose, num_envs: int) -> Environments:
    """The environments of a run: ``train``, ``evaluate`` (between updates) or ``test`` (once it is over)."""
    config = run.config
    return make_environments(
        config.env,
        run.seeds,
        num_envs,
        protocol=PROTOCOLS[config.protocol] if is_atari(config.env) else None,
        vectorization=config.vectorization,
        device=str(run.device),
        # No step is lost to a reset: every env step is one to learn from, and the clock of all seeds is the same.
        autoreset_mode=AutoresetMode.SAME_STEP,
        purpose=purpose,
    )


def build_agent(run: Run, observation_space: Any, action_space: Any) -> Any:
    """The agent of a run for the spaces of its environment, with fresh parameters."""
    config = resolved(run.config)
    return agent_class(run.agent)(config, observation_space, action_space, run.seeds, run.device)


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with everything decided that it leaves open."""
    changes: dict[str, Any] = {}
    if isinstance(config, DQNConfig) and config.evaluation_epsilon is None:
        changes["evaluation_epsilon"] = PROTOCOLS[config.protocol].evaluation_epsilon if is_atari(config.env) else 0.0
    if config.execution == "auto":
        long = isinstance(config, ReplayConfig) and config.total_updates * config.seeds >= _UPDATES_WORTH_COMPILING
        changes["execution"] = "compile" if long else "eager"
    return dataclasses.replace(config, **changes)


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
        raise CheckpointError(
            f"{folder} does not fit the agent of its config.json: {str(error).splitlines()[0]}"
        ) from None
    return agent


def _shapes(environments: Environments) -> dict[str, Any]:
    """What a memory must know of the environments whose steps it stores."""
    observations, actions = environments.observation_space, environments.action_space
    return {
        "seeds": len(environments.seeds),
        "num_envs": environments.num_envs,
        "observation_shape": observations.shape,
        "observation_dtype": torch.uint8 if is_pixels(observations) else torch.float32,
        "action_shape": actions.shape,
        "action_dtype": torch.int64 if isinstance(actions, Discrete) else torch.float32,
    }


def _replay(config: ReplayConfig, environments: Environments, device: torch.device) -> Replay:
    shapes = _shapes(environments)
    discount = per_seed("discount", config.discount, environments.seeds).to(device)
    if is_atari(config.env):
        stack, *frame = shapes["observation_shape"]
        return FrameReplay(
            config.replay_capacity,
            seeds=shapes["seeds"],
            num_envs=shapes["num_envs"],
            stack=stack,
            frame_shape=tuple(frame),
            discount=discount,
            n_step=config.n_step,
            device=device,
        )
    return UniformReplay(config.replay_capacity, **shapes, discount=discount, n_step=config.n_step, device=device)


def _source(config: RunConfig, agent: Any, train: Environments, device: torch.device) -> Source[Any]:
    """Where the agent's batches come from: a replay where the configuration has one, else its own rollouts."""
    if isinstance(config, ReplayConfig):
        return Collector(
            agent,
            train,
            _replay(config, train, device),
            batch_size=config.batch_size,
            learning_starts_env_steps=config.learning_starts_env_steps,
            train_every_env_steps=config.train_every_env_steps,
            updates_per_train=config.updates_per_train,
            clip_rewards=config.clip_rewards,
            save_replay=config.save_replay,
            device=device,
        )
    assert isinstance(config, ReinforceConfig)
    vector_steps = config.rollout_env_steps // train.num_envs
    if vector_steps < 1:
        raise ValueError(
            f"--rollout-env-steps {config.rollout_env_steps} is less than one step of --num-envs {train.num_envs}"
        )
    rollout = Rollout(vector_steps, **_shapes(train), device=device)
    return RolloutSource(agent, train, rollout, clip_rewards=config.clip_rewards, device=device)


def build_trainer(run: Run, writer: Writer, tick: Callable[[Clock], None] | None = None) -> Trainer[Any]:
    """Everything a run needs, from its configuration alone."""
    config, device = run.config, run.device
    train = environments(run, "train", config.num_envs)
    agent = build_agent(run, train.observation_space, train.action_space)
    source = _source(config, agent, train, device)

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
    return Trainer(agent, source, schedule, writer, run.checkpoints, evaluation, tick)


def default_threads(observation_space: Any) -> int:
    """CPU threads of torch: small products lose more to waking threads than they win."""
    return torch.get_num_threads() if is_pixels(observation_space) else 1


def seeds_text(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}..{seeds[-1]}"
