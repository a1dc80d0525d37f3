"""Make the environments of a run from an id, for training, evaluation and watching."""

import os
from collections.abc import Sequence
from typing import Any, Literal, get_args

import gymnasium
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from envs.adapter import Stateful, VectorAdapter
from envs.atari import AtariVector, RenderedAtariVector
from envs.atari_ram import ram_spec
from envs.host import EpisodePlayback, Vectorization, make_host_vector, plays_back
from envs.lookup import find_spec, is_atari, is_on_tensors, rom_id
from envs.on_device import OnDevice
from envs.preprocessing import PLAIN, Preprocessing
from envs.protocols import NATURE, AtariProtocol, find_protocol
from envs.seeding import Purpose

RenderMode = Literal["rgb_array", "rgb_array_list"]

# Arguments of Gymnasium's makers that are no options of the environment itself.
_DECIDED_HERE = {
    "id",
    "num_envs",
    "device",
    "dynamics",
    "whole",
    "autoreset_mode",
    "render_mode",
    "wrappers",
    "vectorization_mode",
    "vector_kwargs",
}


def make_environments(
    env_id: str,
    seeds: Sequence[int],
    num_envs: int,
    *,
    protocol: AtariProtocol | str | None = None,
    vectorization: Vectorization = "sync",
    device: torch.device | str = "cpu",
    autoreset_mode: AutoresetMode | None = None,
    env_kwargs: dict[str, Any] | None = None,
    preprocessing: Preprocessing = PLAIN,
    purpose: Purpose = "train",
    render_mode: RenderMode | None = None,
    first_environment: int = 0,
) -> VectorAdapter | OnDevice:
    """``num_envs`` environments for each seed.

    Args:
        env_id: ``ALE/*`` and Atari's older names (ale-py's own vector environment), ``rlsuite/*`` (vector environments
            on tensors), or any other id of Gymnasium, ``module:Name-v0`` included.
        seeds: S seeds, one for each training run of the population.
        num_envs: E, environments of each seed.
        protocol: the rules of Atari games, ``nature`` unless given; without meaning for others.
        vectorization: of Gymnasium's environments: ``sync`` in this process, ``async`` in a process each.
        device: where observations and all else arrive, and where ``rlsuite/*`` environments live.
        autoreset_mode: NEXT_STEP unless given, SAME_STEP for ``rlsuite/*``.
        env_kwargs: options of the environment itself.
        preprocessing: wrappers of Gymnasium's environments, and the limit of episodes, which ``rlsuite/*`` have too.
        purpose: environments for different purposes see different episodes.
        render_mode: ``rgb_array`` for environments whose ``render`` gives pictures, ``rgb_array_list`` for those that
            give all since the last call.
        first_environment: the number of each seed's first environment, where others have the numbers before; not for
            ``rlsuite/*``.

    Raises:
        ValueError: unknown or unsupported names, spaces, sizes or options.
    """
    if num_envs < 1 or not seeds:
        raise ValueError(f"at least one environment and one seed are needed, not {num_envs} and {list(seeds)}.")
    if render_mode not in (None, *get_args(RenderMode)):
        raise ValueError(f"render_mode is None or one of {get_args(RenderMode)}, not {render_mode!r}.")
    # pygame opens the sound card with all else, and its drivers complain where there is none. Nothing here is heard.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    spec = find_spec(env_id)
    options = dict(env_kwargs or {})
    if decided := _DECIDED_HERE & options.keys():
        raise ValueError(f"{', '.join(sorted(decided))} cannot be chosen for an environment: rlsuite decides it.")
    if render_mode is not None:
        options["render_mode"] = render_mode
    if autoreset_mode is not None:
        options["autoreset_mode"] = autoreset_mode

    total = len(seeds) * num_envs
    vector_env: Any
    stateful: Stateful | None = None
    if is_atari(spec) and (spec.kwargs | options).get("obs_type") != "ram":
        if preprocessing.options:
            raise ValueError(
                f"{spec.id} is as its Atari protocol says: {', '.join(preprocessing.options)} cannot be had."
            )
        vector_env = _make_atari(spec, total, _rules(protocol), **options)
    elif is_on_tensors(spec):
        had = ("--max-episode-steps", "--previous-action-and-reward")
        if others := [name for name in preprocessing.options if name not in had]:
            raise ValueError(f"{spec.id} is an environment on tensors: {', '.join(others)} cannot be had.")
        if preprocessing.max_episode_steps is not None:
            options["max_episode_steps"] = preprocessing.max_episode_steps
        if preprocessing.previous_action_and_reward:
            options["previous_action_and_reward"] = True
        vector_env = gymnasium.make_vec(spec, total, device=device, **options).unwrapped
        if vector_env.autoreset_mode is AutoresetMode.SAME_STEP:
            return OnDevice(vector_env, seeds, num_envs, purpose=purpose)
        stateful = vector_env
    else:
        if is_atari(spec):
            read_here = {"obs_type", "autoreset_mode", "render_mode"}
            _require_protocol(spec, {name: value for name, value in options.items() if name not in read_here})
            spec = ram_spec(spec, _rules(protocol))
        vector_env = make_host_vector(spec, total, preprocessing=preprocessing, vectorization=vectorization, **options)
        if plays_back(spec):
            stateful = EpisodePlayback(vector_env)
    try:
        return VectorAdapter(
            vector_env,
            seeds,
            num_envs,
            env_id=spec.id,
            purpose=purpose,
            device=device,
            stateful=stateful,
            first_environment=first_environment,
        )
    except ValueError:
        vector_env.close()
        raise


def _rules(protocol: AtariProtocol | str | None) -> AtariProtocol:
    return find_protocol(protocol) if isinstance(protocol, str) else protocol or NATURE


def _require_protocol(spec: EnvSpec, options: dict[str, Any]) -> None:
    """Raise ``ValueError`` where a game is given options that its protocol decides."""
    if options:
        raise ValueError(f"{spec.id} takes its options from an Atari protocol, not from {options}.")


def _make_atari(
    spec: EnvSpec,
    num_envs: int,
    protocol: AtariProtocol,
    *,
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    render_mode: str | None = None,
    **env_kwargs: Any,
) -> AtariVector | RenderedAtariVector:
    # What the protocol decides may differ in a registration: the older names do nothing else.
    registered = {
        name: spec.kwargs[name] for name in ("mode", "difficulty", "continuous", "sound_obs") if spec.kwargs.get(name)
    }
    _require_protocol(spec, env_kwargs | registered)
    if autoreset_mode is AutoresetMode.DISABLED:
        raise ValueError(f"{spec.id} always resets itself: its autoreset mode is NEXT_STEP or SAME_STEP.")
    vector = AtariVector if render_mode is None else RenderedAtariVector
    return vector(rom_id(spec), num_envs, protocol, autoreset_mode=autoreset_mode)
