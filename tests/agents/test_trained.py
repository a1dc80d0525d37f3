"""Runs from Python: the examples of docs/python.md as they stand, and what they do not show."""

import dataclasses
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from agents import load, train
from agents.ddpg import SPEC as DDPG
from agents.runs.trained import configuration
from envs.make import make_environments
from envs.preparing import Preparation
from envs.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
SMALL = {
    "total_env_steps": 60,
    "evaluate_every_env_steps": 30,
    "log_every_env_steps": 20,
    "evaluation_episodes": 1,
    "final_episodes": 0,
    "hidden": [8],
    "num_envs": 1,
    "batch_size": 4,
    "video": False,
    "wandb": "disabled",
    "device": "cpu",
}


def short(folder, agent="dqn", **options):
    return train(agent, **SMALL | {"env": "CartPole-v1", "learning_starts_env_steps": 20, "runs": folder} | options)


def test_the_examples_of_the_documentation_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S))
    quick = {"20_000": "60", "30_000": "90", "episodes=100": "episodes=2", "max_seconds=10": "max_seconds=0.2"}
    for number, less in quick.items():
        assert number in code
        code = code.replace(number, less)
    small = {name: value for name, value in SMALL.items() if name != "total_env_steps"}
    code = code.replace('"dqn", ', f'"dqn", **{small!r}, ')
    found = {}
    exec(code, found)
    assert found["run"].metrics()["evaluation/score"].env_steps[-1] >= 90
    assert found["report"]["episodes"] == 2 and len(found["report"]["per_seed_mean"]) == 2
    assert found["video"].path.stat().st_size > 1_000
    assert found["video"]._repr_html_().startswith("<video ")


def test_naming_the_agents_takes_no_torch():
    code = "import agents, sys; assert 'torch' not in sys.modules; agents.train; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_batch_acts_as_each_of_it_and_as_the_evaluated_agent(tmp_path):
    run = short(tmp_path, seeds=2)
    observations = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    together = run.act(observations)
    assert together.shape == (40,) and set(together) == {0, 1}
    assert [run.act(observation) for observation in observations] == list(together)
    other = load(run.folder, "last", seed=1).act(observations)
    assert other.shape == (40,)
    with pytest.raises(ValueError, match=r"has the shape \(4,\)"):
        run.act(observations[:, :3])
    with pytest.raises(ValueError, match="has no seed 7"):
        load(run.folder, seed=7)


def test_actions_are_in_the_environments_units_and_a_spec_names_its_agent(tmp_path):
    run = short(tmp_path, DDPG, env="Pendulum-v1")
    action = run.act(np.array([1.0, 0.0, 8.0]))
    assert action.shape == (1,) and action.dtype == np.float32 and abs(action[0]) <= 2.0


def test_an_agent_that_remembers_is_reset(tmp_path):
    run = short(tmp_path, "r2d2", burn_in_env_steps=1, sequence_env_steps=4, sequence_period_env_steps=2, n_step=1)
    run.act(np.ones(4))
    memory = {name: value.clone() for name, value in run._acting.state.items()}
    run.act(np.ones(4))
    assert any(not value.equal(memory[name]) for name, value in run._acting.state.items())
    run.reset()
    run.act(np.ones(4))
    assert memory and all(value.equal(memory[name]) for name, value in run._acting.state.items())


def test_an_agent_in_a_file_of_ones_own_trains_by_its_spec(tmp_path, monkeypatch):
    (tmp_path / "my_own_agent.py").write_text(
        "from agents.dqn import DQN, DQNConfig\n"
        "from rlsuite.agent import AgentSpec\n"
        "class Mine(DQN): pass\n"
        "SPEC = AgentSpec('mine', DQNConfig, Mine, learns_from='replay')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.import_module("my_own_agent").SPEC
    run = short(tmp_path / "runs", spec)
    assert repr(load(run.folder)).startswith("<mine on CartPole-v1")
    with pytest.raises(ValueError, match="agent 'of-a-cell' is in no file"):
        short(tmp_path, dataclasses.replace(spec, name="of-a-cell"))


def test_options_are_those_of_the_command_line():
    tuned = configuration("dqn", {"env": "CartPole-v1", "learning_rate": 1e-3, "hidden": [32], "runs": Path("here")})
    assert tuned.n_step == 3 and tuned.preset == "CartPole"
    assert (tuned.learning_rate, tuned.hidden, tuned.runs) == ((1e-3,), (32,), "here")
    assert configuration("dqn", {"env": "CartPole-v1", "preset": "none"}).n_step == 1


@pytest.mark.parametrize(
    ("agent", "options", "complaint"),
    [
        ("dqn", {"env": "CartPole-v1", "total_env_step": 3}, "did you mean 'total_env_steps'"),
        ("dqnn", {"env": "CartPole-v1"}, "did you mean 'dqn'"),
        ("dqn", {"env": "CartPol-v1"}, "CartPole-v1"),
        ("dqn", {}, "needs an environment"),
        ("dqn", {"env": "CartPole-v1", "seeds": 0}, "--seeds must be at least 1"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(agent, options, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=complaint):
        train(agent, **options)
    assert list(tmp_path.iterdir()) == []


class Interrupted(CartPoleEnv):
    """Somebody presses Ctrl-C, once, after a while."""

    steps = 0

    def step(self, action):
        Interrupted.steps += 1
        if Interrupted.steps == 30:
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(action)


gymnasium.register("toy/Interrupted-v0", Interrupted, max_episode_steps=20)


def test_ctrl_c_returns_a_run_that_goes_on(tmp_path, capsys):
    run = short(tmp_path, env="toy/Interrupted-v0")
    assert run.finished is False and "run.resume()" in capsys.readouterr().out
    assert run.metrics()["speed/env_steps_per_second"].env_steps[-1] < 60
    run = run.resume()
    assert run.finished and run.metrics()["speed/env_steps_per_second"].env_steps[-1] == 60


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("goal", {}),
        ("tuple", {}),
        ("multi-discrete", {}),
        ("pictures", {"encoder": "small"}),
    ],
)
def test_observations_of_any_space_are_acted_on_as_the_environment_has_them(kind, options, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tests" / "envs")])
    name, keywords = "toy_environments:toy/Spaced-v0", {"observation": kind}
    run = short(tmp_path, env=name, env_kwargs=keywords, max_episode_steps=20, total_env_steps=24, **options)
    env = gymnasium.make(name, **keywords)
    env.observation_space.seed(1)
    observations = [env.observation_space.sample() for _ in range(5)]
    single = [run.act(observation) for observation in observations]
    assert all(env.action_space.contains(action) for action in single)
    assert list(run.act(observations)) == single
    together = gymnasium.vector.utils.concatenate(
        env.observation_space, observations, gymnasium.vector.utils.create_empty_array(env.observation_space, 5)
    )
    assert list(run.act(together)) == single
    with pytest.raises(ValueError, match="an observation (is|has)"):
        run.act({"here": 3.0})


def test_an_observation_is_prepared_as_in_training(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tests" / "envs")])
    shared = {"env_kwargs": {"observation": "goal"}, "preprocessing": Preprocessing()}
    vector = make_environments("toy_environments:toy/Spaced-v0", [0], 1, **shared).vector_env
    env = vector.envs[0]
    space = gymnasium.make("toy_environments:toy/Spaced-v0", observation="goal").observation_space
    space.seed(3)
    observation = space.sample()
    (vector_of_parts,), is_single = Preparation(vector.single_observation_space, env).arrays(observation)
    assert is_single
    assert np.allclose(vector_of_parts, gymnasium.spaces.flatten(space, observation))


def test_pictures_are_made_smaller_and_grey_as_in_training(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tests" / "envs")])
    shared = {"preprocessing": Preprocessing(grey=True, resize=(8,))}
    vector = make_environments("toy_environments:toy/Screen-v0", [0], 1, **shared).vector_env
    preparation = Preparation(vector.single_observation_space, vector.envs[0])
    pictures = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    prepared, is_single = preparation.arrays(pictures)
    assert prepared.shape == (3, 1, 8, 8) and not is_single
    assert preparation.arrays(pictures[1])[0].tolist() == prepared[1:2].tolist()
    assert preparation.arrays(prepared)[0] is prepared  # what is prepared already stays
