"""Parts common to the commands: names, error messages, exit statuses, and how threads wait.

Commands import it first, so that a missing package is reported in one line too.
"""

import importlib
import itertools
import os
import re
import shlex
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from rlsuite.faults import is_ours, raised_by_us
from rlsuite.training.signals import stop_with_stdin_if_told

Kind = TypeVar("Kind")

_ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").is_file() else None  # None where a wheel is installed

COMMANDS = {
    "train": "train an agent, or go on with a run",
    "watch": "watch a trained agent act, in a window or as a video",
    "evaluate": "evaluate a trained run, with confidence intervals",
    "tournament": "let agents play board games against each other, and rate them",
    "compare": "draw the learning curves of several runs",
    "sweep": "train many runs side by side, and compare them",
    "tune": "search for the values of options that an agent learns best with",
    "export": "write a trained policy to a file that runs without this project",
    "zoo": "list presets, tabulate results, and pack a trained agent",
    "supervised": "train a supervised experiment",
    "equilibrium": "solve an economy, and prove the solution",
    "benchmark": "measure speed and memory beside peers",
}

# Errors whose message is meant for people. They are named, not imported: importing them would load torch.
_FOR_PEOPLE = {"ValueError", "TrainingError", "CheckpointError", "ExperienceError", "SupersededError", "OSError"}
# The extra that a package comes with.
_EXTRAS = {
    "starlette": "browser",
    "uvicorn": "browser",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "optuna": "tune",
    "ray": "cluster",
}
# What lies elsewhere is a person's own.
_PROJECT = [_ROOT / name for name in ("agents", "envs", "rlsuite", "scripts", "tests")]
_NOT_OWN = [*_PROJECT, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
FAULT, INTERRUPTED = 70, 130  # of sysexits.h: an internal fault; of shells: ended by Ctrl-C

# A waiting thread of torch spins, by default for so long that two runs on the same cores slow each other down.
# ``docs/benchmarks.md`` has the figures. The variable is read when torch is loaded, which is later.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def run(name: str) -> NoReturn:
    """Run the command of a name with the arguments of this process, and exit."""
    stop_with_stdin_if_told()
    with fail_kindly():
        sys.exit(importlib.import_module(f"agents.cli.{name}").main(sys.argv[1:]))


def train_program() -> list[str]:
    """Return the command of ``train`` for another process, of this checkout or of the installed package."""
    if CHECKOUT is not None:
        return [sys.executable, str(CHECKOUT / "scripts" / "train.py")]
    return [sys.executable, "-P", "-m", "agents.cli", "train"]


def program() -> str:
    """Return the name of this command for messages: ``train.py`` or ``rlsuite train``."""
    return Path(sys.argv[0]).name


def as_typed(text: str | None) -> str:
    """A text with its commands, written ``rlsuite NAME``, as people called this one: ``python scripts/NAME.py``."""
    script = Path(sys.argv[0])
    if script.suffix != ".py":
        return text or ""
    commands = rf"\brlsuite ({'|'.join(COMMANDS)})\b(?= )"
    return re.sub(commands, lambda found: f"python {shlex.quote(str(script.with_stem(found[1])))}", text or "")


def parse(
    kind: type[Kind],
    arguments: list[str],
    first: str | None = None,
    default: Kind | None = None,
    description: str | None = None,
) -> Kind:
    """The options of a command, after its ``first`` word; see ``from_command_line``."""
    from rlsuite.option_groups import from_command_line

    prog = program() if first is None else f"{program()} {first}"
    return from_command_line(kind, arguments, prog, default, as_typed(description) if description else None)


@contextmanager
def fail_kindly() -> Iterator[None]:
    """End with an error in a line or two and a status: see ``report``."""
    from rlsuite.tracking.output import tolerate_closed_output

    tolerate_closed_output()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error))


def report(error: BaseException) -> int:
    """Print how a command ended, in a line or two, and return the exit status. RLSUITE_TRACE=1 shows the trace.

    Errors with a message for users, and missing packages, are printed as they are (status 1). Errors in a file of the
    user's own (an agent, an economy) are printed with their place there (status 1). All others are faults of the
    program (status 70). The trace of these two goes to a log file, which the second line names.
    """
    if os.environ.get("RLSUITE_TRACE"):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if message := _for_people(error):
        say(as_typed(message))
        return 1
    if place := _own_place(error):
        say(f"{place}: {_first_line(error)}\nThe details are in {log_fault(error)}")
        return 1
    say(
        f"internal fault: {_first_line(error)}\nThe details are in {log_fault(error)}: please report it with that file."
    )
    return FAULT


def say(text: str) -> None:
    with suppress(Exception):
        print(f"{program()}: {text}", file=sys.stderr, flush=True)


def log_fault(error: BaseException) -> Path | None:
    """Append the trace of an error, and of what caused it, to a log file in the run's folder, else a temporary one."""
    lines = [time.strftime("%Y-%m-%d %H:%M:%S"), f"command: {sys.argv}", f"python: {sys.version}"]
    text = "\n".join([*lines, "".join(traceback.format_exception(error))]) + "\n"
    folders = sys.modules.get("rlsuite.tracking.run_folder")
    run = folders.current() if folders is not None else None
    for folder in (run, Path(tempfile.gettempdir())):
        with suppress(OSError):
            if folder is not None:
                path = folder / ("fault.log" if folder == run else f"rlsuite-fault-{os.getpid()}.log")
                with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(text)
                return path
    return None


def _for_people(error: BaseException) -> str | None:
    """The message for people, where an error is no fault of the program."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        package = error.name.partition(".")[0]
        if not is_ours(package) or package == error.name:
            extra = f"[{_EXTRAS[package]}]" if package in _EXTRAS else ""
            checkout = f'-c constraints.txt -e "{CHECKOUT}{extra}"'
            what = (f'"rlsuite{extra}"' if extra else "--force-reinstall rlsuite") if CHECKOUT is None else checkout
            return f"the package {package!r} is missing: pip install {what}"
    if kinds & {"MemoryError", "OutOfMemoryError"} or "can't allocate memory" in str(error):
        return f"there is not enough memory: {_first_line(error)}"
    # ValueErrors of NumPy, for example, mean nothing to users.
    if kinds & _FOR_PEOPLE and (not isinstance(error, ValueError) or raised_by_us(error.__traceback__)):
        return _of_file(error) or str(error) or type(error).__name__
    return None


def _of_file(error: BaseException) -> str | None:
    """Say what is wrong with a file or folder and what may be done, where the system's own words say neither."""
    if isinstance(error, PermissionError) and error.filename:
        return f"no permission for {error.filename}: choose a folder in which you may write"
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{error.filename} is a file where a folder is needed: choose another folder"
    return None


def _own_place(error: BaseException) -> str | None:
    """File, line and function of a person's own file that the project called and that failed; None where none did."""
    trace = "".join(traceback.format_exception(error))  # with the notes of workers
    places = re.findall(r'^ *File "(.+)", line (\d+), in (.+)$', trace, re.MULTILINE)
    called = itertools.dropwhile(lambda place: not _is_in(place[0], _PROJECT), places)
    own = [place for place in called if not _is_in(place[0], _NOT_OWN) and Path(place[0]).is_file()]
    return "{}, line {}, in {}".format(Path(own[-1][0]).name, *own[-1][1:]) if own else None


def _is_in(path: str, folders: list[Path]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _first_line(error: BaseException) -> str:
    line = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.exit(report(error))


def _on_fault_aside(fault: Any) -> None:
    """Report an exception in a thread or a destructor, in a line and in the log, without ending the process."""
    if fault.exc_value is None or issubclass(fault.exc_type, SystemExit | KeyboardInterrupt):
        return
    if os.environ.get("RLSUITE_TRACE"):
        traceback.print_exception(fault.exc_value)
    say(f"a fault aside: {_first_line(fault.exc_value)} (details in {log_fault(fault.exc_value)})")


def usage(*texts: str | None) -> int:
    """Print paragraphs, with commands as people call them; returns the exit status."""
    print("\n\n".join(as_typed(text).strip() for text in texts if text))
    return 0


sys.excepthook = _on_uncaught
threading.excepthook = _on_fault_aside
sys.unraisablehook = _on_fault_aside
