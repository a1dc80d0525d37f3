"""What is put round each copy of a Gymnasium environment, compared with Gymnasium's own wrappers."""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import toy_environments  # noqa: F401  registers toy/*
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FrameStackObservation, GrayscaleObservation

from envs.make import make_environments
from envs.preprocessing import Preprocessing
from rlsuite.spaces import FrameStack

PIXELS = Preprocessing(grey=True, resize=(10, 15), frame_stack=3, max_episode_steps=4)


def stack_on_zeros(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return FrameStackObservation(env, 2, padding_type="zero")


def two_walks(env: gymnasium.Env[Any, Any]) -> Any:
    return [env, env]


def failing(env: gymnasium.Env[Any, Any]) -> Any:
    raise KeyError("mission")


@pytest.fixture(autouse=True)
def found_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_wrappers", sys.modules[__name__])


def play(preprocessing: Preprocessing, env_id: str = "toy/Screen-v0", steps: int = 9) -> tuple[Any, list[Any]]:
    environments = make_environments(
        env_id, [0], 2, preprocessing=preprocessing, autoreset_mode=AutoresetMode.SAME_STEP
    )
    seen = [environments.reset()]
    steps_made = [environments.step(torch.ones(1, 2, dtype=torch.int64)) for _ in range(steps)]
    environments.close()
    return environments, [*seen, *steps_made]


def test_frames_are_stacked_as_gymnasium_stacks_them() -> None:
    _, (first, *steps) = play(Preprocessing(frame_stack=3))
    _, (plain_first, *plain) = play(Preprocessing())
    assert first.shape == (1, 2, 9, 20, 30)
    assert torch.equal(first, plain_first.repeat(1, 1, 3, 1, 1))  # the first frame again, three times
    frames = [plain_first] * 3
    for step, frame in zip(steps, plain, strict=True):
        frames = [*frames[1:], frame.next_observation]
        both = ~step.ended & ~step.began
        assert torch.equal(step.next_observation[both], torch.cat(frames, dim=2)[both])
        if bool(step.ended.any()):
            break
    assert bool(step.ended.any())

    gym_env = FrameStackObservation(gymnasium.make("toy/Screen-v0"), 3)
    own = Preprocessing(frame_stack=3).wrapped(gymnasium.make("toy/Screen-v0"))
    for seed in range(3):
        (ours, _), (theirs, _) = own.reset(seed=seed), gym_env.reset(seed=seed)
        np.testing.assert_array_equal(ours, theirs)
        for action in (1, 0, -1):
            np.testing.assert_array_equal(own.step(action)[0], gym_env.step(action)[0])


def test_grey_is_gymnasiums_and_resizing_keeps_the_mean_of_areas() -> None:
    colour = gymnasium.make("toy/Screen-v0")
    colour.observation_space.seed(0)
    picture = colour.observation_space.sample()
    grey = Preprocessing(grey=True).wrapped(colour)
    expected = GrayscaleObservation(colour).observation(picture).astype(int)
    assert np.abs(grey.observation(picture)[0] - expected).max() <= 1  # theirs is cut, ours rounded
    assert grey.observation_space.shape == (1, 20, 30)

    halved = Preprocessing(resize=(10,)).wrapped(colour)
    blocks = picture.transpose(2, 0, 1).reshape(3, 10, 2, 10, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(halved.observation(picture), blocks, atol=0.51)
    for size in ((7, 13), (41, 90)):
        other = Preprocessing(resize=size).wrapped(colour)
        assert (other.observation(np.full_like(picture, 77)) == 77).all()
        assert other.observation_space.shape == (3, *size)
        assert abs(other.observation(picture).mean() - picture.mean()) < 1.0


def test_the_space_says_that_observations_are_frames_and_the_limit_truncates() -> None:
    environments, (first, *steps) = play(PIXELS)
    space = environments.observation_space
    assert isinstance(space, FrameStack) and (space.stack, space.padding) == (3, "first")
    assert space.shape == (3, 10, 15) == first.shape[2:]
    assert space.contains(first[0, 0].numpy())
    assert bool(steps[3].ended.all()) and bool((steps[3].truncated | steps[3].terminated).all())
    still = Preprocessing(max_episode_steps=2)
    environments = make_environments("toy/Walk-v0", [0], 1, preprocessing=still)
    environments.reset()
    ends = [environments.step(torch.ones(1, 1, dtype=torch.int64)) for _ in range(2)]
    assert bool(ends[1].truncated) and not bool(ends[0].truncated)
    tensors = make_environments("rlsuite/CartPole-v1", [0], 1, preprocessing=Preprocessing(max_episode_steps=3))
    assert tensors.vector_env.max_episode_steps == 3

    persons, _ = play(Preprocessing(wrapper=("my_wrappers:stack_on_zeros",)))
    assert persons.observation_space.padding == "zero" and persons.observation_space.stack == 2
    vectors, (first, *_) = play(Preprocessing(frame_stack=2), "toy/Walk-v0")
    assert vectors.observation_space.shape == (4,) and torch.equal(first[..., :2], first[..., 2:])


@pytest.mark.parametrize(
    ("env_id", "preprocessing", "message"),
    [
        ("toy/Walk-v0", {"grey": True}, "toy/Walk-v0: --grey: observations are no pictures"),
        ("toy/Walk-v0", {"resize": (8,)}, "--resize: observations are no pictures"),
        ("toy/Spaced-v0", {"frame_stack": 2}, "--frame-stack: observations have parts"),
        ("toy/Walk-v0", {"wrapper": ("nothing",)}, "'nothing' is not module:function"),
        ("toy/Walk-v0", {"wrapper": ("no_such_module:f",)}, "cannot import the module of 'no_such_module:f'"),
        ("toy/Walk-v0", {"wrapper": ("my_wrappers:missing",)}, "no function or class 'missing'"),
        ("toy/Walk-v0", {"wrapper": ("my_wrappers:two_walks",)}, "returned list instead of an environment"),
        ("toy/Walk-v0", {"wrapper": ("my_wrappers:failing",)}, "--wrapper my_wrappers:failing: KeyError: 'mission'"),
        ("ALE/Pong-v5", {"frame_stack": 2, "max_episode_steps": 9}, "--max-episode-steps, --frame-stack cannot be had"),
        ("rlsuite/CartPole-v1", {"grey": True, "max_episode_steps": 9}, "on tensors: --grey cannot be had"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_line(env_id: str, preprocessing: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        make_environments(env_id, [0], 1, preprocessing=Preprocessing(**preprocessing))
    assert len(str(refused.value).splitlines()) == 1


def test_processes_wrap_their_copies_too(tmp_path: Path) -> None:
    environments = make_environments("toy/Screen-v0", [0], 2, vectorization="async", preprocessing=PIXELS)
    assert environments.reset().shape == (1, 2, 3, 10, 15)
    assert isinstance(environments.observation_space, FrameStack)
    environments.close()
