"""Train many runs: agents x environments x settings, side by side on this machine or on a cluster.

rlsuite sweep AGENT[,AGENT...] --env ID[,ID...] --name NAME [options of train, with lists of values]
rlsuite sweep --resume runs/NAME

For example:  rlsuite sweep dqn --env CartPole-v1,Acrobot-v1 --learning-rate 1e-3,3e-4 --seeds 10 --name lr

Values separated by commas are settings; those that may differ by seed (FLOAT[,FLOAT...]) train as one run, with --seeds
seeds each. The same command again goes on, as --resume does, with what is not finished.

  --name NAME           folder of the sweep, which holds its runs
  --runs FOLDER         folder that holds sweeps and runs (default: runs)
  --jobs N              runs side by side; by default as many as the cores have room for
  --cluster HOST:PORT   run on a Ray cluster that this machine is a node of, or auto; see docs/sweeps.md
"""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from agents.cli import command
from agents.cli.hosts import HOSTS, hosts, own_options, require_hosts
from agents.runs.registry import names

if TYPE_CHECKING:
    from agents.runs.sweep_folder import Sweep

_OWN = ("--name", "--runs", *HOSTS)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        return command.usage(__doc__, f"Agents: {', '.join(names())}. AGENT --help lists the options of train.")
    first, *words = arguments
    if set(words) & {"-h", "--help"}:
        from agents.cli import train

        return train.main([first.split(",")[0], "--help"])
    own, options = own_options(words, _OWN)
    require_hosts(own)
    if first == "--resume":
        if len(options) != 1 or {"--name", "--runs"} & own.keys():
            raise ValueError("--resume takes the folder of one sweep, --jobs and --cluster")
        from agents.runs.sweep_folder import read

        return run(read(Path(options[0])), own)
    if "--name" not in own:
        raise ValueError("a sweep needs a --name, by which it goes on")

    from agents.cli.grid import grid
    from agents.runs.sweep_folder import begin
    from agents.runs.sweeping import member

    folder = Path(own.get("--runs", "runs")) / own["--name"]
    members = [member(cell.name, cell.agent, cell.options, cell.config) for cell in grid(first, options)]
    return run(begin(folder, members), own)


def run(sweep: "Sweep", own: dict[str, str]) -> int:
    """Run a sweep to its end, on this machine or a cluster; returns the exit status."""
    from agents.runs import sweeping

    counts = sweeping.run(sweep, hosts(own))
    sweeping.compare_finished(sweep)
    if not counts.keys() - {"finished"}:
        return 0
    left = ", ".join(f"{number} {state}" for state, number in counts.items() if state != "finished")
    folder = shlex.quote(os.path.relpath(sweep.folder))
    print(command.as_typed(f"{left}; go on with: rlsuite sweep --resume {folder}"))
    return command.INTERRUPTED if "stopped" in counts else 1
