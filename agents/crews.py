"""From a run to who works on it: one worker, or one for each tile of its seeds."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from agents.configs import AgentConfig, ReinforceConfig, ReplayConfig, RunConfig
from agents.runs import (
    Run,
    Spaces,
    build_agent,
    environments,
    evaluation_envs,
    evaluation_limit,
    final_episodes,
    resolved,
)
from envs.lookup import is_atari
from envs.seeding import Purpose
from rlsuite.experience import Environments
from rlsuite.networks.encoder import is_pixels
from rlsuite.replay.frames import FrameReplay
from rlsuite.replay.rollout import Rollout
from rlsuite.replay.uniform import UniformReplay
from rlsuite.tracking.notices import say
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.collector import Collector, Replay
from rlsuite.training.evaluation import Watch, evaluate
from rlsuite.training.on_policy import RolloutSource
from rlsuite.training.room import require_room
from rlsuite.training.rows import equal_shares
from rlsuite.training.schedules import per_seed
from rlsuite.training.tiles import Tiles
from rlsuite.training.trainer import Crew, Schedule, Trainer
from rlsuite.training.worker import Source, Worker

_EVALUATION_ENVS = 10  # per seed, at most, so that populations do not open thousands of environments
_CONFIRMATION_EPISODES = 100  # at most: a mean of ten is above the target by chance too often
# Multiplications in one product; with fewer, waking threads costs more than it wins.
_PRODUCTS_WORTH_THREADS = 8_000_000


def build_trainer(
    run: Run, writer: Writer, tick: Callable[[Clock], None] | None = None, crew: Crew | None = None
) -> Trainer:
    """Everything a run needs, from its configuration alone; ``crew`` where it is there already."""
    config = run.config
    schedule = Schedule(
        total=config.total_env_steps,
        log_every=config.log_every_env_steps,
        evaluate_every=config.evaluate_every_env_steps,
        checkpoint_every_seconds=config.checkpoint_every_seconds,
        target_score=config.target_return,
    )
    return Trainer(crew or build_crew(run), schedule, writer, run.checkpoints, tick)


def build_crew(run: Run) -> Crew:
    """The worker of a run, or its ``--workers`` with ``--tiles`` of seeds as equal as can be.

    Raises:
        ValueError: the configuration does not fit.
    """
    workers = run.config.workers or 1
    number = run.config.tiles or workers
    if workers > number:
        raise ValueError(
            f"--workers {workers} is more than the {number} groups (--tiles) that the run has its seeds in"
        )
    if number == 1:
        return build_worker(run)
    if run.config.vectorization == "async":
        raise ValueError("--vectorization async has processes of its own, which workers cannot start: add --workers 1")
    tiles = [tile(run, share.start, share.stop) for share in equal_shares(len(run.seeds), number)]
    builders = [functools.partial(build_worker, part) for part in tiles]
    return Tiles(builders, [len(part.seeds) for part in tiles], workers)


def tile(run: Run, start: int, stop: int) -> Run:
    """The run with its seeds number ``start`` to ``stop`` only, for a worker of one thread."""
    config = run.config
    changes: dict[str, Any] = {"seed": config.seed + start, "seeds": stop - start, "threads": config.threads or 1}
    for field in dataclasses.fields(config):
        values = getattr(config, field.name)
        if field.name in config.per_seed and len(values) > 1:
            per_seed(field.name, values, run.seeds)  # as many as seeds
            changes[field.name] = values[start:stop]
    # Decided by the whole run: its seeds count together.
    changes["execution"] = resolved(config).execution
    return dataclasses.replace(run, config=dataclasses.replace(config, **changes))


def build_worker(run: Run) -> Worker[Any]:
    """A worker for all seeds of ``run``; sets the threads of this process."""
    config, device = resolved(run.config), run.device
    train = environments(run, "train", config.num_envs)
    torch.set_num_threads(config.threads or _default_threads(config, train.observation_space))
    agent = build_agent(run, train.observation_space, train.action_space)

    def play(purpose: Purpose, episodes: int) -> dict[str, np.ndarray]:
        num_envs = evaluation_envs(run, episodes, _EVALUATION_ENVS)
        own = environments(run, purpose, num_envs)
        try:
            limit = evaluation_limit(run, episodes, num_envs)
            found = evaluate(agent, own, episodes, device, limit, Watch("evaluation", episodes))
            if found.unfinished:
                say(f"the evaluation was cut, {found.unfinished} episodes are open: see --evaluation-max-env-steps")
            return found.metrics()
        finally:
            own.close()

    confirmation_episodes = max(config.evaluation_episodes, min(final_episodes(config), _CONFIRMATION_EPISODES))
    source = _source(config, agent, train, device)
    return Worker(
        agent,
        source,
        functools.partial(play, "evaluate", config.evaluation_episodes),
        run.seeds,
        execution=config.execution if agent.is_one_region else "eager",
        rounds=source if isinstance(source, Collector) and source.round_is_one_region else None,
        confirmation=functools.partial(play, "confirm", confirmation_episodes),
    )


def _default_threads(config: RunConfig, observation_space: Any) -> int:
    """CPU threads of torch."""
    if is_pixels(observation_space):
        return torch.get_num_threads()
    batch = config.batch_size if isinstance(config, ReplayConfig) else 1
    widest = max(config.hidden) if isinstance(config, AgentConfig) else 1
    return torch.get_num_threads() if batch * widest**2 >= _PRODUCTS_WORTH_THREADS else 1


def _source(config: RunConfig, agent: Any, train: Environments, device: torch.device) -> Source[Any]:
    """Where the agent's batches come from: a replay where the configuration has one, else its own rollouts."""
    shapes = _shapes(len(train.seeds), train.num_envs, Spaces(train.observation_space, train.action_space))
    if isinstance(config, ReplayConfig):
        discount = per_seed("discount", config.discount, train.seeds).to(device)
        return Collector(
            agent,
            train,
            _replay(config, shapes, discount, device),
            batch_size=config.batch_size,
            learning_starts_env_steps=config.learning_starts_env_steps,
            train_every_env_steps=config.train_every_env_steps,
            updates_per_train=config.updates_per_train,
            clip_rewards=config.clip_rewards,
            save_replay=config.save_replay,
            execution=config.execution,
            device=device,
        )
    assert isinstance(config, ReinforceConfig)
    rollout = _rollout(config, shapes, device)
    return RolloutSource(
        agent, train, rollout, clip_rewards=config.clip_rewards, execution=config.execution, device=device
    )


def _replay(config: ReplayConfig, shapes: dict[str, Any], discount: Tensor, device: torch.device) -> Replay:
    if is_atari(config.env) and len(shapes["observation_shape"]) == 3:
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


def _rollout(config: ReinforceConfig, shapes: dict[str, Any], device: torch.device) -> Rollout:
    vector_steps = config.rollout_env_steps // config.num_envs
    if vector_steps < 1:
        raise ValueError(
            f"--rollout-env-steps {config.rollout_env_steps} is less than one step of --num-envs {config.num_envs}"
        )
    return Rollout(vector_steps, **shapes, device=device)


def _shapes(seeds: int, num_envs: int, spaces: Spaces) -> dict[str, Any]:
    """What a memory must know of the environments whose steps it stores."""
    return {
        "seeds": seeds,
        "num_envs": num_envs,
        "observation_shape": spaces.observation.shape,
        "observation_dtype": torch.uint8 if spaces.observation.dtype == np.uint8 else torch.float32,
        "action_shape": spaces.action.shape,
        "action_dtype": torch.int64 if isinstance(spaces.action, Discrete) else torch.float32,
    }


def require_room_for(run: Run, spaces: Spaces) -> None:
    """Refuse a run whose experience, of all seeds together, takes more memory than there is.

    Raises:
        ValueError: the message says how much is needed, how much there is, and which option makes it fit.
    """
    config = run.config
    parts = config.tiles or config.workers or 1
    shapes = _shapes(len(run.seeds), config.num_envs, spaces)
    nowhere = torch.device("meta")  # tensors there have a size and take no memory
    if isinstance(config, ReplayConfig):
        replay = _replay(config, shapes, torch.ones(()), nowhere)
        filled = min(1.0, config.total_env_steps / config.replay_capacity)
        require_room(
            "the replay", "--replay-capacity", config.replay_capacity, replay.nbytes, filled, run.device, parts
        )
    elif isinstance(config, ReinforceConfig):
        nbytes = _rollout(config, shapes, nowhere).nbytes
        require_room("a rollout", "--rollout-env-steps", config.rollout_env_steps, nbytes, 1.0, run.device, parts)
