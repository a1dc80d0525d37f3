import json

import pytest

from agents.dqn import DQNConfig
from agents.runs.comparing import compare
from agents.runs.run import create


def run_with_returns(tmp_path, *returns):
    run = create("dqn", DQNConfig(env="CartPole-v1", seeds=2, name="a", runs=str(tmp_path)))
    lines = [
        {"env_steps": 100 * k, "updates": k, "wall_seconds": float(k), "train/return": value}
        for k, value in enumerate(returns)
    ]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run.folder


def test_lines_in_which_a_seed_finished_no_episode_are_left_out(tmp_path, capsys):
    folder = run_with_returns(tmp_path, [1.0, 2.0], [None, 4.0], [5.0, 7.0], [9.0, None])
    compare([folder], tmp_path / "figure.png", "train/return")
    assert (tmp_path / "figure.png").stat().st_size > 0
    assert "200" in capsys.readouterr().out  # env steps of the last line that counts


def test_a_run_without_any_full_line_says_so(tmp_path):
    folder = run_with_returns(tmp_path, [None, 2.0], [1.0, None])
    with pytest.raises(ValueError, match="no line in which all its seeds have"):
        compare([folder], tmp_path / "figure.png", "train/return")
