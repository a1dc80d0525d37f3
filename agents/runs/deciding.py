"""Decide what a configuration leaves open, by the length of the run and by the machine."""

import dataclasses
import logging
from typing import Any

import torch
from gymnasium.spaces import Space

from agents.options import AgentConfig, EpsilonGreedyConfig, ReplayConfig, RolloutConfig, RunConfig, SequenceConfig
from envs.lookup import is_atari, is_on_tensors
from envs.protocols import PROTOCOLS
from rlsuite.cores import usable_cores
from rlsuite.networks.encoder import has_pixels
from rlsuite.training.device import usable_device

log = logging.getLogger("rlsuite")

# Counts over all seeds from which compiling, and starting more workers, saves more time than it takes.
_LONG_UPDATES = 40_000
_LONG_ENV_STEPS = 500_000
# Small shards fit the cache of a core; ``docs/benchmarks.md`` compares their sizes.
_SEEDS_A_SHARD = 5
# Multiplications in one product; with fewer, waking threads costs more than it wins.
_PRODUCTS_WORTH_THREADS = 8_000_000


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with everything decided that it leaves open."""
    changes: dict[str, Any] = {}
    if isinstance(config, EpsilonGreedyConfig) and config.evaluation_epsilon is None:
        changes["evaluation_epsilon"] = PROTOCOLS[config.protocol].evaluation_epsilon if is_atari(config.env) else 0.0
    if config.execution == "auto" and usable_device(config.device).type == "cuda":
        changes["execution"] = "graph"
    elif config.execution == "auto":
        changes["execution"] = "compile" if _has_many_updates(config) else "eager"
    return dataclasses.replace(config, **changes)


def threads(config: RunConfig, observation_space: Space[Any]) -> int:
    """CPU threads of torch in each process of a run."""
    if config.threads is not None:
        return config.threads
    if (config.shards or 1) > 1:
        return 1
    batch = config.batch_size if isinstance(config, ReplayConfig) else 1
    widest = max(config.hidden) if isinstance(config, AgentConfig) else 1
    is_worth = has_pixels(observation_space) or batch * widest**2 >= _PRODUCTS_WORTH_THREADS
    return torch.get_num_threads() if is_worth else 1


def final_episodes(config: RunConfig) -> int:
    """Episodes of the evaluation when the run is over."""
    if config.final_episodes is not None:
        return config.final_episodes
    return 10 if is_atari(config.env) else 100  # an Atari episode takes up to half an hour of play


def _is_long(config: RunConfig) -> bool:
    """Whether the run lasts so long that compiling and processes of its own pay, by a rule of thumb."""
    if isinstance(config, ReplayConfig):
        return _has_many_updates(config)
    return config.total_env_steps * config.seeds >= _LONG_ENV_STEPS


def _has_many_updates(config: RunConfig) -> bool:
    """Whether the run has so many updates that compiling them pays, by a rule of thumb."""
    return isinstance(config, ReplayConfig | RolloutConfig) and config.total_updates * config.seeds >= _LONG_UPDATES


def for_its_length(config: RunConfig) -> RunConfig:
    """The configuration, for a short run one that learns: defaults and presets fill the replay for long ones.

    Raises:
        ValueError: a sequence takes more env steps than the run has.
    """
    total = config.total_env_steps
    least = 0
    if isinstance(config, ReplayConfig) and (least := config.warm_up_rows * config.all_envs) > total:
        is_of_sequences = isinstance(config, SequenceConfig)
        options = "a sequence (--burn-in-env-steps, --sequence-env-steps, --n-step)" if is_of_sequences else "--n-step"
        raise ValueError(
            f"--total-env-steps {total:,} is too little to learn from: the first update comes after {least:,}, which "
            f"{config.all_envs} environments take for {options}"
        )
    if isinstance(config, RolloutConfig) and config.rollouts < 1:
        log.warning(
            "nothing is learned: of the only rollout of this run, scales are measured, which all others are learned "
            "on; --rollout-env-steps makes rollouts shorter"
        )
    elif isinstance(config, RolloutConfig) and config.rollout_env_steps > total:
        log.warning(
            f"a rollout takes {config.rollout_env_steps:,} env steps, and the run has {total:,}: little is learned; "
            "--rollout-env-steps makes rollouts shorter"
        )
    starts = {"learning_starts_env_steps": "learning", "random_env_steps": "acting by the policy"}
    sooner: dict[str, Any] = {}
    for name, what in starts.items():
        start = getattr(config, name, 0)
        if start >= total:
            sooner[name] = total // 10
            log.warning(
                f"{what} would start after {start:,} env steps, and the run has {total:,}: it starts after "
                f"{sooner[name]:,}"
            )
    config = dataclasses.replace(config, **sooner)
    if isinstance(config, ReplayConfig) and config.learning_starts_env_steps < least:
        config = dataclasses.replace(config, learning_starts_env_steps=least)
    return config


def workers(config: RunConfig) -> int:
    """Processes that train, each with some of the seeds.

    Raises:
        ValueError: there would be more of them than seeds.
    """
    if config.workers is not None:
        if config.workers > config.seeds:
            raise ValueError(f"--workers {config.workers} is more than --seeds {config.seeds}: each needs a seed")
        return config.workers
    if usable_device(config.device).type != "cpu" or not _is_long(config) or config.vectorization == "async":
        return 1
    if isinstance(config, ReplayConfig) and config.players:
        return 1
    return min(config.seeds, usable_cores())


def shards(config: RunConfig) -> int:
    """Parts of the seeds that are each one program, once the workers are decided.

    Raises:
        ValueError: there would be fewer of them than workers, or more than seeds.
    """
    workers = config.workers or 1
    if config.shards is not None:
        if not workers <= config.shards <= config.seeds:
            raise ValueError(
                f"--shards must be from {workers} (workers) to {config.seeds} (seeds), not {config.shards}"
            )
        return config.shards
    if not isinstance(config, ReplayConfig) or not is_on_tensors(config.env):
        return workers
    if usable_device(config.device).type != "cpu" or resolved(config).execution != "compile":
        return workers
    seeds_a_worker = -(-config.seeds // workers)
    return min(config.seeds, workers * -(-seeds_a_worker // _SEEDS_A_SHARD))
