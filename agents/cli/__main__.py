"""``python -m agents.cli`` is the command ``rlsuite``."""

from agents.cli.main import main

main()
