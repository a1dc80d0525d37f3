"""Ranks of ``torchrun``: one learner on the experience of all, which is resumed as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from agents.dqn import DQNConfig
from agents.runs.run import Run, of_rank, plan
from rlsuite import ranks
from rlsuite.training.checkpoint import Checkpoints

ROOT = Path(__file__).parents[2]
SMALL = ["--hidden", "16", "--evaluation-episodes", "2", "--final-episodes", "2", "--train-every-env-steps", "10"]
SMALL += ["--updates-per-train", "1", "--learning-starts-env-steps", "100", "--evaluate-every-env-steps", "500"]
SMALL += ["--log-every-env-steps", "100", "--no-video", "--wandb", "disabled", "--env", "CartPole-v1", "--name", "r"]


def torchrun(folder, *arguments, restarts=0):
    own = ["--nproc-per-node", "2", "--max-restarts", str(restarts), str(ROOT / "scripts" / "train.py")]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *own, *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "RLSUITE_TRACE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_ranks_hold_the_same_parameters_and_are_resumed_together(tmp_path):
    """Rank 0 compares the learners whenever it saves, and refuses those that differ."""
    begun = torchrun(tmp_path, "dqn", *SMALL, "--total-env-steps", "1000")
    said = begun.communicate(timeout=600)[0]
    assert begun.returncode == 0, said
    state = Checkpoints(tmp_path / "runs/r/checkpoint").load()
    assert set(state["ranks"]) == {"rank_1"} and state["updates"] == state["ranks"]["rank_1"]["updates"] >= 90
    own, other = state["source"], state["ranks"]["rank_1"]["source"]
    assert own.keys() == other.keys() and str(own) != str(other)
    longer = torchrun(tmp_path, "--resume", "runs/r", "--total-env-steps", "1200")
    assert longer.wait(600) == 0
    alone = [sys.executable, str(ROOT / "scripts" / "train.py"), "--resume", "runs/r", "--total-env-steps", "1400"]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "the checkpoint is one of 2 ranks: torchrun goes on with it" in done.stderr


@pytest.mark.slow
def test_ranks_go_on_from_the_last_checkpoint_when_one_is_killed(tmp_path):
    """Rank 0 is killed twice, the second time once all are at work again."""
    process = torchrun(
        tmp_path, "dqn", *SMALL, "--total-env-steps", "3000", "--checkpoint-every-seconds", "1", restarts=3
    )
    run = tmp_path / "runs" / "r"
    for _ in range(2):
        began = time.time()
        while not (run / "checkpoint" / "last").exists() or (run / "metrics.jsonl").stat().st_mtime < began:
            assert process.poll() is None and time.time() < began + 240
            time.sleep(0.1)
        os.kill(int((run / ".lock").read_text()), signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert said.count("another rank is gone, and the last checkpoint is whole") == 2
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line["env_steps"] for line in lines]
    assert steps == sorted(steps) and steps[-1] == 3_000 and (run / "evaluation.json").exists()


def as_rank(monkeypatch, rank, restarts="0"):
    for name, value in {"WORLD_SIZE": "2", "RANK": str(rank), "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", restarts)


def test_each_rank_has_random_numbers_of_its_own(tmp_path, monkeypatch):
    config = DQNConfig(env="CartPole-v1", seeds=3, seed=7, runs=str(tmp_path))
    assert of_rank(Run(tmp_path, "dqn", config)).config == config
    as_rank(monkeypatch, 0)
    first = plan("dqn", config).config
    as_rank(monkeypatch, 1)
    second = plan("dqn", config).config
    assert first.seed == 7 and second.seed > 2**39
    assert (first.workers, first.shards, first.execution) == (1, 1, "eager")


@pytest.mark.parametrize("option", [{"normalise_rewards": True}, {"execution": "compile"}, {"workers": 2, "seeds": 2}])
def test_what_ranks_cannot_do_is_refused(tmp_path, monkeypatch, option):
    as_rank(monkeypatch, 0)
    with pytest.raises(ValueError, match="ranks"):
        plan("dqn", DQNConfig(env="CartPole-v1", runs=str(tmp_path), **option))


def test_ranks_that_are_started_again_do_not_find_what_those_before_have_left(monkeypatch):
    kept = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(kept.port))
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    stores = []
    for restarts in ("0", "1"):
        as_rank(monkeypatch, 1, restarts)
        stores.append(ranks._store())
    stores[0].set("address", "of a rank that is gone")
    assert stores[0].check(["address"]) and not stores[1].check(["address"])


def test_only_torchrun_makes_ranks(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # as other launchers set it
    assert ranks.size() == 1 and ranks.rank() == 0 and ranks.restarts() == 0
    as_rank(monkeypatch, 1, restarts="2")
    assert ranks.size() == 2 and ranks.rank() == 1 and ranks.restarts() == 2
