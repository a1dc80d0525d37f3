"""Import this checkout's packages before others of the same names; every script imports it first."""

import sys
from pathlib import Path

# Users may have folders called ``agents`` and ``envs`` too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.cli.command import fail_kindly, run

__all__ = ["fail_kindly", "run"]
