"""What an agent's batches come from: a collector, and a replay, sequences or rollouts as its spec says."""

from typing import Any

import torch
from gymnasium.spaces import Box

from agents.configs import ReplayConfig, RolloutConfig, RunConfig, SequenceConfig
from agents.registry import agent_spec
from agents.runs import Run, is_atari
from rlsuite.agent import extras_of
from rlsuite.experience import Environments
from rlsuite.networks.encoder import is_pixels
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay, Sampler, Store, Uniform
from rlsuite.replay.rollout import Rollout
from rlsuite.replay.sequence_store import SequenceStore
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.training.collector import Collector, rounds_of
from rlsuite.training.schedules import per_seed

_CONFIGS: dict[str, type[RunConfig]] = {
    "replay": ReplayConfig,
    "sequences": SequenceConfig,
    "rollout": RolloutConfig,
}


def collector(run: Run, config: RunConfig, agent: Any, train: Environments, device: torch.device) -> Collector:
    """The collector of an agent.

    Raises:
        ValueError: the agent's configuration lacks the options of what it learns from, or their numbers do not fit.
    """
    learns_from = agent_spec(run.agent).learns_from
    needed = _CONFIGS.get(learns_from)
    if needed is None:
        raise ValueError(f"{run.agent_name} learns from {learns_from!r}: it must be one of {', '.join(_CONFIGS)}")
    if not isinstance(config, needed):
        raise ValueError(f"{run.agent_name} learns from {learns_from}: its configuration must be a {needed.__name__}")
    if isinstance(config, RolloutConfig):
        return _rollouts(config, agent, train, device)
    assert isinstance(config, ReplayConfig)
    vector_steps, updates = rounds_of(config.train_every_env_steps, config.updates_per_train, train.num_envs)
    return Collector(
        agent,
        train,
        _replay(config, agent, train, device, is_atari(run.config.env)),
        vector_steps=vector_steps,
        updates_a_round=updates,
        learning_starts_env_steps=config.learning_starts_env_steps,
        clip_rewards=config.clip_rewards,
        save_experience=config.save_replay,
        device=device,
    )


def _rollouts(config: RolloutConfig, agent: Any, train: Environments, device: torch.device) -> Collector:
    vector_steps = config.rollout_env_steps // train.num_envs
    if vector_steps < 1:
        raise ValueError(
            f"--rollout-env-steps {config.rollout_env_steps} is less than one step of --num-envs {train.num_envs}"
        )
    return Collector(
        agent,
        train,
        Rollout(vector_steps, **_layout(agent, train), device=device),
        vector_steps=vector_steps,
        acts_ahead=False,
        clip_rewards=config.clip_rewards,
        device=device,
    )


def _replay(
    config: ReplayConfig, agent: Any, environments: Environments, device: torch.device, stacked_frames: bool
) -> Replay:
    store = _store(config, agent, environments, device, stacked_frames)
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


def _store(
    config: ReplayConfig, agent: Any, environments: Environments, device: torch.device, stacked_frames: bool
) -> Store:
    layout = _layout(agent, environments)
    if isinstance(config, SequenceConfig):
        return SequenceStore(
            config.replay_capacity,
            length=config.sequence_rows,
            period=config.sequence_period_env_steps,
            **layout,
            device=device,
        )
    discount = per_seed("discount", config.discount, environments.seeds).to(device)
    if stacked_frames:
        stack, *frame = layout.pop("observation_shape")
        layout.pop("observation_dtype")
        layout |= {"stack": stack, "frame_shape": tuple(frame)}
        return FrameStore(config.replay_capacity, **layout, discount=discount, n_step=config.n_step, device=device)
    return TransitionStore(config.replay_capacity, **layout, discount=discount, n_step=config.n_step, device=device)


def _layout(agent: Any, environments: Environments) -> dict[str, Any]:
    """What a memory must know of the environments whose steps it stores."""
    observations, actions = environments.observation_space, environments.action_space
    return {
        "seeds": len(environments.seeds),
        "num_envs": environments.num_envs,
        "observation_shape": observations.shape,
        "observation_dtype": torch.uint8 if is_pixels(observations) else torch.float32,
        "action_shape": actions.shape,
        "action_dtype": torch.float32 if isinstance(actions, Box) else torch.int64,
        "extras": extras_of(agent),
    }
