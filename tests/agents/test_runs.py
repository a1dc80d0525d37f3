"""Whole runs in their folders: resuming, phases of a run, and folders that are not right."""

import copy
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.alphazero import AlphaZeroConfig
from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.pqn import PQNConfig
from agents.r2d2 import R2D2Config
from agents.rainbow import RainbowConfig
from agents.reinforce import ReinforceConfig
from agents.runs import training
from agents.runs.building import build_trainer, build_workers
from agents.runs.deciding import resolved
from agents.runs.registry import config_class
from agents.runs.run import Run, create, load_agent, open_run
from agents.sac import SACConfig
from agents.td3 import TD3Config
from rlsuite.tracking.jsonl import JsonlWriter, read_metrics
from rlsuite.tracking.record import Clock
from rlsuite.tracking.tracker import Tracker
from rlsuite.training import worker
from rlsuite.training.checkpoint import CheckpointError, load
from rlsuite.training.collector import Collector
from rlsuite.training.evaluation import Evaluation, EvaluationStopped
from rlsuite.training.trainer import TrainingError

SMALL = {
    "hidden": (16,),
    "seeds": 2,
    "log_every_env_steps": 50,
    "evaluate_every_env_steps": 150,
    "evaluation_episodes": 2,
    "total_env_steps": 600,
    "wandb": "disabled",
}
REPLAY = {"learning_starts_env_steps": 64, "replay_capacity": 300, "batch_size": 8}
SLOW = {"random_env_steps": 100, "train_every_env_steps": 4}
RUNS = {
    "dqn": DQNConfig(env="CartPole-v1", num_envs=2, train_every_env_steps=4, n_step=3, **REPLAY, **SMALL),
    "ddpg": DDPGConfig(env="Pendulum-v1", noise="ornstein-uhlenbeck", **SLOW, **REPLAY, **SMALL),
    "td3": TD3Config(env="Pendulum-v1", **SLOW | {"train_every_env_steps": 15}, **REPLAY, **SMALL),
    "sac": SACConfig(env="Pendulum-v1", **SLOW | {"train_every_env_steps": 15}, **REPLAY, **SMALL),
    "reinforce": ReinforceConfig(env="CartPole-v1", num_envs=2, rollout_env_steps=64, **SMALL),
}
# The first two go on in the same way in environments of the host (td3 the other way round), the others as ppo or dqn.
SLOW_ON_DEVICE = ("ddpg", "sac", "pqn", "reinforce", "rainbow")
ON_DEVICE = {
    "dqn": replace(RUNS["dqn"], env="rlsuite/CartPole-v1"),
    "ddpg": replace(RUNS["ddpg"], env="rlsuite/Pendulum-v1", num_envs=2),
    "td3": replace(RUNS["td3"], env="rlsuite/Pendulum-v1", num_envs=2, train_every_env_steps=16),
    "sac": replace(
        RUNS["sac"], env="rlsuite/Pendulum-v1", num_envs=2, train_every_env_steps=16, temperature=(0.5, 1.0)
    ),
    "reinforce": replace(RUNS["reinforce"], env="rlsuite/CartPole-v1", memory="gru", memory_units=8),
    "rainbow": RainbowConfig(
        env="rlsuite/CartPole-v1",
        num_envs=2,
        train_every_env_steps=4,
        atoms=5,
        target_period_updates=9,
        **REPLAY,
        **SMALL,
    ),
    "pqn": PQNConfig(env="rlsuite/CartPole-v1", num_envs=2, rollout_env_steps=64, minibatches=2, **SMALL),
    "alphazero": AlphaZeroConfig(
        env="rlsuite/TicTacToe-v0",
        num_envs=8,
        train_every_env_steps=8,
        n_step=9,
        simulations=3,
        encoder="mlp",
        **REPLAY,
        **SMALL,
    ),
    "r2d2": R2D2Config(
        env="rlsuite/PositionOnlyCartPole-v1",
        num_envs=2,
        train_every_env_steps=8,
        memory="lstm",
        memory_units=8,
        burn_in_env_steps=2,
        sequence_env_steps=4,
        sequence_period_env_steps=3,
        epsilon_spread=7.0,
        **REPLAY,
        **SMALL,
    ),
    "ppo": PPOConfig(
        env="rlsuite/NoisyPositionOnlyCartPole-v1",
        num_envs=2,
        rollout_env_steps=64,
        epochs=2,
        minibatches=2,
        memory="gru",
        memory_units=8,
        bptt_env_steps=8,
        **SMALL,
    ),
}


def trainer_of(agent, config, folder, resume_at=None):
    run = Run(folder, agent, replace(config, runs=str(folder.parent), name=folder.name))
    if resume_at is None:
        create(agent, run.config)
    writer = JsonlWriter(folder / "metrics.jsonl", resume_at)
    return build_trainer(run, writer), writer


def flat(state, prefix=""):
    for name, value in state.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize(
    ("runs", "agent"),
    [
        *(pytest.param(RUNS, agent, id=agent, marks=[pytest.mark.slow] * (agent == "td3")) for agent in RUNS),
        *(
            pytest.param(
                ON_DEVICE, agent, id=f"{agent} on device", marks=[pytest.mark.slow] * (agent in SLOW_ON_DEVICE)
            )
            for agent in ON_DEVICE
        ),
    ],
)
def test_an_interrupted_run_goes_on_bit_for_bit(agent, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_STRETCH_SECONDS", -1.0)  # looks for a stop after every round
    config = runs[agent]
    whole, writer = trainer_of(agent, config, tmp_path / "whole")
    whole.run()
    writer.close("finished")

    collect = Collector.collect

    def interrupted(self):
        if self.env_steps >= 333 and not getattr(self, "stopped", False):
            self.stopped = True
            os.kill(os.getpid(), signal.SIGTERM)
        return collect(self)

    monkeypatch.setattr(Collector, "collect", interrupted)
    first, writer = trainer_of(agent, config, tmp_path / "cut")
    assert first.run().status == "interrupted"
    writer.close("interrupted")
    monkeypatch.setattr(Collector, "collect", collect)

    state = load(tmp_path / "cut" / "checkpoint" / "last")
    second, writer = trainer_of(agent, config, tmp_path / "cut", Clock(**state["clock"]))
    second.load_state_dict(state)
    assert second.run().status == "finished"
    writer.close("finished")

    expected, found = (dict(flat(load(tmp_path / name / "checkpoint" / "last"))) for name in ("whole", "cut"))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value.nan_to_num(), found[name].nan_to_num()), name
        elif "seconds" not in name:
            assert value == found[name], name
    curves = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut")]
    for name in ("train/return", "evaluation/score"):
        assert curves[0][name].env_steps.tolist() == curves[1][name].env_steps.tolist()
        assert str(curves[0][name].values) == str(curves[1][name].values)


def reach(workers, env_steps):
    while workers.env_steps < env_steps:
        workers.advance(env_steps)
    return dict(flat(workers.state_dict()))


@pytest.mark.parametrize(
    ("agent", "shards"),
    [("dqn", 3), *(pytest.param(name, None, marks=pytest.mark.slow) for name in ("ddpg", "reinforce"))],
)
def test_tiles_of_seeds_do_what_one_worker_does_and_resume_exactly(agent, shards, tmp_path):
    several = {"epsilon_end": (0.1, 0.2, 0.3)} if agent == "dqn" else {}
    run = Run(tmp_path, agent, replace(ON_DEVICE[agent], seeds=3, discount=(0.9, 0.95, 0.99), **several))
    in_tiles = replace(run, config=replace(run.config, workers=2, shards=shards))
    together, shards = build_workers(run), build_workers(in_tiles)
    try:
        expected, found = reach(together, 128), reach(shards, 128)
        for name in (name for name in expected if name.startswith("learner/")):
            torch.testing.assert_close(torch.as_tensor(found[name]), torch.as_tensor(expected[name]), msg=name)
        assert shards.evaluate().keys() == together.evaluate().keys()
        assert len(shards.evaluate()["evaluation/score"]) == 3

        state = copy.deepcopy(shards.state_dict())
        later = reach(shards, 300)
        shards.load_state_dict(state)
        assert shards.env_steps == 128
        again = reach(shards, 300)
        for name, value in later.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value.nan_to_num(), again[name].nan_to_num()), name
        with pytest.raises(ValueError, match="one of [23] shards, this run has 1"):
            together.load_state_dict(shards.state_dict())
    finally:
        shards.close()


def test_a_run_that_is_stopped_in_its_final_evaluation_is_not_finished(tmp_path, monkeypatch):
    def stopped(*_):
        raise EvaluationStopped("stopped during the final evaluation")

    small = {"total_env_steps": 100, "learning_starts_env_steps": 50, "hidden": (8,), "threads": 1, "video": False}
    config = DQNConfig(env="CartPole-v1", name="a", runs=str(tmp_path), wandb="disabled", **small)
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate_run", stopped)
        assert not training.train("dqn", config).finished
    assert training.resume_run(tmp_path / "a").finished
    assert (tmp_path / "a" / "evaluation.json").exists()


def test_a_final_evaluation_that_fails_is_no_interruption(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    closed_with = []
    monkeypatch.setattr(training, "evaluate_run", full)
    monkeypatch.setattr(Tracker, "close", lambda _, status: closed_with.append(status))
    small = {"total_env_steps": 100, "learning_starts_env_steps": 50, "hidden": (8,), "threads": 1, "video": False}
    with pytest.raises(OSError, match="no space left"):
        training.train("dqn", DQNConfig(env="CartPole-v1", runs=str(tmp_path), wandb="disabled", **small))
    assert closed_with == ["failed"]


@pytest.mark.slow  # tests/training/test_shards.py has a failure each
def test_failures_in_a_worker_process_reach_the_run(tmp_path):
    config = replace(ON_DEVICE["dqn"], workers=2)
    with pytest.raises(ValueError, match="found nothing|nearest|rlsuite/CartPoll"):
        build_workers(Run(tmp_path, "dqn", replace(config, env="rlsuite/CartPoll-v1")))
    shards = build_workers(Run(tmp_path, "dqn", replace(config, learning_rate=(1e-3, 1e20))))
    try:
        with pytest.raises(TrainingError, match=r"not finite at env step \d+, update \d+ \(seeds \[1\]\)"):
            reach(shards, 600)
            shards.measurements()
    finally:
        shards.close()
    with pytest.raises(TrainingError, match="worker process is gone"):
        shards.evaluate()


def test_workers_that_cannot_be_are_refused_before_any_is_started(tmp_path):
    run = Run(tmp_path, "dqn", replace(RUNS["dqn"], workers=2, vectorization="async"))
    with pytest.raises(ValueError, match="--vectorization async .* add --workers 1"):
        build_workers(run)
    with pytest.raises(ValueError, match="--workers 3 is more than the 2 groups"):
        build_workers(replace(run, config=replace(run.config, workers=3, shards=2)))
    long = DQNConfig(env="CartPole-v1", seeds=2, total_env_steps=10**6, vectorization="async", runs=str(tmp_path))
    assert create("dqn", replace(long, name="async")).config.workers == 1


def test_a_run_confirms_by_other_episodes_and_more_of_them(tmp_path, monkeypatch):
    played = []

    def playing(agent, environments, episodes, *others):
        played.append((environments.reset().sum().item(), episodes))
        return Evaluation(np.ones((2, episodes)), np.ones((2, episodes)))

    monkeypatch.setattr("agents.runs.building.evaluate", playing)
    workers = build_workers(Run(tmp_path, "dqn", ON_DEVICE["dqn"]))
    assert workers.evaluate().keys() == workers.confirm().keys()
    workers.close()
    (first, few), (other, many) = played
    assert first != other
    assert (few, many) == (2, 100)


def test_who_asks_for_bfloat16_is_told_where_it_is_slow(tmp_path, monkeypatch, caplog):
    config = replace(RUNS["dqn"], runs=str(tmp_path), encoder_precision="bfloat16")
    for is_there, lines in ((True, 0), (False, 1)):
        monkeypatch.setattr("agents.runs.run.has_bfloat16", lambda device, is_there=is_there: is_there)
        create("dqn", replace(config, name=f"run {is_there}"))
        assert len(caplog.records) == lines


def test_a_run_shorter_than_its_preset_learns(tmp_path, caplog):
    config = DQNConfig(
        env="CartPole-v1", learning_starts_env_steps=80_000, total_env_steps=20_000, runs=str(tmp_path), name="short"
    )
    assert create("dqn", config).config.learning_starts_env_steps == 2_000
    assert "80,000" in caplog.text
    long = replace(config, total_env_steps=80_001, name="long")
    assert create("dqn", long).config.learning_starts_env_steps == 80_000
    actor_critic = DDPGConfig(env="Pendulum-v1", random_env_steps=20_000, total_env_steps=20_000, runs=str(tmp_path))
    assert create("ddpg", replace(actor_critic, name="ddpg")).config.random_env_steps == 2_000
    assert "acting by the policy would start after 20,000" in caplog.text


def test_a_run_shorter_than_its_sequences_is_refused(tmp_path):
    """Nothing would ever be learned from."""
    sequences = {"burn_in_env_steps": 4, "sequence_env_steps": 95, "n_step": 1, "num_envs": 2, "runs": str(tmp_path)}
    config = R2D2Config(env="CartPole-v1", total_env_steps=199, **sequences)
    with pytest.raises(
        ValueError,
        match="199 is too little .* after 200, which 2 environments take for a sequence",
    ):
        create("r2d2", config)
    create("r2d2", replace(config, total_env_steps=200))


def test_tiles_of_compiled_rounds_are_small(tmp_path):
    config = DQNConfig(env="rlsuite/CartPole-v1", seeds=32, workers=2, runs=str(tmp_path), execution="compile")
    found = {
        "compiled rounds": create("dqn", replace(config, name="a")).config.shards,
        "fewer than a shard": create("dqn", replace(config, seeds=3, name="b")).config.shards,
        "Gymnasium's": create("dqn", replace(config, env="CartPole-v1", name="c")).config.shards,
        "eager": create("dqn", replace(config, execution="eager", name="d")).config.shards,
        "as told": create("dqn", replace(config, shards=5, name="e")).config.shards,
    }
    assert found == {"compiled rounds": 8, "fewer than a shard": 2, "Gymnasium's": 2, "eager": 2, "as told": 5}
    for shards in (1, 33):
        with pytest.raises(ValueError, match="--shards must be from 2"):
            create("dqn", replace(config, shards=shards, name="f"))


def test_a_run_is_found_again_as_it_was_made(tmp_path):
    config = replace(RUNS["dqn"], runs=str(tmp_path), name="run", learning_rate=(1e-3, 1e-4))
    create("dqn", config)
    run = open_run(tmp_path / "run")
    assert run.config == replace(config, workers=1, shards=1)
    assert run.seeds == (0, 1)
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (
        facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"] == torch.__version__
    )
    with pytest.raises(ValueError, match="already holds a run"):
        create("dqn", config)


def test_folders_that_are_no_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        open_run(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is not a run: it has no config"):
        open_run(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text('{"agent": "dqn", "conf')
    with pytest.raises(ValueError, match="damaged or of another version"):
        open_run(tmp_path / "empty")


def test_an_untrained_or_foreign_checkpoint_is_refused(tmp_path):
    config = replace(RUNS["dqn"], runs=str(tmp_path), name="run")
    run = create("dqn", config)
    with pytest.raises(CheckpointError, match="holds no complete checkpoint"):
        load_agent(run)
    trainer, _ = trainer_of("dqn", config, tmp_path / "other")
    Run(tmp_path / "run", "dqn", config).checkpoints.save_last(trainer.state_dict())
    load_agent(run)
    wider = replace(run, config=replace(config, hidden=(32,)))
    with pytest.raises(CheckpointError, match="does not fit this run"):
        load_agent(wider)


def test_what_is_left_open_is_decided_by_the_run():
    atari = DQNConfig(env="ALE/Pong-v5", protocol="nature", total_env_steps=1_000_000)
    assert resolved(atari).evaluation_epsilon == 0.05
    assert resolved(replace(atari, protocol="machado")).evaluation_epsilon == 0.001
    assert resolved(replace(atari, evaluation_epsilon=0.2)).evaluation_epsilon == 0.2
    assert resolved(RUNS["dqn"]).evaluation_epsilon == 0.0
    assert resolved(atari).execution == "compile"
    assert resolved(RUNS["dqn"]).execution == "eager"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seeds": 0}, "--seeds must be at least 1, not 0"),
        ({"batch_size": -3}, "--batch-size must be at least 1, not -3"),
        ({"learning_rate": (1e-3, 0.0)}, "--learning-rate must be more than 0, not 0"),
        ({"discount": (1.5,)}, "--discount must be at least 0 and at most 1"),
        ({"max_gradient_norm": 0.0}, "--max-gradient-norm must be more than 0"),
        ({"hidden": (64, 0)}, "--hidden must be at least 1"),
        ({"tau": 2.0}, "--tau must be at least 0 and at most 1"),
    ],
)
def test_numbers_no_run_can_have_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        DQNConfig(env="CartPole-v1", **options)


def test_unknown_agents_name_the_nearest():
    with pytest.raises(ValueError, match="there is no agent 'ddgp': did you mean 'ddpg'"):
        config_class("ddgp")
    with pytest.raises(ValueError, match="there is no agent 'PPO': did you mean 'ppo'"):
        config_class("PPO")


def test_options_without_an_agent_say_that_it_comes_first():
    with pytest.raises(ValueError, match="the agent comes first, before --env: ppo --env CartPole-v1, for example"):
        config_class("--env=CartPole-v1")
