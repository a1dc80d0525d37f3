import os
import subprocess
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from envs import rendered
from envs.action_names import action_names
from envs.protocols import MACHADO, NATURE
from envs.rendered import RenderError, make_rendered, picture


class Painter(gymnasium.Env[np.ndarray, int]):
    """Shows the number of the step; fails to at the third."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Discrete(2, start=5)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return np.zeros(2, np.float32), 1.0, False, False, {}

    def render(self) -> np.ndarray:  # type: ignore[override]
        if self.count == 3:
            raise OSError("out of paint\nand of brushes")
        return np.full((4, 6, 3), self.count, np.uint8)


class Blind(Painter):
    metadata: ClassVar = {"render_modes": ["ansi"]}


class Collector(Painter):
    metadata: ClassVar = {"render_modes": ["rgb_array_list"]}

    def render(self) -> list[np.ndarray]:  # type: ignore[override]
        return [np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), self.count, np.uint8)]


def unpainted() -> gymnasium.Env[np.ndarray, int]:
    return Painter()


TOYS: dict[str, Any] = {"Painter-v0": Painter, "Blind-v0": Blind, "Collector-v0": Collector, "Unpainted-v0": unpainted}


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    for name, maker in TOYS.items():
        gymnasium.register(name, maker)
    yield
    for name in TOYS:
        del gymnasium.registry[name]


def test_pictures_follow_the_steps_and_failures_are_one_line() -> None:
    environments = make_rendered("Painter-v0", seed=0)
    environments.reset()
    for count in range(3):
        assert (picture(environments, "Painter-v0") == count).all()
        environments.step(torch.zeros(1, 1, dtype=torch.int64))
    with pytest.raises(RenderError, match=r"^Painter-v0 could not be drawn: OSError: out of paint$"):
        picture(environments, "Painter-v0")


def test_an_environment_that_cannot_draw_is_refused() -> None:
    with pytest.raises(
        RenderError, match=r"Blind-v0 cannot be watched: it has no render mode 'rgb_array', only \['ansi'\]"
    ):
        make_rendered("Blind-v0", seed=0)


def test_an_environment_that_cannot_be_made_to_draw_is_refused() -> None:
    with pytest.raises(RenderError, match=r"^Unpainted-v0 cannot be watched: .*render_mode"):
        make_rendered("Unpainted-v0", seed=0)


@pytest.mark.parametrize(("before", "after"), [(None, "dummy"), ("alsa", "alsa")])
def test_pictures_make_no_noise(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", before or "")
    if before is None:
        monkeypatch.delenv("SDL_AUDIODRIVER")
    make_rendered("Painter-v0", seed=0).close()
    assert os.environ["SDL_AUDIODRIVER"] == after


def test_of_a_list_of_pictures_the_last_is_taken() -> None:
    environments = make_rendered("Collector-v0", seed=0)
    environments.reset()
    environments.step(torch.zeros(1, 1, dtype=torch.int64))
    assert (picture(environments, "Collector-v0") == 1).all()


COLOUR = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
GREY = np.repeat(COLOUR[..., :1], 3, axis=2)


@pytest.mark.filterwarnings("ignore:.*RGB-array rendering.*:UserWarning")
@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (COLOUR, COLOUR),
        (np.concatenate([COLOUR, np.full((5, 7, 1), 255, np.uint8)], axis=2), COLOUR),
        (COLOUR.transpose(2, 0, 1), COLOUR),
        (COLOUR.astype(np.int64), COLOUR),
        (COLOUR / 255.0, COLOUR),
        (COLOUR.astype(np.float32), COLOUR),
        (COLOUR[..., 0], GREY),
        (COLOUR[..., :1], GREY),
        (COLOUR[..., 0] > 100, np.where(GREY > 100, 255, 0)),
        ("a drawing", None),
        (np.zeros((5, 7, 2), np.uint8), None),
        (np.zeros((0, 7, 3), np.uint8), None),
        (np.zeros(12, np.uint8), None),
    ],
)
def test_pictures_of_any_form_are_in_colour(
    monkeypatch: pytest.MonkeyPatch, drawn: Any, expected: np.ndarray | None
) -> None:
    environments = make_rendered("Painter-v0", seed=0)
    environments.reset()
    monkeypatch.setattr(Painter, "render", lambda self: drawn)
    if expected is None:
        with pytest.raises(RenderError, match=r"^Painter-v0 could not be drawn: its render\(\) returns an array of"):
            picture(environments, "Painter-v0")
    else:
        seen = picture(environments, "Painter-v0")
        assert seen.dtype == np.uint8
        np.testing.assert_allclose(seen.astype(int), expected, atol=1)


def test_watching_sees_episodes_of_its_own() -> None:
    assert make_rendered("CartPole-v1", 0).reset().tolist() == make_rendered("CartPole-v1", 0).reset().tolist()
    assert make_rendered("CartPole-v1", 0).reset().tolist() != make_rendered("CartPole-v1", 1).reset().tolist()


@pytest.mark.parametrize(
    ("env_id", "names"),
    [
        ("CartPole-v1", ("push left", "push right")),
        ("rlsuite/CartPole-v1", ("push left", "push right")),
        ("MountainCar-v0", ("push left", "coast", "push right")),
        ("Pendulum-v1", ("torque",)),
        ("ALE/Pong-v5", ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")),
        ("rlsuite/MinAtar-Breakout-v0", ("nothing", "left", "up", "right", "down", "fire")),
        ("Painter-v0", ("action 5", "action 6")),
    ],
)
def test_actions_have_names(env_id: str, names: tuple[str, ...]) -> None:
    environments = make_rendered(env_id, seed=0, protocol=NATURE if env_id.startswith("ALE") else None)
    assert action_names(environments, env_id) == names
    environments.close()


def test_games_seen_in_memory_are_drawn_and_have_names() -> None:
    environments = make_rendered("ALE/Pong-v5", 0, protocol=NATURE, env_kwargs={"obs_type": "ram"})
    environments.reset()
    assert picture(environments, "ALE/Pong-v5").shape == (210, 160, 3)
    assert action_names(environments, "ALE/Pong-v5")[:2] == ("NOOP", "FIRE")
    environments.close()


def test_the_full_joystick_has_18_names() -> None:
    names = action_names(make_rendered("ALE/Breakout-v5", 0, protocol=MACHADO), "ALE/Breakout-v5")
    assert len(set(names)) == 18 and names[:2] == ("NOOP", "FIRE") and names[-1] == "DOWNLEFTFIRE"


def test_the_model_names_the_motors(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo: pip install rlsuite[mujoco]")
    monkeypatch.setenv("MUJOCO_GL", "egl")  # nothing is drawn here
    environments = make_rendered("HalfCheetah-v5", 0)
    assert action_names(environments, "HalfCheetah-v5") == ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")


@pytest.mark.parametrize("works", ["egl", "osmesa", None])
def test_opengl_without_a_screen_is_what_works(monkeypatch: pytest.MonkeyPatch, works: str | None) -> None:
    tried = []

    def attempt(command: list[str], **options: Any) -> None:
        tried.append("egl" if "mujoco.egl" in command[-1] else "osmesa")
        if tried[-1] != works:
            raise subprocess.CalledProcessError(-11, command)

    monkeypatch.setattr(subprocess, "run", attempt)
    rendered._headless_opengl.cache_clear()
    if works is None:
        with pytest.raises(RenderError, match="neither EGL nor OSMesa works"):
            rendered._headless_opengl()
    else:
        assert rendered._headless_opengl() == works
    rendered._headless_opengl.cache_clear()
    assert tried == (["egl"] if works == "egl" else ["egl", "osmesa"])


def test_mujoco_draws_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo: pip install rlsuite[mujoco]")
    for variable in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.setenv(variable, "")  # so that what is set here is undone
        monkeypatch.delenv(variable)
    try:
        environments = make_rendered("HalfCheetah-v5", 0)
    except RenderError as error:
        pytest.skip(str(error))
    environments.reset()
    near = picture(environments, "HalfCheetah-v5")
    assert near.std() > 10
    # 20 m further the camera is still beside the body, the only thing in brown.
    simulator = environments.vector_env.envs[0].unwrapped
    simulator.data.qpos[0] += 20.0
    simulator.set_state(simulator.data.qpos.copy(), simulator.data.qvel.copy())
    far = picture(environments, "HalfCheetah-v5")
    brown_near, brown_far = (
        (seen[..., 0] > seen[..., 2] + 40.0).sum() for seen in (near.astype(float), far.astype(float))
    )
    assert brown_far > brown_near / 2 > 100
    environments.close()
