"""From an environment's id to its environments: the one function that training, evaluation and watching begin with."""

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from envs.adapter import Stateful, VectorAdapter
from envs.atari import AtariVector, WatchedAtariVector
from envs.host import EpisodePlayback, Vectorization, make_host_vector, plays_back
from envs.lookup import find_spec, rom_id
from envs.on_device import OnDevice
from envs.protocols import NATURE, AtariProtocol, find_protocol
from envs.seeding import Purpose

# Arguments of Gymnasium's makers that are no options of the environment itself.
_DECIDED_HERE = {
    "id",
    "num_envs",
    "device",
    "dynamics",
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
    purpose: Purpose = "train",
    render_mode: Literal["rgb_array"] | None = None,
) -> VectorAdapter | OnDevice:
    """``num_envs`` environments for each seed.

    Args:
        env_id: ``ALE/*`` (ale-py's own vector environment), ``rlsuite/*`` (vector environments on tensors), or any
            other id of Gymnasium, ``module:Name-v0`` included.
        seeds: S seeds, one for each training run of the population.
        num_envs: E, environments of each seed.
        protocol: the rules of ``ALE/*``, ``nature`` unless given; without meaning for others.
        vectorization: of Gymnasium's environments: ``sync`` in this process, ``async`` in a process each.
        device: where observations and all else arrive, and where ``rlsuite/*`` environments live.
        autoreset_mode: NEXT_STEP unless given, SAME_STEP for ``rlsuite/*``.
        env_kwargs: options of the environment itself.
        purpose: environments for different purposes see different episodes.
        render_mode: ``rgb_array`` for environments whose ``render`` gives pictures.

    Raises:
        ValueError: unknown or unsupported names, spaces, sizes or options.
    """
    if num_envs < 1 or not seeds:
        raise ValueError(f"at least one environment and one seed are needed, not {num_envs} and {list(seeds)}.")
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode is None or 'rgb_array', not {render_mode!r}.")
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
    if spec.namespace == "ALE":
        vector_env = _make_atari(spec, total, protocol or NATURE, **options)
    elif spec.namespace == "rlsuite":
        vector_env = gymnasium.make_vec(spec, total, device=device, **options).unwrapped
        if vector_env.autoreset_mode is AutoresetMode.SAME_STEP:
            return OnDevice(vector_env, seeds, num_envs, purpose=purpose)
        stateful = vector_env
    else:
        vector_env = make_host_vector(spec, total, vectorization=vectorization, **options)
        if plays_back(spec):
            stateful = EpisodePlayback(vector_env)
    try:
        return VectorAdapter(
            vector_env, seeds, num_envs, env_id=spec.id, purpose=purpose, device=device, stateful=stateful
        )
    except ValueError:
        vector_env.close()
        raise


def _make_atari(
    spec: EnvSpec,
    num_envs: int,
    protocol: AtariProtocol | str,
    *,
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    render_mode: str | None = None,
    **env_kwargs: Any,
) -> AtariVector | WatchedAtariVector:
    if env_kwargs:
        raise ValueError(f"{spec.id} takes its options from an Atari protocol, not from {env_kwargs}.")
    if autoreset_mode is AutoresetMode.DISABLED:
        raise ValueError(f"{spec.id} always resets itself: its autoreset mode is NEXT_STEP or SAME_STEP.")
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    vector = AtariVector if render_mode is None else WatchedAtariVector
    return vector(rom_id(spec), num_envs, rules, autoreset_mode=autoreset_mode)
