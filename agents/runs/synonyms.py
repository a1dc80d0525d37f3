"""Other libraries' names of our options: who uses one is told ours. Imports no torch."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rlsuite.configuration import option

# Names of Stable-Baselines3 and CleanRL, each with ours: the first of these that an agent has all options of.
_OURS: dict[str, list[tuple[str, ...]]] = {
    "gamma": [("discount",)],
    "lr": [("learning_rate",), ("actor_learning_rate", "critic_learning_rate")],
    "learning_rate": [("actor_learning_rate", "critic_learning_rate")],
    "gae_lambda": [("trace",)],
    "n_steps": [("rollout_env_steps",), ("n_step",)],
    "num_steps": [("rollout_env_steps",)],
    # A temperature without a learning rate is another thing: AlphaZero's.
    "ent_coef": [("entropy_weight",), ("temperature", "temperature_learning_rate")],
    "vf_coef": [("value_weight",)],
    "clip_range": [("clip",)],
    "clip_coef": [("clip",)],
    "n_epochs": [("epochs",)],
    "update_epochs": [("epochs",)],
    "batch_size": [("minibatches",), ("rollout_env_steps",)],
    "num_minibatches": [("minibatches",)],
    "buffer_size": [("replay_capacity",)],
    "max_grad_norm": [("max_gradient_norm",)],
    "target_kl": [("max_kl",)],
    "gradient_steps": [("updates_per_train",)],
    "train_freq": [("train_every_env_steps",)],
    "train_frequency": [("train_every_env_steps",)],
    "learning_starts": [("learning_starts_env_steps",)],
    "total_timesteps": [("total_env_steps",)],
    "n_envs": [("num_envs",)],
}
# What a number must be where theirs may mean another.
_COUNTS = {
    "minibatches": "the number of parts of a rollout, not their size",
    "rollout_env_steps": "the env steps of all environments of a seed together",
    "train_every_env_steps": "the env steps of all environments of a seed together",
}


def refuse_synonym(agent: str, kind: type[Any], name: str, spelt: Callable[[str], str] = option) -> None:
    """Raise ``ValueError`` where ``name`` is no option but another library's name of one; the message gives ours.

    Args:
        agent: called so in the message.
        kind: the configuration of the agent.
        name: with underscores.
        spelt: how the message writes an option.
    """
    known = {field.name for field in dataclasses.fields(kind)}
    if name in known or name not in _OURS:
        return
    hints = get_type_hints(kind, include_extras=True)
    settable = {one for one in known if get_origin(hints[one]) is not Literal or len(get_args(hints[one])) > 1}
    ours = next((names for names in _OURS[name] if settable.issuperset(names)), None)
    if ours is not None:
        counts = f", {_COUNTS[ours[0]]}" if ours[0] in _COUNTS else ""
        raise ValueError(f"{agent} has no option {spelt(name)}: here it is {' and '.join(map(spelt, ours))}{counts}")
