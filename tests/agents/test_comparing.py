import json

import pytest

from agents.dqn import DQNConfig
from agents.runs import comparing
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


def test_profiles_are_of_the_last_env_step_that_all_have(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        comparing, "draw_profiles", lambda path, scores, label, title: drawn.update(scores, label=label)
    )
    short = run_with_returns(tmp_path / "short", [1.0, 2.0], [3.0, 4.0])
    long = run_with_returns(tmp_path / "long", [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]).rename(tmp_path / "long" / "b")
    compare([short, long], tmp_path / "figure.png", "train/return", profile=tmp_path / "profile.png")
    assert {name: scores.tolist() for name, scores in drawn.items() if name != "label"} == {"a": [3, 4], "b": [7, 8]}
    assert drawn["label"] == "train return after 100 env steps"


def test_runs_of_different_environments_are_drawn_with_a_word(tmp_path, capfd):
    first = run_with_returns(tmp_path / "first", [1.0, 2.0])
    other = run_with_returns(tmp_path / "other", [1.0, 2.0])
    document = (other / "config.json").read_text()
    (other / "config.json").write_text(document.replace('"CartPole-v1"', '"rlsuite/CartPole-v1"'))
    compare([first, other], tmp_path / "figure.png", "train/return")
    assert "not on one scale" not in "".join(capfd.readouterr())
    (other / "config.json").write_text(document.replace('"CartPole-v1"', '"Acrobot-v1"'))
    compare([first, other], tmp_path / "figure.png", "train/return")
    assert "not on one scale: Acrobot-v1, CartPole-v1" in "".join(capfd.readouterr())


def test_runs_of_one_name_are_told_apart(tmp_path, monkeypatch, capfd):
    drawn = {}
    monkeypatch.setattr(comparing, "draw_profiles", lambda path, scores, label, title: drawn.update(scores))
    folders = [run_with_returns(tmp_path / place, [1.0, 2.0]) for place in ("one", "two")]
    compare(folders, tmp_path / "figure.png", "train/return", profile=tmp_path / "profile.png")
    assert set(drawn) == {str(folder) for folder in folders}
    for folder, protocol in zip(folders, ("nature", "machado"), strict=True):
        document = json.loads((folder / "config.json").read_text())
        document["config"]["environment"] |= {"env": "ALE/Pong-v5", "protocol": protocol, "env_kwargs": {}}
        (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="scores of different protocols do not compare"):
        compare(folders, tmp_path / "figure.png", "train/return")
    document["config"]["environment"] |= {"protocol": "nature", "env_kwargs": {"mode": 1}}
    (folder / "config.json").write_text(json.dumps(document))
    compare(folders, tmp_path / "figure.png", "train/return")
    assert "differ in their --env-kwargs" in "".join(capfd.readouterr())


def test_figures_that_cannot_be_are_refused_before_any_is_written(tmp_path):
    folder = run_with_returns(tmp_path / "runs", [1.0, 2.0], [3.0, 4.0])
    figure = tmp_path / "figure.png"
    for profile, complaint in (("p.txt", "ends in .png or .pdf"), ("figure.png", "name two files")):
        with pytest.raises(ValueError, match=complaint):
            compare([folder], figure, "train/return", profile=tmp_path / profile)
    assert not figure.exists()


def test_settings_and_seeds_have_curves_and_lines_of_their_own(tmp_path, capsys):
    config = DQNConfig(env="CartPole-v1", seeds=4, learning_rate=(1e-3, 1e-3, 1e-4, 1e-4), name="a", runs=str(tmp_path))
    folder = create("dqn", config).folder
    line = {"env_steps": 100, "updates": 1, "wall_seconds": 1.0, "evaluation/score": [1.0, 3.0, 10.0, 30.0]}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "evaluation.json").write_text(json.dumps({"per_seed_mean": [5.0, 5.0, 7.0, 7.0]}))

    def rows(split):
        compare([folder], tmp_path / "figure.png", split=split)
        text = " ".join(capsys.readouterr().out.split()).replace(", ", ",")
        return [text.count(word) for word in ("learning_rate 0.001", "learning_rate 0.0001", "seed 0", "seed 3")]

    assert rows("runs") == [0, 0, 0, 0]
    assert rows("settings") == [1, 1, 0, 0]
    assert rows("seeds") == [2, 2, 1, 1]
    shared = dict(line, **{"time/learn_fraction": 0.5})
    (folder / "metrics.jsonl").write_text(json.dumps(shared) + "\n")
    compare([folder], tmp_path / "figure.png", "time/learn_fraction", split="seeds")  # what they have in common
    capsys.readouterr()
    compare([folder], tmp_path / "figure.png", split="settings")
    first, second = [line.split() for line in capsys.readouterr().out.splitlines() if " 100 " in line]
    assert first[-6:] == ["2.00", "2.00", "1.00", "..", "3.00", "5.00"] and second[-6:-4] == ["20.00", "20.00"]
    assert second[-1] == "7.00"
