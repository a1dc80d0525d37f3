"""Search for the values of options that an agent learns best with; Optuna proposes them.

rlsuite tune AGENT --env ID --trials 64 [options of train]
rlsuite tune --resume runs/NAME

For example:  rlsuite tune dqn --env rlsuite/CartPole-v1 --trials 64 --search tau=0.001:0.1:log batch-size=64,128

What may differ by seed (FLOAT[,FLOAT...]) and has no value on the command line is searched from a tenth to ten times of
the preset's value, and its trials train as one population. The result is a preset, with its scores for fresh seeds
beside the values that the search started from. The same command again goes on, as --resume does.

  --trials N            settings to try (default: 64); the first is the preset itself
  --search NAME=...     LOW:HIGH, LOW:HIGH:log or VALUE,VALUE...: search this too, or in this range
  --seeds N             seeds of a trial; its score is their mean evaluation in the second half of the run
  --population N        trials proposed at a time (default: a quarter of all, at most 32)
  --rungs N             train trials for a third of the env steps first (2, the default) or a ninth (3), and only the
                        best third of them three times as long; 1 trains all of them to the end
  --final-seeds N       fresh seeds for the result (default: 10)
  --name NAME           folder of the search (default: made of agent and environment)
  --runs FOLDER         folder that holds searches and runs (default: runs)
  --jobs N              runs side by side; by default as many as the cores have room for
  --cluster HOST:PORT   run on a Ray cluster that this machine is a node of, or auto; see docs/sweeps.md
"""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agents.cli import command
from agents.cli.hosts import HOSTS, count, hosts, own_options, require_hosts
from agents.runs.registry import find, names

if TYPE_CHECKING:
    from agents.options import RunConfig
    from agents.runs.search_folder import Search

_OWN = ("--name", "--runs", "--trials", "--population", "--rungs", "--final-seeds", *HOSTS)
_OF_A_RUN = ("--total-env-steps", "--seeds", "--seed")  # which the search decides for each run
_LARGEST_POPULATION = 32


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        return command.usage(__doc__, f"Agents: {', '.join(names())}. AGENT --help lists the options of train.")
    agent, *words = arguments
    if set(words) & {"-h", "--help"}:
        from agents.cli import train

        return train.main([agent, "--help"])
    own, options = own_options(words, _OWN)
    require_hosts(own)
    if agent == "--resume":
        if len(options) != 1 or own.keys() - {*HOSTS}:
            raise ValueError("--resume takes the folder of one search, --jobs and --cluster")
        from agents.runs.search_folder import read

        return run(read(Path(options[0])), own)

    from agents.runs.search_folder import begin

    search = planned(agent, options, own)
    begin(search)
    return run(search, own)


def planned(agent: str, words: list[str], own: dict[str, str]) -> "Search":
    """The search that a command line names.

    Raises:
        ValueError: it does not fit.
    """
    from agents.cli.grid import flat, paired
    from agents.runs.search_folder import FACTOR, Search
    from agents.runs.search_space import search_space

    options = paired(words)
    if ("--search", []) in options:
        raise ValueError("--search needs NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE...")
    searched = [text for name, values in options if name == "--search" for text in values]
    options = [(name, values) for name, values in options if name != "--search"]
    config = parse(agent, flat(options))
    if several := next((name for name in sorted(config.per_seed) if len(getattr(config, name)) > 1), None):
        raise ValueError(f"--{several.replace('_', '-')} has one value in a search: --search proposes others")
    named = {name.strip("-").removeprefix("no-").replace("-", "_") for name, _ in options}
    space = search_space(config, searched, named)
    if searched:  # before there is a folder, which would be in the way of the right command
        for parameter in space:
            for value in parameter.choices or (parameter.low, parameter.high):
                parse(agent, [*flat(options), *parameter.words(value)])
    trials, rungs = count(own, "--trials") or 64, count(own, "--rungs") or 2
    if config.total_env_steps < FACTOR ** (rungs - 1):
        raise ValueError(f"--rungs {rungs} leave no env step of {config.total_env_steps} for the first")
    folder = own.get("--name") or re.sub(r"[^\w.+-]+", "-", f"tune-{find(agent).name}-{config.env}")
    return Search(
        folder=Path(own.get("--runs", "runs")) / folder,
        agent=agent,
        options=tuple(flat([one for one in options if one[0] not in _OF_A_RUN])),
        env_steps=config.total_env_steps,
        seeds=config.seeds,
        seed=config.seed,
        space=space,
        trials=trials,
        population=count(own, "--population") or min(_LARGEST_POPULATION, -(-trials // 4)),
        rungs=rungs,
        final_seeds=count(own, "--final-seeds") or 10,
    )


def parse(agent: str, options: Sequence[str]) -> "RunConfig":
    """The configuration of a run of the search."""
    from agents.cli import train

    return train.parse([agent, *options])[1]


def run(search: "Search", own: dict[str, str]) -> int:
    """Search to the end, on this machine or a cluster; returns the exit status."""
    from agents.runs.tuning import Stopped, Tuning

    try:
        Tuning(search, lambda options: parse(search.agent, options), lambda: hosts(own)).run()
    except Stopped:
        folder = shlex.quote(os.path.relpath(search.folder))
        print(command.as_typed(f"stopped; go on with: rlsuite tune --resume {folder}"))
        return command.INTERRUPTED
    return 0
