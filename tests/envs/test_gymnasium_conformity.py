"""``rlsuite/*`` as Gymnasium's own environments behave: seeds, masks, infos, attributes, wrappers, specs, copies."""

import copy
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from gymnasium.wrappers import vector as vector_wrappers

import envs  # noqa: F401  registers rlsuite/*
from envs.info import STATISTICS

IDS = sorted(name for name in gymnasium.registry if name.startswith("rlsuite/"))
of_every_id = pytest.mark.parametrize("env_id", IDS)
in_every_mode = pytest.mark.parametrize("mode", list(AutoresetMode))


def _vector(env_id: str = "rlsuite/CartPole-v1", num_envs: int = 3, **options: Any) -> VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(env_id, num_envs=num_envs, **options)


def _equal(left: Any, right: Any) -> bool:
    """Of two results of a step or reset, infos included."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return torch.equal(left, right)


# --- one environment


@pytest.mark.filterwarnings("ignore:.*doesn't natively support it.*:UserWarning")
@pytest.mark.parametrize("env_id", ["rlsuite/CartPole-v1", "rlsuite/Drive-v0", "rlsuite/MinAtar-Breakout-v0"])
def test_one_environment_is_drawn_in_every_way_that_gymnasium_knows(
    env_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    collecting = gymnasium.make(env_id, render_mode="rgb_array_list")
    collecting.reset(seed=0)
    collecting.step(collecting.action_space.sample())
    assert [frame.dtype for frame in collecting.render()] == [np.uint8] * 2
    window = gymnasium.make(env_id, render_mode="human")
    window.reset(seed=0)
    window.step(window.action_space.sample())
    window.close()


def test_wrappers_of_one_environment_work() -> None:
    env = RecordEpisodeStatistics(TimeLimit(gymnasium.make("rlsuite/Pendulum-v1"), 5))
    env.reset(seed=0)
    for _ in range(5):
        _, _, _, truncated, info = env.step(env.action_space.sample())
    assert truncated
    assert info["episode"]["l"] == 5


@pytest.mark.parametrize("how", ["sync", "async"])
def test_one_environment_is_vectorised_by_gymnasium(how: str) -> None:
    env = _vector(vectorization_mode=how)
    observation, _ = env.reset(seed=7)
    expected, _ = _vector().reset(seed=7)
    np.testing.assert_array_equal(observation, expected.numpy())
    assert env.step(env.action_space.sample())[0].shape == (3, 4)
    env.close()


# --- seeds


def test_seeds_are_known_as_gymnasium_knows_them() -> None:
    env, reference = _vector(), gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
    for seed in (42, None, [5, 3, 2**40], [1, None, 7]):
        env.reset(seed=seed)
        reference.reset(seed=seed)
        assert env.np_random_seed == reference.np_random_seed
    env.reset(seed=np.int64(8))
    assert env.np_random_seed == (8, 9, 10)
    env.reset(seed=np.array([9, 1, 4]))
    assert env.np_random_seed == (9, 1, 4)


def test_only_environments_of_the_mask_take_their_seeds() -> None:
    env = _vector(autoreset_mode=AutoresetMode.DISABLED)
    first, _ = env.reset(seed=[0, 1, 2])
    for _ in range(3):
        later, *_ = env.step(env.action_space.sample())
    again, _ = env.reset(seed=[0, 1, 0], options={"reset_mask": np.array([True, True, False])})
    assert torch.equal(again[:2], first[:2])
    assert torch.equal(again[2], later[2])
    assert env.np_random_seed == (0, 1, 2)


def test_none_among_seeds_goes_on_with_the_next_episode() -> None:
    env, other = _vector(), _vector()
    env.reset(seed=4)
    other.reset(seed=4)
    following, _ = other.reset()
    mixed, _ = env.reset(seed=[4, None, 6])
    assert torch.equal(mixed[1], following[1])
    assert torch.equal(mixed[2], _vector().reset(seed=4)[0][2])


def test_seeds_are_drawn_when_asked_for_and_then_used() -> None:
    env = _vector()
    seeds = env.np_random_seed
    assert len(set(seeds)) == 3
    assert torch.equal(env.reset()[0], _vector().reset(seed=list(seeds))[0])


def test_seeds_of_a_loaded_state_are_unknown() -> None:
    env = _vector()
    env.reset(seed=0)
    env.unwrapped.load_state_dict(env.unwrapped.state_dict())
    assert env.np_random_seed == (-1, -1, -1)


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "seeds must be 0 to 9223372036854775805, not -1"),
        (2**63 - 1, "seeds must be 0 to"),
        ([1, 2, 2**63], "seeds must be 0 to 9223372036854775807, not 9223372036854775808"),
        ([1, 2], "one seed for each of 3"),
        (1.5, "a whole number, or a list"),
        ([1, 2, "3"], "a whole number, or a list"),
    ],
)
def test_seeds_that_cannot_be_are_named(seed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _vector().reset(seed=seed)


# --- resets


@in_every_mode
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset_mask": np.zeros(3, bool)}, "at least one environment"),
        ({"reset_mask": torch.zeros(3, dtype=torch.bool)}, "at least one environment"),
        ({"reset_mask": np.ones(4, bool)}, r"bool \[3\], not torch.bool \[4\]"),
        ({"reset_mask": np.ones((1, 3), bool)}, r"bool \[3\]"),
        ({"reset_mask": np.ones(3)}, r"bool \[3\], not torch.float64"),
        ({"low": -0.1}, r"unknown reset options \['low'\]"),
    ],
)
def test_reset_options_that_cannot_be_are_named(mode: AutoresetMode, options: dict[str, Any], message: str) -> None:
    env = _vector(autoreset_mode=mode)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)


def test_one_environment_has_no_reset_options() -> None:
    env = gymnasium.make("rlsuite/CartPole-v1")
    env.reset(options={})
    with pytest.raises(ValueError, match=r"unknown reset options \['low'\]"):
        env.reset(options={"low": -0.1})


def test_the_first_reset_starts_all() -> None:
    env = _vector(autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = env.reset(seed=3, options={"reset_mask": np.array([True, False, False])})
    assert torch.equal(observation, _vector().reset(seed=3)[0])


def test_a_step_needs_a_reset() -> None:
    with pytest.raises(ResetNeeded):
        _vector().step(np.zeros(3, np.int64))


# --- infos


@of_every_id
@in_every_mode
def test_every_info_is_a_dictionary_with_masks(env_id: str, mode: AutoresetMode) -> None:
    env = _vector(env_id, autoreset_mode=mode, max_episode_steps=3)
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    assert info == {}
    for _ in range(3):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        ended = terminated | truncated
        for key, value in info.items():
            assert len(value) == (2 if isinstance(value, dict) else 3)
            assert key == "valid" or key.startswith("_") or torch.equal(info[f"_{key}"], ended)
        assert ("final_obs" in info) == ("final_info" in info) == (mode is AutoresetMode.SAME_STEP)
        if ended.any():
            break
    assert ended.any()
    if mode is AutoresetMode.SAME_STEP:
        assert _equal(info["final_info"], {key: info[key] for key in (STATISTICS, f"_{STATISTICS}")})


# --- what a VectorEnv has


@of_every_id
def test_attributes_are_those_of_one_environment(env_id: str) -> None:
    env = _vector(env_id, render_mode="rgb_array", max_episode_steps=9)
    env.reset(seed=5)
    single = gymnasium.make(env_id)
    for name, expected in {
        "observation_space": single.observation_space,
        "action_space": single.action_space,
        "render_mode": "rgb_array",
        "max_episode_steps": 9,
        "spec": env.spec,
    }.items():
        assert env.get_attr(name) == (expected,) * 3
    assert env.get_attr("np_random_seed") == (5, 6, 7)
    pictures = env.call("render")
    assert len(pictures) == 3
    assert all(np.array_equal(left, right) for left, right in zip(pictures, env.render(), strict=True))
    name, entry = next(iter(env.unwrapped.state.items()))
    assert torch.equal(torch.stack(env.get_attr(name)), entry)
    with pytest.raises(AttributeError, match="no_such_thing"):
        env.get_attr("no_such_thing")
    env.close()
    env.close()
    assert env.unwrapped.closed


def test_entries_of_the_state_can_be_set() -> None:
    env = _vector().unwrapped
    env.reset(seed=0)
    env.set_attr("angle", [0.1, 0.2, -0.1])
    env.set_attr("velocity", 0)
    torch.testing.assert_close(env.observe()[:, 2], torch.tensor([0.1, 0.2, -0.1]))
    observation, *_ = env.step(np.ones(3, np.int64))
    assert observation[1, 2] > 0.15
    with pytest.raises(ValueError, match="one value for each of 3"):
        env.set_attr("angle", [0.0])


def test_attributes_that_are_shared_are_set_for_all_and_steps_follow() -> None:
    env = _vector(compile=True).unwrapped
    code = env._step
    env.set_attr("max_episode_steps", 2)
    assert env.get_attr("max_episode_steps") == (2, 2, 2)
    assert env._step is not code  # the old limit is part of it
    with pytest.raises(ValueError, match="all environments share 'max_episode_steps'"):
        env.set_attr("max_episode_steps", [1, 2, 3])
    with pytest.raises(AttributeError, match="gravty"):
        env.set_attr("gravty", 3.0)


# --- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@of_every_id
def test_a_copy_goes_on_alike_and_on_its_own(env_id: str, copied: Any) -> None:
    env = _vector(env_id)
    env.reset(seed=1)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(6)]
    env.step(actions[0])
    other = copied(env)
    expected = [env.step(action) for action in actions[1:]]
    for action, result in zip(actions[1:], expected, strict=True):
        assert _equal(other.step(action), result)
    assert other.np_random_seed == env.np_random_seed
    assert data_equivalence(other.spec.to_json(), env.spec.to_json())


@pytest.mark.slow
def test_a_compiled_copy_steps_on_its_own_and_takes_actions_in_any_layout() -> None:
    env, eager = _vector("rlsuite/Pendulum-v1", compile=True), _vector("rlsuite/Pendulum-v1")
    before, _ = env.reset(seed=1)
    eager.reset(seed=1)
    copied = copy.deepcopy(env)
    for dtype in (torch.float32, torch.float32, torch.float64):
        column = torch.rand(3, 5, dtype=dtype)[:, 2:3]
        expected, *_ = eager.step(column.float().clone())
        observation, *_ = copied.step(column)
        torch.testing.assert_close(observation, expected)
    assert torch.equal(env.unwrapped.observe(), before)


@of_every_id
def test_a_vector_environment_is_made_again_from_its_spec(env_id: str) -> None:
    env = _vector(env_id, max_episode_steps=8)
    again = gymnasium.make_vec(env.spec)
    assert again.num_envs == 3
    assert again.unwrapped.max_episode_steps == 8
    assert torch.equal(env.reset(seed=2)[0], again.reset(seed=2)[0])


# --- actions


def test_gradients_of_actions_stay_with_the_agent() -> None:
    env = _vector("rlsuite/Pendulum-v1")
    env.reset(seed=0)
    observation, reward, *_ = env.step(torch.zeros(3, 1, requires_grad=True) * 2)
    assert not observation.requires_grad
    assert not reward.requires_grad
    assert not any(value.requires_grad for value in env.unwrapped.state.values())


# --- wrappers of vector environments

_ON_TENSORS = {
    "ClipAction": ("rlsuite/Pendulum-v1", vector_wrappers.ClipAction),
    "RescaleAction": ("rlsuite/Pendulum-v1", lambda env: vector_wrappers.RescaleAction(env, -1.0, 1.0)),
    "ClipReward": ("rlsuite/Pendulum-v1", lambda env: vector_wrappers.ClipReward(env, -1, 1)),
    "TransformReward": ("rlsuite/CartPole-v1", lambda env: vector_wrappers.TransformReward(env, lambda r: r / 2)),
    "TransformObservation": (
        "rlsuite/CartPole-v1",
        lambda env: vector_wrappers.TransformObservation(env, lambda seen: seen / 2),
    ),
}
_ON_ARRAYS = {
    "RecordEpisodeStatistics": ("rlsuite/CartPole-v1", vector_wrappers.RecordEpisodeStatistics),
    "DictInfoToList": ("rlsuite/CartPole-v1", vector_wrappers.DictInfoToList),
    "NormalizeReward": ("rlsuite/Pendulum-v1", vector_wrappers.NormalizeReward),
}


def _arrays(env: VectorEnv[Any, Any, Any]) -> VectorEnv[Any, Any, Any]:
    pytest.importorskip("array_api_compat", reason="gymnasium's ArrayConversion needs array-api-compat")
    return vector_wrappers.ArrayConversion(env, env_xp=torch, target_xp=np)


@pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")
@pytest.mark.parametrize("name", _ON_TENSORS)
def test_wrappers_that_work_on_tensors(name: str) -> None:
    env_id, wrap = _ON_TENSORS[name]
    # Wrappers of observations do not know of final_obs, and Gymnasium refuses them under SAME_STEP.
    env = wrap(_vector(env_id, autoreset_mode=AutoresetMode.NEXT_STEP))
    env.reset(seed=0)
    for _ in range(10):
        observation, reward, *_ = env.step(env.action_space.sample())
        assert isinstance(observation, torch.Tensor)
        assert isinstance(reward, torch.Tensor)


@in_every_mode
@pytest.mark.parametrize("name", _ON_ARRAYS)
def test_wrappers_that_need_arrays(name: str, mode: AutoresetMode) -> None:
    env_id, wrap = _ON_ARRAYS[name]
    env = wrap(_arrays(_vector(env_id, autoreset_mode=mode)))
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(40):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            env.reset(options={"reset_mask": ended})


def test_normalised_observations_need_arrays_and_resets_of_their_own_step() -> None:
    env = vector_wrappers.NormalizeObservation(_arrays(_vector(autoreset_mode=AutoresetMode.NEXT_STEP)))
    env.reset(seed=0)
    observations = [env.step(env.action_space.sample())[0] for _ in range(200)]
    assert np.std(observations[-1]) > 0.2


@in_every_mode
def test_statistics_that_gymnasium_records_are_ours(mode: AutoresetMode) -> None:
    env = vector_wrappers.RecordEpisodeStatistics(_arrays(_vector("rlsuite/CartPole-v1", autoreset_mode=mode)))
    env.reset(seed=0)
    env.action_space.seed(0)
    episodes = 0
    for _ in range(100):
        *_, info = env.step(env.action_space.sample())
        for index in np.flatnonzero(info[f"_{STATISTICS}"]):
            episodes += 1
            for key in ("r", "l"):
                assert info["episode"][key][index] == info[STATISTICS][key][index]
        if mode is AutoresetMode.DISABLED and info[f"_{STATISTICS}"].any():
            env.reset(options={"reset_mask": info[f"_{STATISTICS}"]})
    assert episodes > 5


# --- the registry


def test_the_registry_prints_and_finds_them(capsys: pytest.CaptureFixture[str]) -> None:
    gymnasium.pprint_registry()
    printed = capsys.readouterr().out
    for env_id in IDS:
        assert env_id in printed
        assert gymnasium.spec(env_id).id == env_id
