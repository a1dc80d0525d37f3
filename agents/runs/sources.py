"""Build the source of an agent's batches: a collector with a replay, sequences or rollouts, as its spec says."""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor

from agents.options import ReplayConfig, RolloutConfig, RunConfig, SequenceConfig
from agents.runs.players import builder
from agents.runs.registry import agent_spec
from agents.runs.run import Run, Spaces, build_agent, shard
from rlsuite.agent import extras_of
from rlsuite.experience import Environments
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay, Sampler, Store, Uniform
from rlsuite.replay.rollout import Rollout
from rlsuite.replay.sequence_store import SequenceStore
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.spaces import FrameStack
from rlsuite.training.collector import Collector, rounds_of, spec_of
from rlsuite.training.player import Way
from rlsuite.training.players import Players
from rlsuite.training.room import require_room
from rlsuite.training.schedules import per_seed
from rlsuite.training.worker import Source

_CONFIGS: dict[str, type[RunConfig]] = {
    "replay": ReplayConfig,
    "sequences": SequenceConfig,
    "rollout": RolloutConfig,
}


def source(run: Run, config: RunConfig, agent: Any, train: Environments, device: torch.device) -> Source[Any]:
    """The source of an agent's batches: a collector in environments ``train``, or players in others like these.

    Raises:
        ValueError: the agent's configuration lacks the options of what it learns from, or their numbers do not fit.
    """
    learns_from = agent_spec(run.agent).learns_from
    needed = _CONFIGS.get(learns_from)
    if needed is None:
        raise ValueError(f"{run.agent_name} learns from {learns_from!r}: it must be one of {', '.join(_CONFIGS)}")
    if not isinstance(config, needed):
        raise ValueError(f"{run.agent_name} learns from {learns_from}: its configuration must be a {needed.__name__}")
    spaces = Spaces(train.observation_space, train.action_space)
    normaliser = getattr(agent, "normaliser", None)
    if isinstance(config, RolloutConfig):
        return Collector(
            agent,
            train,
            _rollout(config, _layout(agent, len(train.seeds), train.num_envs, spaces), device),
            vector_steps=_vector_steps(config),
            acts_ahead=False,
            # The first rollout is one to measure scales by: it was acted on without any.
            learning_starts_env_steps=0 if normaliser is None else config.rollout_env_steps + 1,
            clip_rewards=config.clip_rewards,
            normaliser=normaliser,
            device=device,
        )
    assert isinstance(config, ReplayConfig)
    if config.batch_size > config.replay_capacity:
        raise ValueError(f"--batch-size {config.batch_size} is more than --replay-capacity {config.replay_capacity}")
    vector_steps, updates = rounds_of(config.train_every_env_steps, config.updates_per_train, config.all_envs)
    discount = per_seed("discount", config.discount, train.seeds).to(device)
    layout = _layout(agent, len(train.seeds), config.all_envs, spaces)
    store = _store(config, train.observation_space, layout, discount, device)
    replay = Replay(store, config.batch_size, _sampler(config, store, len(train.seeds), device))
    common: dict[str, Any] = {
        "updates_a_round": updates,
        # Not before the replay holds a transition.
        "learning_starts_env_steps": max(config.learning_starts_env_steps, store.warm_up_steps * config.all_envs),
        "save_experience": config.save_replay,
        "device": device,
    }
    if config.players:
        train.close()
        newest = _channels(spaces.observation)
        way = Way(config.players, config.num_envs, vector_steps, config.lag, config.clip_rewards, newest)
        return Players(
            agent,
            replay,
            builder(run),
            observation=spaces.observation,
            action=spaces.action,
            seeds=train.seeds,
            way=way,
            **common,
        )
    return Collector(
        agent,
        train,
        replay,
        vector_steps=vector_steps,
        clip_rewards=config.clip_rewards,
        normaliser=normaliser,
        **common,
    )


def require_room_for(run: Run, spaces: Spaces) -> None:
    """Refuse a run whose experience, of all seeds together, takes more memory than there is.

    Raises:
        ValueError: the message says how much is needed, how much there is, and which option makes it fit.
    """
    config = run.config
    parts = config.shards or config.workers or 1
    one = shard(run, 0, 1)  # of an agent: extras are known to it only
    num_envs = config.all_envs if isinstance(config, ReplayConfig) else config.num_envs
    layout = _layout(build_agent(one, spaces.observation, spaces.action), len(run.seeds), num_envs, spaces)
    nowhere = torch.device("meta")  # tensors there have a size and take no memory
    if isinstance(config, ReplayConfig):
        capacity, store = config.replay_capacity, _store(config, spaces.observation, layout, torch.ones(()), nowhere)
        nbytes = Replay(store, config.batch_size, _sampler(config, store, len(run.seeds), nowhere)).nbytes
        filled = min(1.0, config.total_env_steps / capacity)
        require_room("the replay", "--replay-capacity", capacity, nbytes, filled, run.device, parts)
    elif isinstance(config, RolloutConfig):
        nbytes = _rollout(config, layout, nowhere).nbytes
        require_room("a rollout", "--rollout-env-steps", config.rollout_env_steps, nbytes, 1.0, run.device, parts)


def _rollout(config: RolloutConfig, layout: dict[str, Any], device: torch.device) -> Rollout:
    return Rollout(_vector_steps(config), **layout, device=device)


def _vector_steps(config: RolloutConfig) -> int:
    vector_steps = config.rollout_env_steps // config.num_envs
    if vector_steps < 1:
        raise ValueError(
            f"--rollout-env-steps {config.rollout_env_steps} is less than one step of --num-envs {config.num_envs}"
        )
    return vector_steps


def _store(
    config: ReplayConfig, seen: Space[Any], layout: dict[str, Any], discount: Tensor, device: torch.device
) -> Store:
    _require_capacity(config)
    capacity, channels = config.replay_capacity, _channels(seen)
    if isinstance(config, SequenceConfig):
        windows: dict[str, Any] = {"length": config.sequence_rows, "period": config.sequence_period_env_steps}
        if isinstance(seen, FrameStack) and channels:
            windows |= {"stack": seen.stack, "padding": seen.padding}
        return SequenceStore(capacity, **windows, **layout, device=device)
    if isinstance(seen, FrameStack) and channels:
        size = seen.shape[1:]
        frames = {name: part for name, part in layout.items() if not name.startswith("observation")}
        frame = size if channels == 1 else (channels, *size)
        frames |= {"stack": seen.stack, "padding": seen.padding, "frame_shape": frame}
        return FrameStore(capacity, **frames, discount=discount, n_step=config.n_step, device=device)
    return TransitionStore(capacity, **layout, discount=discount, n_step=config.n_step, device=device)


def _require_capacity(config: ReplayConfig) -> None:
    """Raise ``ValueError`` if the replay cannot hold what one environment of each must bring before an update."""
    of = "the env steps of a sequence" if isinstance(config, SequenceConfig) else "--n-step"
    if config.replay_capacity < (least := config.all_envs * config.warm_up_rows):
        all_envs = "--players * --num-envs" if config.players else "--num-envs"
        raise ValueError(
            f"--replay-capacity must be at least {all_envs} * {of} = {least}, not {config.replay_capacity}"
        )


def _channels(seen: Space[Any]) -> int | None:
    """Channels of a frame, where observations are stacks of frames that a store keeps once."""
    if isinstance(seen, FrameStack) and seen.dtype == np.uint8 and len(seen.shape) == 3:
        return seen.shape[0] // seen.stack
    return None


def _sampler(config: ReplayConfig, store: Store, seeds: int, device: torch.device) -> Sampler:
    if config.replay_priority_exponent == 0:
        return Uniform()
    return Prioritised(
        seeds,
        store.slots,
        alpha=config.replay_priority_exponent,
        beta=config.replay_importance_exponent,
        beta_draws=config.total_updates,
        device=device,
    )


def _layout(agent: Any, seeds: int, num_envs: int, spaces: Spaces) -> dict[str, Any]:
    """Return the sizes, shapes and dtypes of the steps that a replay or rollout stores."""
    observation, action = spec_of(spaces.observation), spec_of(spaces.action)
    return {
        "seeds": seeds,
        "num_envs": num_envs,
        "observation_shape": observation.shape,
        "observation_dtype": observation.dtype,
        "action_shape": action.shape,
        "action_dtype": action.dtype,
        "extras": extras_of(agent),
    }
