"""A short version of ``scripts/reliability.py``: some trials of every check, in CI."""

import importlib
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from reliability import CHECKS  # noqa: E402

SECONDS = 3.0  # of each check


def make(name, folder):
    from trials import run_check

    return run_check(importlib.import_module(name), SECONDS, 0, folder).as_json()


@pytest.fixture(scope="module")
def harness():
    """A process that has imported everything once, for all checks: that takes longer than their trials."""
    start = multiprocessing.get_context("spawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # what forks must have one thread
        with ProcessPoolExecutor(1, start, importlib.import_module, ("trials",)) as pool:
            yield pool


# Other tests try the same one by one.
SLOW = ("command_lines", "damage", "full_disks", "operations", "pipes", "saves", "sharing", "wandb_faults")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CHECKS])
def test_nothing_is_lost_and_nothing_surprises(name, harness, tmp_path):
    check = harness.submit(make, name, tmp_path).result(timeout=600)
    if check["skipped"]:
        pytest.skip(check["skipped"])
    assert check["trials"]
    assert not check["faults"], "\n\n".join(f"{fault['kind']}: {fault['what']}" for fault in check["faults"])


def call_script(words, folder):
    from forks import run

    ended = run(words, folder)
    return ended.status, ended.output


def test_the_script_says_and_writes_what_it_found(harness, tmp_path):
    words = ["--only", "saves", "--minutes", "0.001", "--json", "found.json", "--table", "table.md"]
    status, output = harness.submit(call_script, ["reliability", *words], tmp_path).result(timeout=600)
    assert status == 0 and "what was found" in output, output
    [check] = json.loads((tmp_path / "found.json").read_text())["checks"]
    assert check["name"] == "saves" and check["trials"]
    assert "| `saves`: " in (tmp_path / "table.md").read_text()
