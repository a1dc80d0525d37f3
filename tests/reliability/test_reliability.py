"""A short version of ``scripts/reliability.py``: some trials of every check, in CI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from reliability import CHECKS  # noqa: E402


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_lost_and_nothing_surprises(name, tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "reliability.py"), "--only", name, "--minutes", "0.05"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--json", "found.json"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    [check] = json.loads((tmp_path / "found.json").read_text())["checks"]
    if check["skipped"]:
        pytest.skip(check["skipped"])
    assert check["trials"]
