"""How tests share the cores, and scripts in the test's own process."""

import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPTS = Path(__file__).parents[1] / "scripts"

# The tests' products are small, and pytest-xdist already uses every core.
torch.set_num_threads(1)

# Where a shell has started the tests in the background, Ctrl-C is ignored by them and by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, so that what a file sets up is set up once; who is done first helps others."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture
def script_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a script in this process, where torch is imported already; returns its exit status and what it says."""

    def run(name: str, *arguments: object, folder: Path) -> tuple[int, str]:
        path = SCRIPTS / f"{name}.py"
        monkeypatch.delenv("RLSUITE_TRACE", raising=False)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(SCRIPTS))
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(path), run_name="__main__")
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    return run
