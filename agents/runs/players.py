"""The players of a run: which runs can have them, and what each of them is made of."""

import dataclasses
import functools
from typing import Any

from agents.options import AgentConfig, ReplayConfig, RunConfig
from agents.runs.run import Run, build_agent, environments
from envs.lookup import is_on_tensors
from rlsuite.cores import usable_cores
from rlsuite.experience import Environments
from rlsuite.training.player import Build

_MOST_A_CORE = 4
_LONGEST_LAG = 100


def require_players_fit(config: RunConfig) -> None:
    """Refuse players where they cannot be had or gain nothing.

    Raises:
        ValueError: the message says why.
    """
    if not isinstance(config, ReplayConfig) or config.players == 0:
        return
    most = _MOST_A_CORE * usable_cores()
    if config.players > most:
        raise ValueError(f"--players {config.players} is a process each, and more than {_MOST_A_CORE} a core: {most}")
    if config.lag > _LONGEST_LAG:
        raise ValueError(f"--lag {config.lag} is more than {_LONGEST_LAG} rounds, each of which takes memory")
    if (config.workers or 1) > 1 or (config.shards or 1) > 1:
        raise ValueError("--players acts for one learner of all seeds: leave out --workers and --shards")
    if config.vectorization == "async":
        raise ValueError("--vectorization async has processes of its own, which players cannot start: leave it out")
    if is_on_tensors(config.env):
        raise ValueError(
            f"--players gains nothing with {config.env}, which is stepped where the learner is: leave it out"
        )
    if isinstance(config, AgentConfig) and (config.normalise_observations or config.normalise_rewards):
        raise ValueError(
            "--normalise-observations and --normalise-rewards are not for players: statistics would differ"
        )


def builder(run: Run) -> Build:
    """Makes the agent and the environments of each player, in its process."""
    config = dataclasses.replace(run.config, device="cpu", execution="eager", threads=1)
    return functools.partial(_build, dataclasses.replace(run, config=config))


def _build(run: Run, player: int, lives: int) -> tuple[Any, Environments]:
    config = run.config
    assert isinstance(config, ReplayConfig)
    # A player that takes the place of a lost one has other episodes.
    first = (lives * config.players + player) * config.num_envs
    train = environments(run, "train", config.num_envs, first_environment=first)
    return build_agent(run, train.observation_space, train.action_space), train
