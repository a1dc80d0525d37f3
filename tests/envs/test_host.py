"""Gymnasium's own environments: finding them, making them, and going back to where they were."""

import importlib.util
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import toy_environments
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from torch import Tensor

from envs.adapter import VectorAdapter
from envs.host import _warn
from envs.lookup import find_spec
from envs.make import make_environments
from rlsuite.experience import Step

needs_box2d = pytest.mark.skipif(importlib.util.find_spec("Box2D") is None, reason="needs gymnasium[box2d]")
needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs gymnasium[mujoco]")


def random_actions(environments: VectorAdapter, steps: int) -> list[Tensor]:
    generator = np.random.default_rng(0)
    shape = (len(environments.seeds), environments.num_envs)
    space = environments.action_space
    if isinstance(space, Discrete):
        return [torch.from_numpy(generator.integers(space.n, size=shape)) for _ in range(steps)]
    low, high = space.low.ravel(), space.high.ravel()  # type: ignore[attr-defined]
    return [torch.from_numpy(generator.uniform(low, high, (*shape, len(low)))).float() for _ in range(steps)]


def assert_equal(ours: Step, theirs: Step) -> None:
    for name, value in vars(ours).items():
        assert torch.equal(value, getattr(theirs, name)), name


def assert_plain(state: Any) -> None:
    """Nothing but nested dicts of tensors and JSON values."""
    if isinstance(state, dict):
        for value in state.values():
            assert_plain(value)
    elif isinstance(state, list):
        assert all(type(value) is int for value in state)
    else:
        assert isinstance(state, Tensor | int | str)


def check_exact_resume(env_id: str, **options: Any) -> None:
    environments = make_environments(env_id, [1, 2], 2, **options)
    actions = random_actions(environments, 237)
    environments.reset()
    for action in actions[:137]:
        at = environments.step(action)
    state = environments.state_dict()
    assert_plain(state)
    on = [environments.step(action) for action in actions[137:]]
    environments.close()

    again = make_environments(env_id, [1, 2], 2, **options)
    assert torch.equal(again.load_state_dict(state), at.observation)
    assert again.exact_resume
    for action, step in zip(actions[137:], on, strict=True):
        assert_equal(again.step(action), step)
    again.close()


@pytest.mark.parametrize(
    "env_id",
    [
        "toy/Walk-v0",
        "toy/Drive-v0",
        "CartPole-v1",
        "Acrobot-v1",
        "MountainCar-v0",
        "MountainCarContinuous-v0",
        "Pendulum-v1",
        "FrozenLake-v1",
        "rlsuite/CartPole-v1",
        pytest.param("LunarLander-v3", marks=needs_box2d),
        pytest.param("InvertedPendulum-v5", marks=needs_mujoco),
        pytest.param("HalfCheetah-v5", marks=needs_mujoco),
    ],
)
def test_a_saved_environment_goes_on_exactly(env_id: str) -> None:
    check_exact_resume(env_id)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_going_on_exactly_in_every_mode(vectorization: Any, mode: AutoresetMode) -> None:
    check_exact_resume("toy/Walk-v0", vectorization=vectorization, autoreset_mode=mode)


def test_going_back_right_after_a_reset_and_right_after_an_end() -> None:
    """Of four walks some have just ended, and some have just been reset, at every one of these saves."""
    environments = make_environments("toy/Walk-v0", [0], 4)
    actions = random_actions(environments, 42)
    environments.reset()
    steps, states = [], [environments.state_dict()]
    for action in actions:
        steps.append(environments.step(action))
        states.append(environments.state_dict())
    assert any(step.ended.any() for step in steps[:40]) and not all(step.valid.all() for step in steps[:40])
    again = make_environments("toy/Walk-v0", [0], 4)
    for n in range(40):
        again.load_state_dict(states[n])
        assert again.exact_resume
        for action, step in zip(actions[n : n + 2], steps[n : n + 2], strict=True):
            assert_equal(again.step(action), step)


def test_an_environment_that_does_not_play_back_starts_anew_and_says_so() -> None:
    environments = make_environments("toy/Drifting-v0", [0], 2)
    first = environments.reset()
    for action in random_actions(environments, 3):
        environments.step(action)
    state = environments.state_dict()
    again = make_environments("toy/Drifting-v0", [0], 2)
    with pytest.warns(UserWarning, match=r"toy/Drifting-v0 did not play back"):
        fresh = again.load_state_dict(state)
    assert not again.exact_resume
    assert (fresh[..., 1] == 0).all() and not torch.equal(fresh, first)
    # The lives of a run that is resumed twice differ from each other, too.
    again.step(torch.zeros(1, 2, dtype=torch.int64))
    with pytest.warns(UserWarning):
        assert not torch.equal(environments.load_state_dict(again.state_dict()), fresh)


gymnasium.register("toy/Dice-v0", toy_environments.Walk, max_episode_steps=5, nondeterministic=True)


@pytest.mark.parametrize("env_id", ["toy/Dice-v0", pytest.param("BipedalWalker-v3", marks=needs_box2d)])
def test_environments_that_depend_on_more_than_their_episode_do_not_go_back(env_id: str) -> None:
    environments = make_environments(env_id, [0], 2)
    environments.reset()
    assert not environments.exact_resume
    environments.load_state_dict(environments.state_dict())
    assert not environments.exact_resume


def test_a_state_of_other_seeds_is_refused() -> None:
    environments = make_environments("toy/Walk-v0", [0, 1], 2)
    environments.reset()
    with pytest.raises(ValueError, match=r"2 environments of each of the seeds \[0, 1\], not 4 of \[0\]"):
        make_environments("toy/Walk-v0", [0], 4).load_state_dict(environments.state_dict())


def test_training_evaluation_and_test_see_different_episodes() -> None:
    starts = [make_environments("toy/Walk-v0", [0], 8, purpose=p).reset() for p in ("train", "evaluate", "test")]
    places = torch.cat(starts)[..., 0].flatten()
    assert len(places.unique()) == 24


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Cartpole-v1", "unknown environment 'Cartpole-v1': did you mean CartPole-v1"),
        ("CartPole", "unknown environment 'CartPole': did you mean CartPole-v"),
        ("ALE/Breakuot-v5", "did you mean ALE/Breakout-v5"),
        ("ale/pong-v5", "did you mean ALE/Pong-v5"),
        ("qqqqqqqq", "no registered name is near"),
        ("no_such_module:Some-v0", "cannot import the module of environment 'no_such_module:Some-v0'"),
    ],
)
def test_unknown_names_lead_to_the_nearest(env_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_environments(env_id, [0], 1)


def test_a_module_before_the_name_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_of_a_user.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Users-v3', CartPoleEnv, max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_spec("module_of_a_user:Users-v3").max_episode_steps == 9
    assert make_environments("module_of_a_user:Users-v3", [0], 1).reset().shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("env_id", "module", "command"),
    [
        ("LunarLander-v3", "Box2D", r'pip install "gymnasium\[box2d\]"'),
        ("InvertedPendulum-v5", "mujoco", r'pip install "gymnasium\[mujoco\]"'),
    ],
)
def test_missing_packages_come_with_the_command(
    env_id: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("gymnasium.envs.box2d", "gymnasium.envs.mujoco"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"{env_id} needs packages that are not installed: (.|\n)*{command}"):
        make_environments(env_id, [0], 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"env_kwargs": {"gravitation": 3}}, "cannot make CartPole-v1 with.*gravitation"),
        ({"vectorization": "threads"}, "unknown vectorization 'threads': it is 'sync' or 'async'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_environments("CartPole-v1", [0], 1, **options)


def test_worker_processes_live_through_an_interrupt() -> None:
    environments = make_environments("toy/Walk-v0", [0], 2, vectorization="async")
    environments.reset()
    for process in environments.vector_env.processes:
        os.kill(process.pid, signal.SIGINT)
    environments.step(torch.zeros(1, 2, dtype=torch.int64))
    assert len(environments.state_dict()["environments"]["episode"]) == 2
    environments.close()


def test_environments_to_be_watched_show_pictures() -> None:
    environments = make_environments("CartPole-v1", [0], 2, purpose="watch", render_mode="rgb_array")
    environments.reset()
    pictures = environments.render()
    assert pictures is not None and [picture.shape for picture in pictures] == [(400, 600, 3)] * 2
    assert pictures[0].dtype == np.uint8


@needs_mujoco
def test_a_simulators_warnings_are_pythons_and_not_of_what_nobody_can_mend(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_environments("HalfCheetah-v5", [0], 3).close()  # its model has a deprecated attribute
    with pytest.warns(RuntimeWarning, match="MuJoCo: the simulation is unstable"):
        _warn("the simulation is unstable")
    assert capfd.readouterr().err == ""
