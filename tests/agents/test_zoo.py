"""Results from run folders, and agents that move as one file."""

import dataclasses
import json
import zipfile

import pytest

from agents.dqn import DQNConfig
from agents.runs import zoo
from agents.runs.evaluating import evaluate_run, print_report, report_path
from agents.runs.run import open_run
from agents.runs.training import resume_run, train
from rlsuite.training.checkpoint import CheckpointError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = DQNConfig(
        env="rlsuite/CartPole-v1",
        runs=str(tmp_path_factory.mktemp("runs")),
        name="small",
        seeds=2,
        num_envs=2,
        threads=1,
        wandb="disabled",
        video=False,
        final_episodes=3,
        evaluation_episodes=1,
        total_env_steps=32,
        learning_starts_env_steps=16,
        replay_capacity=100,
        batch_size=8,
        hidden=(8,),
    )
    return train("dqn", config).run


def test_a_packed_agent_has_the_same_score_elsewhere(run, tmp_path):
    score = evaluate_run(run, 5, "best")["per_seed_mean"]
    zoo.pack(run, tmp_path / "small.zip")
    with zipfile.ZipFile(tmp_path / "small.zip") as packed:
        assert packed.namelist() == list(zoo._PACKED)
        assert "IQM" in packed.read("README.md").decode()
    folder = zoo.unpack(tmp_path / "small.zip", tmp_path / "runs")
    assert folder == tmp_path / "runs" / "small"
    assert evaluate_run(open_run(folder), 5, "best")["per_seed_mean"] == score
    with pytest.raises(ValueError, match="already holds a run"):
        zoo.unpack(tmp_path / "small.zip", tmp_path / "runs")
    best = (folder / "checkpoint" / "best").read_bytes()
    for _ in range(2):  # with its score, and without
        with pytest.raises(CheckpointError, match="cannot go on from there|nothing that its training could go on from"):
            resume_run(folder)
        (folder / "evaluation.json").unlink(missing_ok=True)
    assert (folder / "checkpoint" / "best").read_bytes() == best and (folder / "metrics.jsonl").exists()


def test_a_pack_holds_the_agent_whose_score_is_on_its_card(run, tmp_path):
    score = evaluate_run(run, 4, "last")["per_seed_mean"]
    zoo.pack(run, tmp_path / "small.zip")
    folder = zoo.unpack(tmp_path / "small.zip", tmp_path / "runs")
    zoo.pack(open_run(folder), tmp_path / "again.zip")
    assert evaluate_run(open_run(folder), 4, "best")["per_seed_mean"] == score


def test_an_evaluation_by_other_rules_is_not_the_runs_score(run, capsys):
    report = evaluate_run(run, 2)
    config = dataclasses.replace(run.config, env_kwargs={"max_episode_steps": 3})
    other = evaluate_run(dataclasses.replace(run, config=config), 2)
    assert json.loads((run.folder / "evaluation.json").read_text()) == report
    assert json.loads((run.folder / "evaluation-by-other-rules.json").read_text()) == other
    assert other["env_kwargs"] == {"max_episode_steps": 3}
    print_report(report, report_path(run))
    assert "of 2 seeds, too few for a 95 % interval" in capsys.readouterr().out


def test_results_are_those_of_the_folders(run, tmp_path):
    report = evaluate_run(run, 3, "last")
    assert zoo.write_results([run.folder], tmp_path / "results.md") == 1
    (found,) = json.loads((tmp_path / "results.json").read_text())
    assert found["iqm"] == report["iqm"] and found["seeds"] == [0, 1] and found["env_steps"] == 32
    (row,) = [line for line in (tmp_path / "results.md").read_text().splitlines() if "rlsuite/CartPole-v1" in line]
    assert f"{report['iqm']:.4g} (" in row and "greedy, 3 episodes, last" in row
    other = {**found, "name": "other"}
    (tmp_path / "before.json").write_text(json.dumps([other, {**found, "iqm": 7.0}]))
    (tmp_path / "results.md").write_text("# Ours\n\n" + (tmp_path / "results.md").read_text())
    assert zoo.write_results([tmp_path / "before.json", run.folder], tmp_path / "results.md") == 2
    assert json.loads((tmp_path / "results.json").read_text()) in ([found, other], [other, found])
    text = (tmp_path / "results.md").read_text()
    assert text.startswith("# Ours\n\n| environment |") and text.count("| environment |") == 1
    with pytest.raises(ValueError, match="--out names the table, such as"):
        zoo.write_results([run.folder], tmp_path / "results.json")
    (tmp_path / "before.json").write_text("{}, no")
    with pytest.raises(ValueError, match="does not hold results"):
        zoo.write_results([tmp_path / "before.json"], tmp_path / "results.md")
    (run.folder / "evaluation.json").rename(tmp_path / "evaluation.json")
    with pytest.raises(ValueError, match="has not been evaluated yet: rlsuite evaluate"):
        zoo.write_results([run.folder], tmp_path / "results.md")
    assert "It has not been evaluated." in zoo.card(run.folder)
    (tmp_path / "evaluation.json").rename(run.folder / "evaluation.json")


def test_a_command_is_told_without_the_place_of_its_run():
    words = ["dqn", "--env", "CartPole-v1", "--name", "a", "--runs", "here", "--name=b", "--seeds", "3"]
    assert list(zoo._without_place(words)) == ["dqn", "--env", "CartPole-v1", "--seeds", "3"]


@pytest.mark.parametrize("names", [["config.json"], ["config.json", "checkpoint/best", "../outside"], None])
def test_what_is_no_packed_agent_is_refused(names, tmp_path):
    file = tmp_path / "other.zip"
    if names is None:
        file.write_bytes(b"PK\x03\x04 not whole")
    else:
        with zipfile.ZipFile(file, "w") as packed:
            for name in names:
                packed.writestr(name, "{}")
    with pytest.raises(ValueError, match="is no packed agent"):
        zoo.unpack(file, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_every_preset_is_listed():
    rows = zoo.presets()
    assert ("dqn", "CartPole", "50,000", "CartPole-v*") in rows
    assert {agent for agent, *_ in rows} >= {"dqn", "ppo", "sac", "td3"}
