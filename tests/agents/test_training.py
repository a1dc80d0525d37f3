"""Runs from start to end: their folders, what they are resumed with, what they are judged by."""

import json
import os
import shutil
import signal
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from agents.dqn import DQNConfig
from agents.r2d2 import R2D2Config
from agents.reinforce import ReinforceConfig
from agents.runs.run import Run, git_commit
from agents.runs.training import resume_run, train
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.checkpoint import CheckpointError
from rlsuite.training.trainer import Trainer

QUICK = {"hidden": (8,), "total_env_steps": 64, "learning_starts_env_steps": 16, "evaluate_every_env_steps": 32}


@pytest.mark.parametrize(("target_return", "judged"), [(None, "last"), (1.0, "best")])
def test_who_asks_for_a_return_is_shown_the_agents_that_reached_it(tmp_path, target_return, judged):
    config = DQNConfig(
        env="rlsuite/CartPole-v1",
        target_return=target_return,
        evaluation_episodes=2,
        final_episodes=3,
        runs=str(tmp_path),
        name="run",
        wandb="disabled",
        video=False,
        **QUICK,
    )
    assert train("dqn", config).finished
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["checkpoint"] == judged


def short(tmp_path, **options):
    named = {"runs": str(tmp_path), "name": "run", "wandb": "disabled", "video": False, "final_episodes": 0} | QUICK
    return DQNConfig(**({"env": "rlsuite/CartPole-v1", "evaluation_episodes": 2} | named | options))


class Growing(gymnasium.Env):
    """Sees as many numbers as ``size`` says."""

    size = 2
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (Growing.size,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return np.zeros(self.observation_space.shape, np.float32), 1.0, True, False, {}


gymnasium.register("toy/Growing-v0", Growing)


@pytest.mark.parametrize(
    ("agent", "config", "complaint"),
    [
        (
            "dqn",
            {"env": "Pendulum-v1"},
            r"dqn needs a Discrete action space, .*: a2c, ddpg, ppo, reinforce, sac, td3 act there",
        ),
        ("dqn", {"env": "CartPol-v1"}, "CartPole-v1"),
        ("dqn", {"learning_rate": (1e-3, 1e-4), "seeds": 3}, "--learning-rate has 2 values for 3 seeds"),
        (
            "dqn",
            {"replay_capacity": 5, "num_envs": 8, "n_step": 3},
            r"--replay-capacity must be at least --num-envs \* --n-step = 24, not 5",
        ),
        (
            "dqn",
            {"env": "ALE/Pong-v5", "replay_capacity": 5, "num_envs": 8, "batch_size": 4},
            r"--replay-capacity must be at least --num-envs \* --n-step = 8, not 5",
        ),
        ("dqn", {"protocol": "machado"}, "--protocol is for Atari's games, and rlsuite/CartPole-v1 is none"),
        ("dqn", {"device": "cuda:77"}, "is not usable here"),
        ("dqn", {"seeds": 2, "workers": 3}, "--workers 3 is more than --seeds 2"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing_behind(agent, config, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        train(agent, short(tmp_path, **config))
    named = {"sequence_env_steps": 20, "burn_in_env_steps": 0, "replay_capacity": 30, "num_envs": 2, "batch_size": 4}
    r2d2 = R2D2Config(env="CartPole-v1", total_env_steps=1_000, runs=str(tmp_path), **named)
    with pytest.raises(ValueError, match=r"must be at least --num-envs \* the env steps of a sequence = \d+, not 30"):
        train("r2d2", r2d2)
    reinforce = ReinforceConfig(env="CartPole-v1", rollout_env_steps=4, num_envs=8, runs=str(tmp_path))
    with pytest.raises(ValueError, match="--rollout-env-steps 4 is less"):
        train("reinforce", reinforce)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_checkpoint_starts_over(tmp_path, capsys):
    assert train("dqn", short(tmp_path)).finished
    expected = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    (tmp_path / "run" / "evaluation.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has results, but its checkpoint is gone"):
        resume_run(tmp_path / "run")
    (tmp_path / "run" / "evaluation.json").unlink()
    assert resume_run(tmp_path / "run").finished
    assert "it starts over" in capsys.readouterr().out
    found = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    assert found.env_steps.tolist() == expected.env_steps.tolist()
    assert found.values.tolist() == expected.values.tolist()


def test_other_code_that_goes_on_is_said_and_kept(tmp_path, capsys):
    assert train("dqn", short(tmp_path)).finished
    folder = tmp_path / "run"
    run_folder.write(folder, run_folder.read(folder) | {"commit": "a" * 40})
    assert resume_run(folder).finished
    document, said = run_folder.read(folder), capsys.readouterr().out
    if git_commit() is None:
        assert document["commit"] == "a" * 40
    else:
        assert "was trained by commit aaaaaaa, and goes on with" in said
        assert document["commit"] == git_commit() and document["earlier_commits"] == ["a" * 40]


def test_options_changed_by_hand_are_said_and_kept(tmp_path, capsys):
    assert train("dqn", short(tmp_path)).finished
    folder = tmp_path / "run"
    document = run_folder.read(folder)
    assert resume_run(folder).finished and run_folder.read(folder) == document
    document["config"]["method"]["learning_rate"] = [0.5]
    run_folder.write(folder, document)
    assert resume_run(folder).finished and resume_run(folder).finished
    assert capsys.readouterr().out.count("were changed by hand") == 1
    assert run_folder.read(folder)["edited_at_env_steps"] == [64]


def test_an_extension_is_kept_and_said(tmp_path, capsys):
    assert train("dqn", short(tmp_path)).finished
    folder = tmp_path / "run"
    assert resume_run(folder, total_env_steps=96).finished
    said = capsys.readouterr().out
    assert "now ends at 96 env steps instead of 64" in said and "as at env step 64 of a run of 96" in said
    document = run_folder.read(folder)
    assert document["config"]["run"]["total_env_steps"] == 96
    (extension,) = document["extensions"]
    assert extension.pop("time")
    assert extension == {"at_env_steps": 64, "from_env_steps": 64, "to_env_steps": 96}
    with pytest.raises(ValueError, match="--total-env-steps 50 is behind .*, which is at 96"):
        resume_run(folder, total_env_steps=50)
    assert resume_run(folder).finished
    assert read_metrics(folder / "metrics.jsonl")["evaluation/score"].env_steps.tolist() == [32, 64, 96]
    assert len(run_folder.read(folder)["extensions"]) == 1


def test_a_run_whose_environment_has_changed_is_refused(tmp_path, monkeypatch):
    assert train("dqn", short(tmp_path, env="toy/Growing-v0")).finished
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    monkeypatch.setattr(Growing, "size", 3)
    with pytest.raises(ValueError, match=r"toy/Growing-v0 has changed since .* began: its observation space was Box"):
        resume_run(tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before
    with pytest.raises(ValueError, match="--workers 2 is more than the 1 shards"):
        resume_run(tmp_path / "run", workers=2)


class Endless(Growing):
    """Episodes without an end; the first Ctrl-C comes while it is evaluated."""

    copies = 0

    def __init__(self):
        super().__init__()
        Endless.copies += 1
        self.is_evaluated, self.time = Endless.copies > 2, 0  # a probe and the training come first

    def step(self, action):
        self.time += 1
        if self.is_evaluated and self.time == 20:
            os.kill(os.getpid(), signal.SIGINT)
        observation, reward, *_ = super().step(action)
        return observation, reward, False, False, {}


gymnasium.register("toy/Endless-v0", Endless)


def test_the_first_ctrl_c_ends_an_evaluation_too(tmp_path):
    started = time.monotonic()
    config = short(tmp_path, env="toy/Endless-v0", evaluation_max_env_steps=100_000_000)
    assert not train("dqn", config).finished
    assert time.monotonic() - started < 60
    state = Run(tmp_path / "run", "dqn", config).checkpoints.load()
    assert state["clock"]["env_steps"] == 32


@pytest.mark.parametrize(
    ("maker", "why"),
    [
        (lambda: CartPoleEnv(), "Odd-v0 cannot be watched"),
        (lambda render_mode=None: CartPoleEnv(), "Odd-v0 could not be drawn: its render() returns no picture"),
    ],
)
def test_a_run_that_cannot_be_drawn_is_finished_all_the_same(tmp_path, capsys, maker, why):
    gymnasium.register("Odd-v0", maker, max_episode_steps=20)
    try:
        config = DQNConfig(
            env="Odd-v0",
            evaluation_episodes=2,
            final_episodes=0,
            runs=str(tmp_path),
            name="run",
            wandb="disabled",
            **QUICK,
        )
        assert train("dqn", config).finished
    finally:
        del gymnasium.registry["Odd-v0"]
    assert f"no video: {why}" in capsys.readouterr().out
    assert list((tmp_path / "run").rglob("*.mp4")) == []


def test_a_resume_that_stops_at_once_loses_nothing_and_a_lost_file_is_told_of(tmp_path, capsys, monkeypatch):
    train("dqn", short(tmp_path))
    path = tmp_path / "run" / "metrics.jsonl"
    before = path.read_bytes()

    def stopped(trainer, stop):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_run", stopped)
        resume_run(tmp_path / "run", "previous")
    assert path.read_bytes() == before
    resume_run(tmp_path / "run")
    assert "metrics.jsonl ends" not in capsys.readouterr().err
    path.unlink()
    resume_run(tmp_path / "run", total_env_steps=96)
    assert "metrics.jsonl ends at env step 0" in capsys.readouterr().err


def test_config_json_says_what_was_decided(tmp_path):
    assert train("dqn", short(tmp_path, num_envs=2, learning_starts_env_steps=1_000)).finished
    decided = run_folder.read(tmp_path / "run")["decided"]
    assert decided == {
        "preset": "none",
        "device": "cpu",
        "execution": "eager",
        "workers": 1,
        "shards": 1,
        "threads": 1,
        "evaluation_envs": 2,
        "evaluation_max_env_steps": 100_000,
        "final_episodes": 0,
        "learning_starts_env_steps": 6,
        "evaluation_epsilon": 0.0,
    }


@pytest.mark.slow
def test_config_json_says_what_a_resumed_run_decides_otherwise(tmp_path):
    assert train("dqn", short(tmp_path, seeds=2, workers=1, shards=2)).finished
    assert resume_run(tmp_path / "run", workers=2, device="cpu", total_env_steps=96).finished
    document = run_folder.read(tmp_path / "run")
    assert document["decided"]["workers"] == 2 and document["config"]["system"]["workers"] == 1
    resume_run(tmp_path / "run")
    assert run_folder.read(tmp_path / "run")["decided"]["workers"] == 1
