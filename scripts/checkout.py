"""What the scripts begin with: this checkout's packages come before whatever else has their names."""

import sys
from pathlib import Path

# People have folders called ``agents`` and ``envs`` too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.cli.command import fail_kindly, run

__all__ = ["fail_kindly", "run"]
