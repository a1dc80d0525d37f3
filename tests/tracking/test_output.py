"""A process whose output nobody takes: it goes on, ends with its own status, and says nothing about it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

# Says everything in every way, many times over: more than a pipe holds.
PROGRAM = """
import logging, sys, warnings
from pathlib import Path
import rich.console
from rlsuite.tracking.console import Console
from rlsuite.tracking.output import tolerate_closed_output
from rlsuite.tracking.record import Clock

if sys.argv[2] == "tolerant":
    tolerate_closed_output()
    tolerate_closed_output()
logging.basicConfig(level="INFO")
console = Console("dqn", 1_000, {"train/return": "return"})
for step in range(200):
    print("x" * 1_000)
    print("y" * 1_000, file=sys.stderr, flush=True)
    logging.info("logged")
    warnings.warn(f"warned {step}")
    rich.console.Console().print("printed")
    console.log(Clock(step, step, 10.0 * step), {"train/return": 1.0})
console.summary({"iqm": 1.0})
console.close("interrupted")
print("not flushed", end="")
Path(sys.argv[1]).write_text("went on")
sys.exit(3)
"""


def _closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def _lost_terminal() -> int:
    master, terminal = pty.openpty()
    os.close(master)
    return terminal


OUTPUTS = {
    "closed pipe": _closed_pipe,
    "lost terminal": _lost_terminal,
    "full disk": lambda: os.open("/dev/full", os.O_WRONLY),
}


def _run(folder: Path, manner: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder / "end"), manner]
    return subprocess.run(command, text=True, timeout=60, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_process_goes_on_when_its_output_is_gone(
    tmp_path: Path, kind: str, streams: tuple[str, ...], unbuffered: str
) -> None:
    output = OUTPUTS[kind]()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(streams, output)
    done = _run(tmp_path, "tolerant", **pipes, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    os.close(output)
    assert done.returncode == 3
    assert (tmp_path / "end").read_text() == "went on"
    assert "Error" not in (done.stderr or "") and "does not work" not in (done.stderr or "")


def test_the_program_above_would_fail_otherwise(tmp_path: Path) -> None:
    output = _closed_pipe()
    assert _run(tmp_path, "as it is", stdout=output, stderr=subprocess.PIPE).returncode != 3
    os.close(output)


def test_a_process_started_without_output_keeps_its_files_to_itself(tmp_path: Path) -> None:
    """A file opened next would get the number of standard output, and everything that is printed."""
    program = (
        "import os, sys; from rlsuite.tracking.output import tolerate_closed_output as t; t()\n"
        "file = open(sys.argv[1], 'w'); print('to nobody'); os.write(1, b'C'); os.write(2, b'C'); file.write('mine')"
    )
    closed = 'exec "$@" <&- >&- 2>&-'
    command = ["sh", "-c", closed, "sh", sys.executable, "-c", program, str(tmp_path / "file")]
    assert subprocess.run(command, timeout=60).returncode == 0
    assert (tmp_path / "file").read_text() == "mine"


def test_characters_that_the_terminal_does_not_have_are_escaped() -> None:
    program = "from rlsuite.tracking.output import tolerate_closed_output as t; t(); print('r\\u00e9ussi \\u2713')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"r\\xe9ussi \\u2713\n")


def test_a_log_file_that_cannot_be_written_says_nothing() -> None:
    program = (
        "import logging; from rlsuite.tracking.output import tolerate_closed_output as t; t()\n"
        "logging.getLogger().addHandler(logging.FileHandler('/dev/full')); logging.warning('lost')\n"
        "import os; os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
