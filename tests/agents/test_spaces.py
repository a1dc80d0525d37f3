"""Tiny runs in environments of every space: trained, evaluated and watched."""

import json
import sys
from pathlib import Path

import pytest

from agents.runs.building import build_workers
from agents.runs.registry import config_class
from agents.runs.run import open_run, plan
from agents.runs.training import resume_run, train
from agents.runs.viewer import Viewer
from envs.make import make_environments
from rlsuite.replay.frame_store import FrameStore
from rlsuite.spaces import FrameStack
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
        pytest.param("ppo", "pictures", "grid", marks=pytest.mark.slow),
        ("ppo", "goal", "multi-discrete"),
        ("ddpg", "goal", "box"),
        ("ddpg", "multi-discrete", "scalar"),
        pytest.param("ddpg", "picture", "box", marks=pytest.mark.slow),
        ("sac", "goal", "scalar"),
        ("sac", "picture", "discrete"),
    ],
)
def test_every_space_is_trained_in_evaluated_and_watched(
    agent: str, observation: str, action: str, tmp_path: Path
) -> None:
    options = SMALL | (REPLAY if agent in ("dqn", "ddpg", "sac") else ROLLOUT)
    config = config_class(agent)(
        env="toy_environments:toy/Spaced-v0",
        env_kwargs={"observation": observation, "action": action},
        runs=str(tmp_path),
        name="run",
        **options,
    )
    assert train(agent, config).finished
    assert (tmp_path / "run" / "evaluation.json").exists()
    viewer = Viewer(open_run(tmp_path / "run"), "last")
    *_, last = viewer.frames(episodes=1)
    viewer.close()
    assert isinstance(last.action, Bars if action == "discrete" else Sliders)
    assert len(last.action.names) == len(last.action.values)
    if action == "multi-discrete":
        assert last.action.low.tolist() == [-1, 5] and last.action.high.tolist() == [1, 6]
    WatchPanel().draw(last)


@pytest.mark.parametrize(
    ("agent", "grey"),
    [
        ("dqn", True),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in (("dqn", False), ("ppo", True))),
        ("r2d2", False),
    ],
)
def test_stacks_of_any_environment_keep_each_frame_once_and_are_resumed(agent: str, grey: bool, tmp_path: Path) -> None:
    options = SMALL | (ROLLOUT if agent == "ppo" else REPLAY)
    config = config_class(agent)(
        env="toy_environments:toy/Screen-v0",
        grey=grey,
        resize=(16, 12),
        frame_stack=4,
        max_episode_steps=4,
        wrapper=("gymnasium.wrappers:RecordEpisodeStatistics",),
        runs=str(tmp_path),
        name="run",
        **options,
    )
    workers = build_workers(plan(agent, config))
    store = getattr(workers.source.experience, "store", None)  # type: ignore[attr-defined]
    assert isinstance(store, FrameStore) == (agent == "dqn")
    if isinstance(store, FrameStore):
        assert store.padding == "first" and store.stack == 4
        assert store.nbytes < 60 * (1 if grey else 3) * 16 * 12 + 20_000
    workers.close()
    assert train(agent, config).finished
    assert open_run(tmp_path / "run").config.resize == (16, 12)
    assert resume_run(tmp_path / "run", total_env_steps=64).finished
    spaces = json.loads((tmp_path / "run" / "config.json").read_text())["spaces"]
    assert spaces["observation"].startswith(f"Box(0, 255, ({4 if grey else 12}, 16, 12)")


def test_games_of_ale_are_stored_as_the_stacks_that_they_are() -> None:
    environments = make_environments("ALE/Pong-v5", [0], 1)
    space = environments.observation_space
    assert isinstance(space, FrameStack) and (space.stack, space.padding) == (4, "zero")
    environments.close()
