"""Train an agent.

rlsuite train AGENT --env ID [options]     AGENT --help lists them
rlsuite train --resume runs/NAME           goes on exactly where a run stopped; --resume --help
"""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from agents.cli import command
from agents.runs.presets import beside, preset
from agents.runs.registry import config_class, names
from agents.runs.synonyms import refuse_synonym

if TYPE_CHECKING:
    from agents.options import RunConfig
    from agents.runs.training import Ended

_RENAMED = {
    "--tiles": "--shards",
    "--target-averaging": "--tau",
    "--actor-period-updates": "--policy-delay-updates",
}


def parse(arguments: list[str]) -> tuple[str, "RunConfig"]:
    """The agent's name and its configuration: plain defaults, then the preset, then what the command line names."""
    agent, *options = arguments
    for option in options:
        if (name := option.partition("=")[0]) in _RENAMED:
            raise ValueError(f"{name} is now called {_RENAMED[name]}")
    kind = config_class(agent)
    for option in options:
        if option.startswith("--"):
            refuse_synonym(agent, kind, option_name(option))
    named = dict(_named(options))
    default = None
    if "env" in named:
        tuned = preset(agent, named["env"], named.get("preset", "auto"))
        default = kind(env=named["env"], **beside(tuned, {option_name(option) for option in options}))
    config = command.parse(kind, options, agent, default)
    if default is None:
        return agent, config
    # Arguments of the environment are named one by one, and those of the preset stay beside them.
    env_kwargs = default.env_kwargs | config.env_kwargs
    return agent, dataclasses.replace(config, preset=default.preset, env_kwargs=env_kwargs)


def option_name(option: str) -> str:
    """``learning_rate`` of ``--learning-rate`` and of ``--learning-rate=1e-3``."""
    return option.partition("=")[0].removeprefix("--").replace("-", "_")


def _named(options: list[str]) -> list[tuple[str, str]]:
    """The values of --env and --preset, which choose the defaults of everything else."""
    found = []
    for place, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name in ("--env", "--preset") and (equals or place + 1 < len(options)):
            found.append((name[2:], value if equals else options[place + 1]))
    return found


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        return command.usage(__doc__, f"Agents: {', '.join(names())}")
    if arguments[0] == "--resume":
        return resume(arguments[1:])
    agent, config = parse(arguments)

    from agents.runs.training import train

    return status(train(agent, config))


def resume(arguments: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Resume:
        run: tyro.conf.Positional[Path]
        """Folder of the run."""
        checkpoint: Literal["last", "previous"] = "last"
        """Checkpoint to resume from: last, or previous if last is damaged."""
        total_env_steps: int | None = None
        """New length of the run; values that change over a run, such as a falling learning rate, go on as in a run of
        that length."""
        device: str | None = None
        """Device to compute on from now on; by default the one that the run used."""
        workers: int | None = None
        """CPU processes to use this time; by default as many as the run did."""
        take_over: bool = False
        """Go on although another process seems to train in the folder, on a host that cannot be reached for example:
        it writes nothing more."""

    options = command.parse(Resume, arguments, "--resume")

    from agents.runs.training import resume_run

    return status(
        resume_run(
            options.run,
            options.checkpoint,
            options.total_env_steps,
            options.device,
            options.workers,
            options.take_over,
        )
    )


def status(ended: "Ended") -> int:
    """The exit status of training; says how a run goes on that was asked to stop."""
    if ended.finished:
        return 0
    again = command.as_typed(f"rlsuite train --resume {shlex.quote(str(ended.run.folder))}")
    print(f"stopped; go on with: {again}")
    return command.INTERRUPTED
