"""Build the workers of a run: one, or one for each shard of its seeds."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.runs.deciding import final_episodes, resolved, threads
from agents.runs.players import require_players_fit
from agents.runs.run import (
    EVALUATION_ENVS,
    Run,
    build_agent,
    environments,
    evaluation_envs,
    evaluation_limit,
    shard,
)
from agents.runs.sources import source
from envs.seeding import Purpose
from rlsuite import ranks
from rlsuite.tracking.notices import say
from rlsuite.tracking.record import Clock, Writer
from rlsuite.training.evaluation import Watch, evaluate
from rlsuite.training.per_seed import even_split
from rlsuite.training.plan import compile_worker
from rlsuite.training.ranked import Ranked
from rlsuite.training.shards import Shards
from rlsuite.training.trainer import Schedule, Trainer, Workers
from rlsuite.training.worker import Worker

_CONFIRMATION_EPISODES = 100  # at most; a mean of ten episodes is too often above the target by chance


def build_trainer(
    run: Run, writer: Writer, tick: Callable[[Clock], None] | None = None, workers: Workers | None = None
) -> Trainer:
    """Everything a run needs, from its configuration alone; ``workers`` where it is there already."""
    config = run.config
    schedule = Schedule(
        total=config.total_env_steps,
        log_every=config.log_every_env_steps,
        evaluate_every=config.evaluate_every_env_steps,
        checkpoint_every_seconds=config.checkpoint_every_seconds,
        keeps_evaluated=config.keep_evaluated,
        target_score=config.target_return,
    )
    return Trainer(workers or build_workers(run), schedule, writer, run.checkpoints, tick)


def build_workers(run: Run) -> Workers:
    """The worker of a run, or its ``--workers`` with ``--shards`` of seeds as equal as can be.

    Raises:
        ValueError: the configuration does not fit.
    """
    require_players_fit(run.config)
    workers = run.config.workers or 1
    number = run.config.shards or workers
    if workers > number:
        raise ValueError(
            f"--workers {workers} is more than the {number} groups (--shards) that the run has its seeds in"
        )
    if ranks.size() > 1:
        return Ranked(build_worker(run))
    if number == 1:
        return build_worker(run)
    if run.config.vectorization == "async":
        raise ValueError("--vectorization async has processes of its own, which workers cannot start: add --workers 1")
    shards = [shard(run, share.start, share.stop) for share in even_split(len(run.seeds), number)]
    builders = [functools.partial(build_worker, part) for part in shards]
    return Shards(builders, [len(part.seeds) for part in shards], workers)


def build_worker(run: Run) -> Worker[Any]:
    """A worker for all seeds of ``run``; sets the threads of this process."""
    config, device = resolved(run.config), run.device
    train = environments(run, "train", config.num_envs)
    torch.set_num_threads(threads(config, train.observation_space))
    agent = build_agent(run, train.observation_space, train.action_space)

    def play(purpose: Purpose, episodes: int) -> dict[str, np.ndarray]:
        num_envs = evaluation_envs(run, episodes, EVALUATION_ENVS)
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
    worker: Worker[Any] = Worker(
        agent,
        source(run, config, agent, train, device),
        functools.partial(play, "evaluate", config.evaluation_episodes),
        run.seeds,
        confirmation=functools.partial(play, "confirm", confirmation_episodes),
    )
    compile_worker(worker, config.execution)
    return worker
