"""Peers written in JAX, measured in processes of a Python that has it.

gymnax asks for another Gymnasium than ours, so they have an environment of their own, which lies beside the project's:
python3 -m venv .venv-jax && .venv-jax/bin/pip install gymnax optax six
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PYTHON = Path(__file__).parents[2] / ".venv-jax" / "bin" / "python"


def has_jax() -> bool:
    """Whether the environment is there, or this one has what it takes."""
    return _PYTHON.exists() or importlib.util.find_spec("gymnax") is not None


class JaxPeer:
    """Processes of a script beside this file, which work at the same time when asked to and say how fast they were.

    Args:
        script: prints a line once it is ready, then a number for each line that comes in.
        arguments: of each process.
    """

    def __init__(self, script: str, arguments: Sequence[Sequence[object]]) -> None:
        python = str(_PYTHON) if _PYTHON.exists() else sys.executable
        command = [python, str(Path(__file__).with_name(script))]
        # Of a GPU's memory only what is needed: others measure there too.
        environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        pipes["env"] = environment
        self._processes = [subprocess.Popen([*command, *map(str, own)], **pipes) for own in arguments]
        for process in self._processes:
            process.stdout.readline()

    def measure(self) -> float:
        """The sum of what the processes say."""
        for process in self._processes:
            process.stdin.write("go\n")
        return sum(float(process.stdout.readline()) for process in self._processes)

    def close(self) -> None:
        for process in self._processes:
            process.communicate()
