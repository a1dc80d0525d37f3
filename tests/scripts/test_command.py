"""How a command ends, whatever happens in it: a line or two, a status, never a trace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = str(ROOT)


def ends(folder, program, **environment):
    variables = {name: value for name, value in os.environ.items() if name != "RLSUITE_TRACE"}
    variables |= {"PYTHONPATH": PATH, "TMPDIR": str(folder)} | environment
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=variables, capture_output=True, text=True, timeout=120
    )


def guarded(body, at_start=""):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"from agents.cli import command\n{at_start}\nwith command.fail_kindly():\n{lines}\n"


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        (guarded("raise ValueError('--seeds must be 1')"), 1, "--seeds must be 1"),
        (guarded("raise OSError(28, 'No space left on device')"), 1, "No space left on device"),
        (guarded("raise PermissionError(13, 'Permission denied', 'runs/a')"), 1, "no permission for runs/a: choose"),
        (guarded("raise FileExistsError(17, 'File exists', 'runs')"), 1, "runs is a file where a folder is needed"),
        (guarded("raise KeyboardInterrupt"), 130, ""),
        (guarded("pass", "raise KeyboardInterrupt"), 130, ""),
        (guarded("pass", "import torchh.nn"), 1, "the package 'torchh' is missing: pip install"),
        (guarded("import torchh"), 1, "the package 'torchh' is missing: pip install"),
        (guarded("raise MemoryError"), 1, "there is not enough memory"),
        (guarded("raise SystemExit(3)"), 3, ""),
    ],
)
def test_what_is_no_fault_is_said_in_a_line(program, status, said, tmp_path):
    done = ends(tmp_path, program)
    assert done.returncode == status, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr and "internal fault" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (guarded("{}['colour']"), "KeyError: 'colour'"),
        (guarded("import numpy\nnumpy.ones(2) + numpy.ones(3)"), "ValueError: operands could not be broadcast"),
        (guarded("pass", "1 / 0"), "ZeroDivisionError"),
        (guarded("import rlsuite.nothing"), "No module named 'rlsuite.nothing'"),
        (guarded("error = RuntimeError('a')\nerror.add_note('of a worker')\nraise error"), "RuntimeError: a"),
    ],
)
def test_a_fault_leaves_its_trace_in_a_file_that_the_line_names(program, named, tmp_path):
    done = ends(tmp_path, program)
    assert done.returncode == 70, done.stderr
    assert f"internal fault: {named.split(':')[0]}" in done.stderr or named in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2
    (log,) = tmp_path.iterdir()
    assert str(log) in done.stderr
    text = log.read_text()
    assert "Traceback" in text and named in text
    assert ("of a worker" in text) == ("of a worker" in program)


def test_the_log_is_in_the_folder_of_the_run_where_there_is_one(tmp_path):
    work = "from pathlib import Path\nfrom rlsuite.tracking import run_folder\n"
    work += "run_folder.create(Path('runs'), 'mine', '', {})\nassert False, 'broken'"
    done = ends(tmp_path, guarded(work))
    assert done.returncode == 70
    assert "broken" in (tmp_path / "runs" / "mine" / "fault.log").read_text()


def test_faults_in_threads_and_at_deletion_are_a_line(tmp_path):
    thread = "import threading\nthread = threading.Thread(target=lambda: {}['colour'])\nthread.start()\nthread.join()"
    deletion = "class Bad:\n    def __del__(self): raise RuntimeError('late')\nBad()"
    for work in (thread, deletion):
        done = ends(tmp_path, guarded(work))
        assert done.returncode == 0
        assert "a fault aside" in done.stderr and "Traceback" not in done.stderr


def test_whoever_asks_sees_the_trace(tmp_path):
    done = ends(tmp_path, guarded("raise ValueError('x')"), RLSUITE_TRACE="1")
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closes a pipe as POSIX does")
def test_a_reader_that_goes_away_ends_nothing(tmp_path):
    work = "import pathlib\nfor number in range(50_000): print(number)\npathlib.Path('done').touch()"
    variables = os.environ | {"PYTHONPATH": PATH}
    running = subprocess.Popen(
        [sys.executable, "-c", guarded(work)],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(60) == 0 and running.stderr.read() == b""
    running.stderr.close()
    assert (tmp_path / "done").exists()
