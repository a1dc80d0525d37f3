"""Solved economies in Python."""

import re
from pathlib import Path

import pytest
import torch

from rlsuite.deqn import registry, run, solved
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.solved import Solved, load

_DOCS = Path(__file__).parents[2] / "docs" / "economies.md"
_TINY = SolverConfig(hidden=(8,), tracks=32, adam_updates=10, polish_updates=2, polish_states=96)


@pytest.fixture(scope="module")
def exact() -> Solved:
    model = registry.build("brock-mirman")
    return Solved(model, model.reference_policy)


def test_the_example_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_examine", lambda *given: 3)
    monkeypatch.setattr(solved, "_BURN_IN_PERIODS", 5)
    runs = str(tmp_path / "runs")
    run.solve("brock-mirman", seeds=2, name="brock-mirman", runs=runs, wandb="disabled", config=_TINY)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall("```python\n(.*?)```", _DOCS.read_text(), flags=re.DOTALL)
    exec(example, {})
    assert Path("responses.png").read_bytes().startswith(b"\x89PNG")
    one, other = (load("runs/brock-mirman", seed).policy(torch.zeros(1, 2).double())["savings_rate"] for seed in (0, 1))
    assert one != other
    with pytest.raises(ValueError, match="has no seed 7, but 0, 1"):
        load("runs/brock-mirman", 7)


def test_moments_are_the_known_ones(exact: Solved) -> None:
    found = exact.moments(periods=400, tracks=200)
    assert list(found) == ["ln_capital", "productivity", "savings_rate"]
    assert found["ln_capital"]["mean"] == pytest.approx(-1.61203, abs=0.008)
    assert found["ln_capital"]["sd"] == pytest.approx(0.13766, abs=0.005)
    assert found["productivity"]["autocorrelation"] == pytest.approx(0.9, abs=0.01)
    assert found["productivity"]["correlation"] == pytest.approx(0.89, abs=0.01)


def test_responses_are_the_known_ones(exact: Solved) -> None:
    found = exact.impulse_responses(size=2.0, periods=3, tracks=10)
    assert found["productivity"].tolist() == pytest.approx([0.08, 0.072, 0.0648])
    assert found["ln_capital"].tolist() == pytest.approx([0.0, 0.08, 0.072 + 0.36 * 0.08])


def test_a_chain_is_sent_to_a_regime() -> None:
    model = registry.build("olg-6")
    found = Solved(model, model.reference_policy).impulse_responses(shock=3, periods=2, tracks=400)
    assert found["regime_4"][0].item() == pytest.approx(0.75, abs=0.08)
    assert found["regime_4"][1].item() == 0
