"""Environments that fail under a trainer: what was learned is saved, and the run goes on with new episodes."""

import sys
from pathlib import Path

import gymnasium
import pytest
import torch

from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.options import RunConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_trainer
from agents.runs.run import Run, create
from envs.cartpole import CartPole
from rlsuite.experience import ExperienceError
from rlsuite.training.trainer import Trainer
from rlsuite.training.worker import TrainingError

sys.path.append(str(Path(__file__).parents[1] / "envs"))
from sick_environments import FAULTS, Sick, sick

COMMON = {
    "hidden": (8,),
    "num_envs": 2,
    "total_env_steps": 300,
    "evaluate_every_env_steps": 100,
    "evaluation_episodes": 2,
    "wandb": "disabled",
    "execution": "eager",
}
REPLAY = {"learning_starts_env_steps": 20, "replay_capacity": 200, "batch_size": 4, "n_step": 3}
CONFIGS = {
    "dqn": lambda env: DQNConfig(env=env, **REPLAY, **COMMON),
    "ddpg": lambda env: DDPGConfig(env=env, random_env_steps=20, train_every_env_steps=4, **REPLAY, **COMMON),
    "reinforce": lambda env: ReinforceConfig(env=env, rollout_env_steps=32, **COMMON),
}
DEADLY = "process dies"
ROWS = [
    *(("dqn", "sync", fault) for fault in FAULTS if fault != DEADLY),
    *((agent, "sync", fault) for agent in ("ddpg", "reinforce") for fault in ("raises", "reward nan")),
    *((agent, "async", fault) for agent in ("dqn", "reinforce") for fault in (DEADLY, "reward infinite")),
    ("ddpg", "async", "raises in reset"),
]
# Every fault is tried with dqn, and these agents with a fault each besides.
SLOW_ROWS = [
    ("ddpg", "sync", "raises"),
    ("reinforce", "sync", "reward nan"),
    ("reinforce", "async", "reward infinite"),
    ("ddpg", "async", "raises in reset"),
]


class Silent:
    """A writer that keeps nothing."""

    def log(self, clock, values): ...
    def sync(self): ...
    def video(self, clock, name, path): ...
    def summary(self, values): ...
    def close(self, status): ...


def begin(agent: str, config: RunConfig, folder: Path) -> tuple[Run, Trainer]:
    run = create(agent, config.__class__(**vars(config) | {"runs": str(folder), "name": "run"}))
    return run, build_trainer(run, Silent())


def go_on(run: Run) -> Trainer:
    trainer = build_trainer(run, Silent())
    trainer.load_state_dict(run.checkpoints.load())
    return trainer


def assert_same(saved, live):
    assert saved.keys() == live.keys()
    for name, value in live.items():
        if isinstance(value, dict):
            assert_same(saved[name], value)
        else:
            assert torch.equal(torch.as_tensor(saved[name]), torch.as_tensor(value)), name


@pytest.mark.parametrize(
    ("agent", "vectorization", "fault"),
    [pytest.param(*row, marks=[pytest.mark.slow] * (row in SLOW_ROWS)) for row in ROWS],
)
def test_what_was_learned_is_saved_and_the_run_goes_on(agent, vectorization, fault, tmp_path):
    config = CONFIGS[agent](sick(agent, fault))
    run, trainer = begin(agent, config.__class__(**vars(config) | {"vectorization": vectorization}), tmp_path)
    with pytest.raises(ExperienceError) as caught:
        trainer.run()
    where, what = str(caught.value).splitlines()
    assert f"{config.env}: experience broke off in environment 0 of seed 0 at env step 9" in where
    assert FAULTS[fault] in what
    # A second receive, by a group of workers for example, raises the same error; saving again changes no state.
    with pytest.raises(ExperienceError) as again:
        trainer.workers.advance(300, "env_steps")
    assert again.value is caught.value
    trainer.workers.state_dict()
    learner, updates = trainer.workers.learner.state_dict(), trainer.workers.updates
    trainer.workers.close()

    saved = run.checkpoints.load()
    assert saved["updates"] == updates > 0
    assert_same(saved["learner"], learner)
    resumed = go_on(run)
    assert not resumed.workers.source.environments.exact_resume  # new episodes
    assert resumed.run().status == "finished"
    assert resumed.workers.env_steps >= 300 and resumed.workers.updates > updates
    resumed.workers.close()


@pytest.mark.parametrize("agent", CONFIGS)
def test_environments_that_cannot_even_begin(agent, tmp_path, monkeypatch):
    monkeypatch.setattr(Sick, "reset", None)
    run, trainer = begin(agent, CONFIGS[agent](sick(agent, "raises")), tmp_path)
    with pytest.raises(ExperienceError, match=r"reset\(\) raised TypeError"):
        trainer.run()
    trainer.workers.close()
    monkeypatch.undo()
    resumed, fresh = go_on(run), begin(agent, CONFIGS[agent](sick(agent, "raises")), tmp_path / "fresh")[1]
    resumed.workers.source.collect()
    fresh.workers.source.collect()
    starts = [
        trainer.workers.source.state_dict()["environments"]["environments"]["seed"] for trainer in (resumed, fresh)
    ]
    assert starts[0] != starts[1]  # not the episodes again at whose beginning it failed


def test_a_failure_of_the_step_after_the_last_ends_no_run(tmp_path):
    config = CONFIGS["dqn"](sick("dqn", "raises"))
    # The step under way when the run is over is the 90th, that fails.
    run, trainer = begin(
        "dqn", config.__class__(**vars(config) | {"total_env_steps": 178, "train_every_env_steps": 2}), tmp_path
    )
    assert trainer.run().status == "finished"
    assert run.checkpoints.load()["source"]["env_steps"] == 178
    trainer.workers.close()


class SickCartPole(CartPole):
    """A person's own environment on tensors: its poles fall silent after a while."""

    def transition(self, state, action, key):
        following, reward, terminated = super().transition(state, action, key)
        return following, torch.where(following["angle"].abs() > 0.1, torch.nan, reward), terminated


gymnasium.register(
    "own/SickCartPole-v0",
    entry_point="envs.registration:make_single",
    vector_entry_point="envs.registration:make_vector",
    max_episode_steps=500,
    kwargs={"dynamics": f"{__name__}:SickCartPole"},
)


def test_a_tensor_environment_with_bad_rewards_ends_in_a_line_and_keeps_the_last_good_checkpoint(tmp_path):
    config = DQNConfig(env="own/SickCartPole-v0", **REPLAY, **COMMON, log_every_env_steps=50)
    run, trainer = begin("dqn", config, tmp_path)
    with pytest.raises(TrainingError, match=r"is not finite at env step \d+, update \d+ \(seeds \[0\]\)"):
        trainer.run()
    trainer.workers.close()
    learner = run.checkpoints.load("last")["learner"]
    assert torch.isfinite(learner["online"]).all()
