"""What a finished run is judged by."""

import json

import pytest

from agents.dqn import DQNConfig
from agents.training import train

QUICK = {"hidden": (8,), "total_env_steps": 64, "learning_starts_env_steps": 16, "evaluate_every_env_steps": 32}


@pytest.mark.parametrize(("target_return", "judged"), [(None, "last"), (1.0, "best")])
def test_who_asks_for_a_return_is_shown_the_agents_that_reached_it(tmp_path, monkeypatch, target_return, judged):
    monkeypatch.setattr("agents.training._FINAL_EPISODES", 3)
    config = DQNConfig(
        env="rlsuite/CartPole-v1",
        target_return=target_return,
        evaluation_episodes=2,
        runs=str(tmp_path),
        name="run",
        wandb="disabled",
        video=False,
        **QUICK,
    )
    assert train("dqn", config) == 0
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["checkpoint"] == judged
