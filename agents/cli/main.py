"""The installed command ``rlsuite``: its first word names one of the commands."""

import sys

from agents.cli import command

COMMANDS = {
    "train": "train an agent, or go on with a run",
    "watch": "watch a trained agent act, in a window or as a video",
    "evaluate": "evaluate a trained run, with confidence intervals",
    "compare": "draw the learning curves of several runs",
    "supervised": "train a supervised experiment",
    "equilibrium": "solve an economy, and prove the solution",
    "benchmark": "measure speed and memory beside peers",
}


def main() -> None:
    sys.argv[0] = "rlsuite"  # by any entry point
    with command.fail_kindly():
        name, *rest = sys.argv[1:] or ["--help"]
        if name in ("-h", "--help"):
            listed = "\n".join(f"  {known:<12} {what}" for known, what in COMMANDS.items())
            sys.exit(command.usage(f"usage: rlsuite COMMAND [...]\n\n{listed}", "COMMAND --help lists what it takes."))
        if name not in COMMANDS:
            from agents.runs.registry import nearest

            raise ValueError(nearest("command", name, list(COMMANDS)))
    # The name of a command in messages and in the config.json of its runs.
    sys.argv = [f"rlsuite {name}", *rest]
    command.run(name)
