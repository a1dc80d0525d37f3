"""Peers written in JAX, measured in processes of a Python that has it.

gymnax asks for another Gymnasium than ours, so they have an environment of their own, which lies beside the project's:
python3 -m venv .venv-jax && .venv-jax/bin/pip install gymnax optax six
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PYTHON = Path(__file__).parents[2] / ".venv-jax" / "bin" / "python"


def has_jax() -> bool:
    """Whether the environment is there."""
    return _PYTHON.exists()


class JaxPeer:
    """Processes of a script beside this file, which work at the same time when asked to and say how fast they were.

    Args:
        script: prints a line once it is ready, then a number for each line that comes in.
        arguments: of each process.
    """

    def __init__(self, script: str, arguments: Sequence[Sequence[object]]) -> None:
        command = [str(_PYTHON), str(Path(__file__).with_name(script))]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
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
