import math
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import imageio_ffmpeg
import numpy as np
import pygame
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.runs.registry import config_class
from agents.runs.run import Run, build_agent, create, environments, load_agent
from agents.runs.viewer import Viewer, diagnostics
from agents.runs.watching import record, watch
from rlsuite.agent import Acted
from rlsuite.tracking.video import read_frames
from rlsuite.tracking.watch_panel import Bars, Frame, Sliders
from rlsuite.tracking.window import Window
from rlsuite.training.checkpoint import save

ROOT = Path(__file__).parents[2]
FRAMES_PER_SECOND, LENGTH = 10, 7


class Countdown(gymnasium.Env[np.ndarray, Any]):
    """Episodes of 7 steps with reward 2 each; observations depend on the actions, and pictures get brighter."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}
    observation_space = Box(-1, 1, (2,), np.float32)

    def __init__(self, render_mode: str | None = None, continuous: bool = False, truncates: bool = False) -> None:
        self.render_mode, self.truncates = render_mode, truncates
        bounds = np.array([1.0, 3.0, 5.0], np.float32)
        self.action_space = Box(-bounds, bounds) if continuous else Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        over = self.count == LENGTH
        observation = self.np_random.uniform(-0.5, 0.5, 2) + 0.05 * np.sum(action)
        return observation.astype(np.float32), 2.0, over and not self.truncates, over and self.truncates, {}

    def render(self) -> np.ndarray:  # type: ignore[override]
        return np.full((100, 120, 3), 30 * self.count, np.uint8)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    gymnasium.register("Countdown-v0", Countdown)
    gymnasium.register("CountdownContinuous-v0", Countdown, kwargs={"continuous": True})
    gymnasium.register("CountdownTruncated-v0", Countdown, kwargs={"truncates": True})
    yield
    for name in ("Countdown-v0", "CountdownContinuous-v0", "CountdownTruncated-v0"):
        del gymnasium.registry[name]


def trained(folder: Path, agent: str = "dqn", env: str = "Countdown-v0", **options: Any) -> Run:
    """A run as training leaves it, with the agent as it was initialised."""
    run = create(
        agent, config_class(agent)(env=env, runs=str(folder), name="run", device="cpu", hidden=(16,), **options)
    )
    probe = environments(run, "evaluate", 1)
    fresh = build_agent(run, probe.observation_space, probe.action_space)
    probe.close()
    save(run.checkpoints.folder / "last", {"learner": fresh.state_dict()})
    return run


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_video_has_every_step_and_a_second_of_each_ending(tmp_path: Path, suffix: str) -> None:
    path = record(trained(tmp_path), tmp_path / "new" / f"video{suffix}", episodes=2)
    frames = read_frames(path)
    assert frames.shape == (2 * (LENGTH + FRAMES_PER_SECOND), 500, 960, 3)
    shown = frames[:, 250, 300].mean(axis=-1)  # in the middle of the picture
    expected = 2 * [*range(LENGTH), *[LENGTH] * FRAMES_PER_SECOND]
    assert shown == pytest.approx(30 * np.array(expected), abs=6)


def test_long_episodes_are_cut(tmp_path: Path) -> None:
    frames = read_frames(record(trained(tmp_path), tmp_path / "cut.mp4", max_seconds=0.3))
    assert len(frames) == 3 + FRAMES_PER_SECOND
    # The next episode is a new one, though what was cut of the first was not shown.
    frames = read_frames(record(trained(tmp_path / "2"), tmp_path / "cut.mp4", max_seconds=0.3, episodes=2))
    assert len(frames) == 2 * (3 + FRAMES_PER_SECOND)
    assert frames[3 + FRAMES_PER_SECOND, 250, 300].mean() < 6


def test_a_cut_episode_says_so(tmp_path: Path) -> None:
    *shown, last = Viewer(trained(tmp_path), "best").frames(1, max_env_steps=3)
    assert [frame.note for frame in shown[:3]] == ["", "", ""]
    assert last.note == "cut here: the episode goes on"
    assert last.facts["env step"] == "3"


def test_the_pace_can_be_chosen(tmp_path: Path) -> None:
    run = trained(tmp_path)
    assert Viewer(run, "last").frames_per_second == FRAMES_PER_SECOND
    path = record(run, tmp_path / "slow.mp4", frames_per_second=5, max_seconds=0.6)
    assert len(read_frames(path)) == 3 + 5
    assert next(imageio_ffmpeg.read_frames(str(path)))["fps"] == 5


def frames(run: Run, seed: int | None = None, episodes: int = 1) -> list[Frame]:
    return list(Viewer(run, "best", seed).frames(episodes))


@pytest.mark.parametrize(("env", "ending"), [("Countdown-v0", "terminated"), ("CountdownTruncated-v0", "truncated")])
def test_what_is_said_of_the_episode(tmp_path: Path, env: str, ending: str) -> None:
    shown = frames(trained(tmp_path, env=env, seed=4), episodes=2)
    first = shown[: LENGTH + 1]
    assert [frame.facts["return"] for frame in first] == [f"{2 * step:.2f}" for step in range(LENGTH + 1)]
    assert [frame.facts["env step"] for frame in first] == [str(step) for step in range(LENGTH + 1)]
    assert {frame.facts["episode"] for frame in shown} == {"1 of 2", "2 of 2"}
    assert {frame.facts["seed"] for frame in shown} == {"4"}
    assert [frame.note for frame in shown[:LENGTH]] == [""] * LENGTH
    assert first[-1].note == ending
    assert [len(frame.values) for frame in first] == [*range(1, LENGTH + 1), LENGTH]


def test_each_seed_of_a_population_plays_as_it_would_alone(tmp_path: Path) -> None:
    population = trained(tmp_path / "many", seeds=3, seed=5)
    for seed in population.seeds:
        alone = trained(tmp_path / str(seed), seed=seed)
        for together, single in zip(frames(population, seed), frames(alone), strict=True):
            assert isinstance(together.action, Bars) and isinstance(single.action, Bars)
            assert together.action.chosen == single.action.chosen
            np.testing.assert_allclose(together.action.values, single.action.values, rtol=1e-5, atol=1e-6)


def test_dqn_shows_q_values_and_marks_the_chosen_action(tmp_path: Path) -> None:
    for frame in frames(trained(tmp_path)):
        assert frame.returns is None
        assert isinstance(frame.action, Bars)
        assert frame.action.names == ("action 0", "action 1", "action 2")
        assert frame.action.chosen == frame.action.values.argmax()
        assert frame.values[-1] == pytest.approx(frame.action.values.max())
        low, high = frame.action.limits
        assert low <= frame.action.values.min() and frame.action.values.max() <= high


@pytest.mark.parametrize("agent", ["c51", "qr-dqn", "iqn"])
def test_distributions_show_that_of_the_chosen_action(tmp_path: Path, agent: str) -> None:
    for frame in frames(trained(tmp_path, agent)):
        assert isinstance(frame.action, Bars) and frame.returns is not None
        shares, (low, high) = frame.returns.shares, frame.returns.limits
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)
        width = (high - low) / len(shares)
        mean = shares @ (low + width * (np.arange(len(shares)) + 0.5))
        assert mean == pytest.approx(frame.action.values[frame.action.chosen], abs=width)


def test_an_action_chosen_at_random_is_marked_all_the_same(tmp_path: Path) -> None:
    shown = frames(trained(tmp_path, evaluation_epsilon=1.0), episodes=8)
    chosen = [frame.action.chosen for frame in shown if isinstance(frame.action, Bars)]
    assert set(chosen) == {0, 1, 2}


def test_reinforce_shows_probabilities_and_its_baseline(tmp_path: Path) -> None:
    for frame in frames(trained(tmp_path, "reinforce")):
        assert isinstance(frame.action, Bars)
        assert frame.action.title == "probability" and frame.action.limits == (0.0, 1.0)
        assert frame.action.values.sum() == pytest.approx(1.0)
        assert frame.action.chosen == frame.action.values.argmax()
        assert frame.value_title == "baseline's V(s)"
        assert frame.values


def test_reinforce_without_a_baseline_has_no_values(tmp_path: Path) -> None:
    assert all(not frame.values for frame in frames(trained(tmp_path, "reinforce", baseline="none")))


@pytest.mark.parametrize("agent", ["ddpg", "td3", "sac", "reinforce"])
def test_continuous_actions_are_shown_within_their_bounds(tmp_path: Path, agent: str) -> None:
    run = trained(tmp_path, agent, env="CountdownContinuous-v0")
    for frame in frames(run):
        assert isinstance(frame.action, Sliders)
        assert frame.action.high.tolist() == [1, 3, 5] and frame.action.low.tolist() == [-1, -3, -5]
        assert (abs(frame.action.values) <= frame.action.high).all()
        assert frame.values


@pytest.mark.parametrize(("agent", "lowest"), [("ppo", math.log(3) - 0.1), ("a2c", math.log(3) - 0.1), ("sac", 0.0)])
def test_policies_show_their_values_and_their_entropy(tmp_path: Path, agent: str, lowest: float) -> None:
    for frame in frames(trained(tmp_path, agent)):
        assert frame.values and frame.value_title in ("critic's V(s)", "critics' Q(s, a)")
        assert isinstance(frame.action, Bars) and frame.action.values.sum() == pytest.approx(1.0)
        assert lowest <= float(frame.facts["entropy"]) <= math.log(3) + 0.01  # nearly uniform at first


def test_the_critic_judges_the_action_that_is_taken(tmp_path: Path) -> None:
    agent = load_agent(trained(tmp_path, "ddpg", env="CountdownContinuous-v0"))
    observation, action = torch.ones(1, 1, 2), torch.tensor([[[1.0, -3.0, 5.0]]])
    state = agent.initial_state(1)
    seen = diagnostics(agent, observation, state, Acted(action, state))
    assert seen.value is not None
    # The critic itself takes actions scaled to [-1, 1].
    expected = agent.critic(observation, torch.tensor([[[1.0, -1.0, 1.0]]])).flatten(2).squeeze(-1)
    torch.testing.assert_close(seen.value, expected)


def test_unknown_agents_are_watched_by_their_actions() -> None:
    seen = diagnostics(object(), torch.zeros(1, 1, 2), {}, Acted(torch.zeros(1, 1, dtype=torch.int64), {}))
    assert seen.value is None and seen.scores is None


def test_a_window_shows_whole_episodes_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    run, frames = trained(tmp_path), []
    show = Window.show

    def close_after(limit: int) -> None:
        def counted(window: Window, frame: pygame.Surface) -> bool:
            frames.append(frame.get_size())
            return show(window, frame) and len(frames) < limit

        monkeypatch.setattr(Window, "show", counted)

    close_after(1000)
    watch(run, episodes=1, frames_per_second=50)
    assert frames == [(960, 500)] * (LENGTH + 50)
    frames.clear()
    close_after(40)
    watch(run, frames_per_second=500)
    assert len(frames) == 40


def script(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of ``scripts/watch.py``, run in this process to save the time of importing torch again."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr(sys, "argv", ["watch.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts" / "watch.py"), run_name="__main__")
    return int(ended.value.code or 0)


def test_the_script_needs_no_screen(tmp_path: Path) -> None:
    run = trained(tmp_path, env="CartPole-v1")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "watch.py", run.folder],
        env={name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path = run.folder / "videos" / "watch-best.mp4"
    assert done.stdout.splitlines() == ["there is no screen here; recording a video instead", f"wrote {path}"]
    assert len(read_frames(path)) > 50  # the pause at the end alone


def test_the_script_records_what_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, path = trained(tmp_path, seeds=2), tmp_path / "out.gif"
    options = ("--episodes", 2, "--seed", 1, "--checkpoint", "last", "--fps", 20, "--device", "cpu")
    assert script(monkeypatch, run.folder, "--record", path, *options) == 0
    assert len(read_frames(path)) == 2 * (LENGTH + 20)


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["RUN", "--record", "out.avi"], 1, "a video's file name ends in .mp4 or .gif"),
        (["RUN", "--seed", "9"], 1, "has no seed 9: it has 0"),
        (["RUN", "--episodes", "0"], 1, "--episodes must be positive, not 0"),
        (["RUN", "--fps", "-1"], 1, "--fps must be positive, not -1"),
        (["RUN", "--fps", "nan"], 1, "--fps must be positive, not nan"),
        (["RUN", "--checkpoint", "previous"], 1, "holds no complete checkpoint"),
        (["missing"], 1, "there is no folder missing"),
        (["EMPTY"], 1, "is not a run: it has no config.json"),
        (["RUN", "--checkpoint", "worst"], 2, "worst"),
        (["RUN", "--speed", "3"], 2, "speed"),
    ],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    complaint: str,
) -> None:
    (tmp_path / "empty").mkdir()
    run = trained(tmp_path)
    places = {"RUN": run.folder, "EMPTY": tmp_path / "empty"}
    assert script(monkeypatch, *(places.get(argument, argument) for argument in arguments)) == status
    said = capsys.readouterr().err
    assert complaint in said
    if status == 1:
        assert len(said.splitlines()) == 1
    assert not (run.folder / "videos").exists()
