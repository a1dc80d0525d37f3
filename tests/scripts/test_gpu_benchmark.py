"""The benchmark of a GPU runs, in its tiny form, where there is none too."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_its_tiny_form_agrees_and_measures(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "gpu", "--tiny", "--minutes", "9"]
    command += ["--json", str(tmp_path / "rows.json"), "--table", str(tmp_path / "rows.md")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert all(math.isfinite(row["value"]) for row in rows), rows
    agreements = [row for row in rows if "limit" in row]
    assert len(agreements) == 2 and all(row["value"] <= row["limit"] for row in agreements), agreements
    assert [row["unit"] for row in rows[2:]] == ["env steps/s", "env steps/s, all seeds"]
    assert len((tmp_path / "rows.md").read_text().splitlines()) == 2 + len(rows)
