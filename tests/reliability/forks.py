"""Scripts in forked processes: everything is imported once, so that a command takes a fraction of a second to start.

Whoever imports this module must stay single-threaded and must not compute with torch on several threads: a fork takes
only its own thread along.
"""

import atexit
import faulthandler
import importlib
import os
import re
import runpy
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

_PROJECT = (
    "agents.runs.comparing agents.runs.economies agents.runs.training envs rlsuite.deqn.run rlsuite.supervised.run"
)
_OTHERS = "torch._dynamo matplotlib.figure matplotlib.backends.backend_agg sklearn.datasets typeguard wandb"
for _name in f"{_PROJECT} {_OTHERS}".split():
    importlib.import_module(_name)

ROOT = Path(__file__).parents[2]
_MARK = "RELIABILITY_COMMAND"  # of the environment: processes with it belong to the command that has this id
_GRACE_SECONDS = 15.0  # for processes to notice that the one they work for is gone
_FOR_PEOPLE = {"DISPLAY", "WAYLAND_DISPLAY", "WANDB_API_KEY", "WANDB_MODE", "RLSUITE_TRACE"}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: str
    status: int  # of exit; -N where signal N ended it
    output: str  # standard output and errors, and the logs of faults that they name
    hung: bool  # it did not end in time, and was killed
    left: tuple[str, ...]  # command lines of processes that it left behind

    @property
    def has_traceback(self) -> bool:
        return "Traceback" in self.output


class Running:
    """A script at work in a process, a session and a folder of its own.

    Args:
        command: the name of a script and its arguments.
        folder: where it works.
        environment: variables besides those of this process.
        prepare: called in the new process before the script.
        stdout: a file descriptor; by default output and errors go to a file.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        stdout: int | None = None,
    ) -> None:
        self.command = command
        self._started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the script has ended
        self._mark = f"{os.getpid()}-{time.monotonic_ns()}"
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _be_script(command, folder, self._log.fileno(), {**(environment or {}), _MARK: self._mark}, prepare, stdout)

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._started

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the script's process, or to all processes of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def ended_within(self, seconds: float) -> Ended | None:
        """How the script ended, if it does in time."""
        status = self._poll(time.monotonic() + seconds)
        return None if status is None else self._ended(status)

    def wait(self, seconds: float = 300.0) -> Ended:
        """Wait until the script has ended; it is killed if it does not in time."""
        if (ended := self.ended_within(seconds)) is not None:
            return ended
        self.signal(signal.SIGUSR1)  # says on standard error where it hangs
        self._poll(time.monotonic() + 1.0)
        self.signal(signal.SIGKILL)
        self._poll(time.monotonic() + 60.0)
        return self._ended(None)

    def _ended(self, status: int | None) -> Ended:
        left = self._left_behind()
        self._log.seek(0)
        output = _with_logs(self._log.read().decode(errors="replace"), self._folder)
        self._log.close()
        killed = -signal.SIGKILL
        return Ended(shlex.join(self.command), killed if status is None else status, output, status is None, left)

    def _poll(self, until: float) -> int | None:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > until:
                return None
            time.sleep(0.005)

    def _left_behind(self) -> tuple[str, ...]:
        """Command lines of processes that do not leave by themselves; they are killed."""
        until = time.monotonic() + _GRACE_SECONDS
        while (left := self.others()) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return tuple(left.values())

    def others(self) -> dict[int, str]:
        """Living processes of the command: those of its session, and those that inherited its mark."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it is gone
                state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
                marked = f"{_MARK}={self._mark}".encode() in (path / "environ").read_bytes().split(b"\0")
                if state != "Z" and (int(session) == self.pid or marked):
                    found[int(path.name)] = (
                        (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
        return found


def _with_logs(output: str, folder: Path) -> str:
    """The output, and the traces that were kept from it."""
    for name in re.findall(r"(?:are|details) in (\S+\.log)", output):
        with suppress(OSError):
            output += f"\n{name}:\n" + (folder / name).read_text(errors="replace")
            (folder / name).unlink()
    return output


def run(command: Sequence[str], folder: Path) -> Ended:
    """Run a script to its end."""
    return Running(command, folder).wait()


def in_fork(work: Callable[[], None]) -> int:
    """Do something in a forked process; returns its exit status, or -N where signal N ended it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_script(
    command: Sequence[str],
    folder: Path,
    output: int,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None,
    stdout: int | None,
) -> NoReturn:
    """Become ``python scripts/NAME.py ARGUMENTS``; what Python does when it ends is done here too."""
    status = 1
    try:
        os.setsid()
        for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), stdout or output, output)):
            os.dup2(source, target)
        os.closerange(3, 256)
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for name in _FOR_PEOPLE:
            os.environ.pop(name, None)
        os.environ |= {"SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1", "WANDB_SILENT": "true"} | environment
        torch.set_num_threads(1)
        os.chdir(folder)
        path = ROOT / "scripts" / f"{command[0]}.py"
        sys.argv = [str(path), *command[1:]]
        sys.path.insert(0, str(path.parent))
        if prepare is not None:
            prepare()
        status = _status(path)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _uncaught(error: BaseException) -> int:
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as end:
        return int(end.code or 0)
    return 1


def _status(path: Path) -> int:
    status = 0
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        status = _uncaught(error)
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:  # Python says the same of a closed pipe
        print("Exception ignored in: standard output", file=sys.stderr)
        status = 120
    return status
