"""The comparison of methods on one economy, with every method cut short."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from agents.runs import economies
from rlsuite.deqn import certificate, dynamics, registry, run, value_iteration
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.dynamics import ForecastTest

_SHORT: dict[str, dict[str, Any]] = {
    "reinforce": {"num_envs": 4, "rollout_env_steps": 200, "total_env_steps": 600},
    "ppo": {"num_envs": 4, "rollout_env_steps": 200, "total_env_steps": 600, "epochs": 1, "minibatches": 2},
    "ddpg": {
        "total_env_steps": 200,
        "learning_starts_env_steps": 150,
        "random_env_steps": 50,
        "batch_size": 16,
        "replay_capacity": 200,
    },
}
_TINY = SolverConfig(hidden=(8,), tracks=32, adam_updates=20, polish_updates=8, polish_states=96)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    common = {
        "hidden": (16,),
        "evaluation_episodes": 1,
        "evaluate_every_env_steps": 100,
        "final_episodes": 1,
        "log_every_env_steps": 100,
    }
    monkeypatch.setattr(economies, "preset", lambda agent, env: common | _SHORT[agent])
    monkeypatch.setattr(registry, "tuned", lambda model: _TINY)
    monkeypatch.setattr(economies, "_ADAM_UPDATES", 20)
    monkeypatch.setattr(certificate, "_TRACKS", 8)
    monkeypatch.setattr(certificate, "_REACH_STATES", 1000)
    monkeypatch.setattr(certificate, "_KEPT_PERIODS", 2)
    monkeypatch.setattr(certificate, "_BURN_IN_PERIODS", 20)
    monkeypatch.setattr(certificate, "stability", functools.partial(dynamics.stability, periods=60))
    monkeypatch.setattr(run, "draw_all", lambda *given: None)
    monkeypatch.setattr(value_iteration, "_REFINEMENTS", 0)
    monkeypatch.setattr(certificate, "_CUT", 0.5)
    monkeypatch.setattr(certificate, "den_haan_marcet", lambda *given: ForecastTest(reason="not asked"))


@pytest.mark.slow
def test_every_method_is_judged_alike(short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert economies.compare("brock-mirman", seed=3, runs=str(tmp_path)) == 0
    (folder,) = tmp_path.iterdir()
    rows = {row["method"]: row for row in json.loads((folder / "comparison.json").read_text())}
    assert list(rows) == ["REINFORCE", "PPO", "DDPG", "DEQN-Adam", "DEQN-LM", "value iteration", "reference"]
    assert {field.name for field in dataclasses.fields(economies.Result)} == set(rows["DDPG"])
    mean = {method: row["euler_log10"]["mean"] for method, row in rows.items()}
    assert mean["reference"] < -15 < mean["value iteration"] < -6
    assert mean["DEQN-LM"] < -5 < mean["DEQN-Adam"]
    assert rows["REINFORCE"]["transitions"] == 600
    assert rows["DDPG"]["transitions"] == 200
    # 20 updates of 32 states with 5 nodes each, and a step of every path before each.
    assert rows["DEQN-Adam"]["transitions"] == 20 * 32 * (5 + 1)
    assert rows["DEQN-LM"]["transitions"] > rows["DEQN-Adam"]["transitions"] + 8 * 96 * 5 * 3
    assert rows["value iteration"]["transitions"] > 1e5
    assert rows["DDPG"]["welfare_loss"] > 10 * abs(rows["DEQN-LM"]["welfare_loss"])
    assert rows["reference"]["welfare_loss"] == 0
    printed = capsys.readouterr().out
    assert "transitions" in printed
    table = printed.rpartition("Euler errors as log10")[2].partition("written to")[0]
    assert "…" not in table
    assert max(map(len, table.splitlines()[1:])) <= 80
    assert "comparison.json" in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("olg-6", "olg-6 cannot be compared: only brock-mirman, growth, krusell-smith-household can"),
        ("brok-mirman", "did you mean 'brock-mirman'"),
    ],
)
def test_what_cannot_be_compared_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        economies.compare(name, runs=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
