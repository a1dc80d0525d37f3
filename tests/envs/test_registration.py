"""``rlsuite/*`` through Gymnasium's own doors."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import envs

IDS = sorted(name for name in gymnasium.registry if name.startswith("rlsuite/"))


def test_all_environments_are_registered() -> None:
    assert len(IDS) == 35


@pytest.mark.filterwarnings("ignore:.*Box observation space m.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space.*:UserWarning")
@pytest.mark.parametrize("env_id", IDS)
def test_the_numpy_face_passes_gymnasiums_checks(env_id: str) -> None:
    env = gymnasium.make(env_id, render_mode="rgb_array").unwrapped
    check_env(env)
    env.reset(seed=0)
    frame = env.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert frame.shape[2] == 3
    assert len(np.unique(frame)) > 1


@pytest.mark.parametrize("env_id", IDS)
def test_one_environment_and_many_agree(env_id: str) -> None:
    single = gymnasium.make(env_id)
    many = gymnasium.make_vec(env_id, num_envs=3)
    observation, _ = single.reset(seed=11)
    observations, _ = many.reset(seed=10)
    np.testing.assert_array_equal(observation, observations[1].numpy())
    many.action_space.seed(0)
    for _ in range(30):
        actions = many.action_space.sample()
        observation, reward, terminated, truncated, _ = single.step(actions[1])
        observations, rewards, terminations, truncations, info = many.step(actions)
        # Vector units round the last digit otherwise than the loop over a remainder.
        np.testing.assert_allclose(observation, info["final_obs"][1].numpy(), rtol=1e-5, atol=1e-5)
        assert reward == pytest.approx(rewards[1].item(), rel=1e-5, abs=1e-5)
        assert (terminated, truncated) == (terminations[1].item(), truncations[1].item())
        if terminated or truncated:
            break


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("env_id", IDS)
def test_vector_environments_keep_to_their_spaces(env_id: str, mode: AutoresetMode) -> None:
    env = gymnasium.make_vec(env_id, num_envs=4, autoreset_mode=mode)
    assert env.metadata["autoreset_mode"] is mode
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(25):
        assert env.observation_space.contains(observation.numpy())
        assert torch.equal(observation, env.unwrapped.observe())
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert (reward.dtype, terminated.dtype, truncated.dtype) == (torch.float32, torch.bool, torch.bool)
        if mode is AutoresetMode.DISABLED and (terminated | truncated).any():
            observation, _ = env.reset(options={"reset_mask": terminated | truncated})


def test_the_specs_time_limit_and_options_arrive() -> None:
    env = gymnasium.make_vec("rlsuite/CartPole-v1", num_envs=2, max_episode_steps=7, dtype=torch.float64)
    assert env.unwrapped.max_episode_steps == 7
    assert env.unwrapped.state["angle"].dtype == torch.float64


def test_unknown_options_are_named() -> None:
    with pytest.raises(ValueError, match="CartPole cannot be made with the options {'gravty': 3}"):
        gymnasium.make_vec("rlsuite/CartPole-v1", num_envs=2, gravty=3)


@pytest.mark.parametrize(
    "program",
    [
        "import sys, envs; assert 'torch' not in sys.modules",
        "import gymnasium; gymnasium.make_vec('envs:rlsuite/CartPole-v1', num_envs=2).reset()",
    ],
    ids=["importing the package loads no torch", "gymnasium imports the package when its name is asked for"],
)
def test_in_a_fresh_process(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(envs.__file__).parents[1])
