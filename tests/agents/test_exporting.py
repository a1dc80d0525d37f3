"""Exported policies: the same actions as the agent's, in any batch, without this project."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.runs import exporting
from agents.runs.exporting import export
from agents.runs.run import open_run
from agents.runs.training import train
from agents.sac import SACConfig

SMALL = {
    "num_envs": 2,
    "threads": 1,
    "wandb": "disabled",
    "video": False,
    "final_episodes": 0,
    "evaluation_episodes": 1,
}
REPLAY = {"total_env_steps": 32, "learning_starts_env_steps": 16, "replay_capacity": 100, "batch_size": 8}
CONFIGS = {
    "dqn": DQNConfig(env="CartPole-v1", seeds=3, hidden=(8,), **REPLAY, **SMALL),
    "ppo": PPOConfig(
        env="rlsuite/PositionOnlyCartPole-v1",
        memory="gru",
        memory_units=8,
        hidden=(8,),
        rollout_env_steps=32,
        bptt_env_steps=8,
        minibatches=2,
        total_env_steps=32,
        normalise_observations=True,
        **SMALL,
    ),
    "sac": SACConfig(env="rlsuite/Pendulum-v1", random_env_steps=16, hidden=(8,), **REPLAY, **SMALL),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {
        name: train(name, dataclasses.replace(config, runs=str(tmp_path_factory.mktemp("runs")), name=name)).run
        for name, config in CONFIGS.items()
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_a_program_acts_as_the_agent(name, runs, tmp_path):
    found = export(runs[name], "torch", tmp_path / "policy.pt2", "last")
    memory = ["memory"] if name == "ppo" else []
    assert found.inputs == ["observation", *memory] and found.outputs == ["action", *(f"next_{one}" for one in memory)]
    assert found.observations == 200 and found.difference <= 1e-5
    program = torch.export.load(tmp_path / "policy.pt2").module()
    width = {"dqn": 4, "ppo": 2, "sac": 3}[name]
    for count in (1, 7):  # any batch
        memories = [torch.zeros(count, 16)] if memory else []
        action, *following = program(torch.rand(count, width), *memories)
        assert action.shape == ((count, 1) if name == "sac" else (count,)) and len(following) == len(memory)


@pytest.mark.slow  # it trains another run
def test_seeds_are_told_apart(runs, tmp_path):
    weights = []
    for seed in (0, 2):
        export(runs["dqn"], "torch", tmp_path / "policy.pt2", "last", seed)
        weights.append(torch.cat([x.flatten() for x in torch.export.load(tmp_path / "policy.pt2").constants.values()]))
    assert weights[0].shape == weights[1].shape and not torch.equal(*weights)
    with pytest.raises(ValueError, match="has no seed 3: it has 0, 1, 2"):
        export(runs["dqn"], "torch", tmp_path / "policy.pt2", "last", 3)


def test_a_file_that_differs_is_refused(runs, tmp_path, monkeypatch):
    loaded = exporting._loaded

    def off(*where):
        program = loaded(*where)
        return lambda tensors: [x + 1e-3 for x in program(tensors)]

    monkeypatch.setattr(exporting, "_loaded", off)
    with pytest.raises(ValueError, match="from the agent, more than 1e-05: do not use it"):
        export(runs["sac"], "torch", tmp_path / "policy.pt2", "last")


def test_an_onnx_model_plays_without_this_project(runs, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "policy.onnx"
    export(runs["dqn"], "onnx", path, "last")
    about = {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props if entry.key == "rlsuite"}
    assert about["rlsuite"] == {
        "agent": "dqn",
        "env": "CartPole-v1",
        "seed": 0,
        "checkpoint": "last",
        "observation_space": about["rlsuite"]["observation_space"],
        "action_space": "Discrete(2)",
    }
    example = Path(__file__).parents[2] / "docs" / "examples" / "play_cartpole.py"
    played = subprocess.run(
        [sys.executable, str(example), str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert played.returncode == 0, played.stderr
    assert len(played.stdout.splitlines()) == 10


@pytest.mark.slow
def test_a_memory_crosses_an_onnx_model(runs, tmp_path):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    found = export(open_run(runs["ppo"].folder), "onnx", tmp_path / "policy.onnx", "last")
    assert found.inputs == ["observation", "memory"] and found.difference <= 1e-5
