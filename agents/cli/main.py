"""The installed command ``rlsuite``: its first word names one of the commands."""

import sys

from agents.cli import command


def main() -> None:
    sys.argv[0] = "rlsuite"  # by any entry point
    with command.fail_kindly():
        name, *rest = sys.argv[1:] or ["--help"]
        if name in ("-h", "--help"):
            listed = "\n".join(f"  {known:<12} {what}" for known, what in command.COMMANDS.items())
            sys.exit(command.usage(f"usage: rlsuite COMMAND [...]\n\n{listed}", "COMMAND --help lists what it takes."))
        if name not in command.COMMANDS:
            from agents.runs.registry import nearest

            raise ValueError(nearest("command", name, list(command.COMMANDS)))
    # The name of a command in messages and in the config.json of its runs.
    sys.argv = [f"rlsuite {name}", *rest]
    command.run(name)
