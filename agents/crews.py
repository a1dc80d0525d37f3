"""From a run to who works on it: one worker, or one for each tile of its seeds."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete

from agents.configs import AgentConfig, ReplayConfig, RunConfig
from agents.registry import find_spec
from agents.runs import Run, build_agent, environments, is_atari, resolved
from rlsuite.agent import extras_of
from rlsuite.experience import Environments
from rlsuite.networks.encoder import is_pixels
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay, Sampler, Store, Uniform
from rlsuite.replay.rollout import Rollout
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.collector import Collector, rounds_of
from rlsuite.training.evaluation import evaluate
from rlsuite.training.plan import compile_worker
from rlsuite.training.rows import equal_shares
from rlsuite.training.schedules import per_seed
from rlsuite.training.tiles import Tiles
from rlsuite.training.trainer import Crew, Schedule, Trainer
from rlsuite.training.worker import Worker

_EVALUATION_ENVS = 10  # per seed, at most, so that populations do not open thousands of environments
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
    """The worker of a run, or its ``--workers`` with ``--tiles`` of seeds as equal as can be."""
    workers = run.config.workers or 1
    number = run.config.tiles or workers
    if number == 1:
        return build_worker(run)
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

    def evaluation() -> dict[str, np.ndarray]:
        episodes = config.evaluation_episodes
        own = environments(run, "evaluate", min(episodes, _EVALUATION_ENVS))
        try:
            return evaluate(agent, own, episodes, device).metrics()
        finally:
            own.close()

    worker: Worker[Any] = Worker(agent, _source(run, config, agent, train, device), evaluation, run.seeds)
    compile_worker(worker, config.execution)
    return worker


def _default_threads(config: RunConfig, observation_space: Any) -> int:
    """CPU threads of torch."""
    if is_pixels(observation_space):
        return torch.get_num_threads()
    batch = config.batch_size if isinstance(config, ReplayConfig) else 1
    widest = max(config.hidden) if isinstance(config, AgentConfig) else 1
    return torch.get_num_threads() if batch * widest**2 >= _PRODUCTS_WORTH_THREADS else 1


def _source(run: Run, config: RunConfig, agent: Any, train: Environments, device: torch.device) -> Collector:
    """Where the agent's batches come from: a replay that is sampled, or the newest rollout."""
    if find_spec(run.agent).learns_from == "rollout":
        return _rollouts(config, agent, train, device)
    assert isinstance(config, ReplayConfig)
    vector_steps, updates = rounds_of(config.train_every_env_steps, config.updates_per_train, train.num_envs)
    return Collector(
        agent,
        train,
        _replay(config, agent, train, device),
        vector_steps=vector_steps,
        updates_a_round=updates,
        learning_starts_env_steps=config.learning_starts_env_steps,
        clip_rewards=config.clip_rewards,
        save_experience=config.save_replay,
        device=device,
    )


def _rollouts(config: Any, agent: Any, train: Environments, device: torch.device) -> Collector:
    vector_steps = config.rollout_env_steps // train.num_envs
    if vector_steps < 1:
        raise ValueError(
            f"--rollout-env-steps {config.rollout_env_steps} is less than one step of --num-envs {train.num_envs}"
        )
    rollout = Rollout(vector_steps, **_shapes(agent, train), device=device)
    return Collector(
        agent,
        train,
        rollout,
        vector_steps=vector_steps,
        acts_ahead=False,
        clip_rewards=config.clip_rewards,
        device=device,
    )


def _replay(config: ReplayConfig, agent: Any, environments: Environments, device: torch.device) -> Replay:
    shapes = _shapes(agent, environments)
    discount = per_seed("discount", config.discount, environments.seeds).to(device)
    store: Store
    if is_atari(config.env):
        stack, *frame = shapes.pop("observation_shape")
        shapes.pop("observation_dtype")
        store = FrameStore(
            config.replay_capacity,
            stack=stack,
            frame_shape=tuple(frame),
            **shapes,
            discount=discount,
            n_step=config.n_step,
            device=device,
        )
    else:
        store = TransitionStore(
            config.replay_capacity, **shapes, discount=discount, n_step=config.n_step, device=device
        )
    sampler: Sampler = Uniform()
    if config.replay_priority_exponent > 0:
        sampler = Prioritised(
            len(environments.seeds),
            store.slots,
            alpha=config.replay_priority_exponent,
            beta=config.replay_importance_exponent,
            beta_draws=config.total_updates,
            device=device,
        )
    return Replay(store, config.batch_size, sampler)


def _shapes(agent: Any, environments: Environments) -> dict[str, Any]:
    """What a memory must know of the environments whose steps it stores."""
    observations, actions = environments.observation_space, environments.action_space
    return {
        "seeds": len(environments.seeds),
        "num_envs": environments.num_envs,
        "observation_shape": observations.shape,
        "observation_dtype": torch.uint8 if is_pixels(observations) else torch.float32,
        "action_shape": actions.shape,
        "action_dtype": torch.int64 if isinstance(actions, Discrete) else torch.float32,
        "extras": extras_of(agent),
    }
