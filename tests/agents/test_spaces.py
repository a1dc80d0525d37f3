"""Tiny runs in environments of every space: trained, evaluated and watched."""

import sys
from pathlib import Path

import pytest

from agents.runs.registry import config_class
from agents.runs.run import open_run
from agents.runs.training import train
from agents.runs.viewer import Viewer
from rlsuite.tracking.watch_panel import Bars, Sliders, WatchPanel

SMALL = {
    "hidden": (8,),
    "total_env_steps": 48,
    "log_every_env_steps": 24,
    "evaluate_every_env_steps": 48,
    "evaluation_episodes": 1,
    "final_episodes": 1,
    "threads": 1,
    "video": False,
    "wandb": "disabled",
}
REPLAY = {"learning_starts_env_steps": 16, "replay_capacity": 40, "batch_size": 4}
ROLLOUT = {"rollout_env_steps": 16, "num_envs": 2}


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[1] / "envs")])
    return tmp_path


@pytest.mark.parametrize(
    ("agent", "observation", "action"),
    [
        ("dqn", "tuple", "discrete"),
        ("dqn", "picture", "discrete"),
        ("reinforce", "discrete", "multi-binary"),
        ("reinforce", "multi-binary", "scalar"),
        ("ppo", "pictures", "grid"),
        ("ppo", "goal", "multi-discrete"),
        ("ddpg", "goal", "box"),
        ("ddpg", "multi-discrete", "scalar"),
        ("ddpg", "picture", "box"),
    ],
)
def test_every_space_is_trained_in_evaluated_and_watched(
    agent: str, observation: str, action: str, tmp_path: Path
) -> None:
    options = SMALL | (REPLAY if agent in ("dqn", "ddpg") else ROLLOUT)
    config = config_class(agent)(
        env="toy_environments:toy/Spaced-v0",
        env_kwargs={"observation": observation, "action": action},
        runs=str(tmp_path),
        name="run",
        **options,
    )
    assert train(agent, config) == 0
    assert (tmp_path / "run" / "evaluation.json").exists()
    viewer = Viewer(open_run(tmp_path / "run"), "last")
    *_, last = viewer.frames(episodes=1)
    viewer.close()
    assert isinstance(last.action, Bars if action == "discrete" else Sliders)
    assert len(last.action.names) == len(last.action.values)
    if action == "multi-discrete":
        assert last.action.low.tolist() == [-1, 5] and last.action.high.tolist() == [1, 6]
    WatchPanel().draw(last)
