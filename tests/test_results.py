"""docs/results.md is what the folders of runs said, and the README says the same."""

import json
import re
from pathlib import Path

import pytest

from agents.runs.zoo import Result, table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.json"
README_ROW = re.compile(
    r"^\| (?P<agent>[^|]+?) \| (?P<env>[^|]+?) \| (?P<seeds>\d+) \| [^|]+ \| (?P<iqm>-?[\d.]+)(?= [(o|])"
)


@pytest.fixture(scope="module")
def results():
    return [Result(**entry) for entry in json.loads(RESULTS.read_text())]


def test_the_table_is_made_of_the_results(results):
    assert (ROOT / "docs" / "results.md").read_text().endswith("\n".join(table(results)) + "\n")


def test_scores_of_the_readme_are_those_of_the_results(results):
    rows = [match for line in (ROOT / "README.md").read_text().splitlines() if (match := README_ROW.match(line))]
    checked = 0
    for row in rows:
        agent, env = row["agent"].split()[0].strip(",").lower(), row["env"].split()[0].strip(",")
        known = [one for one in results if (one.agent, one.env, len(one.seeds)) == (agent, env, int(row["seeds"]))]
        if known:
            digits = len(row["iqm"].partition(".")[2])
            assert float(row["iqm"]) in [round(one.iqm, digits) for one in known], row.group()
            checked += 1
    assert checked >= 5
