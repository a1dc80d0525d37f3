"""ALE's vector environment behind the adapter: every trap that it is known for."""

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from envs.adapter import VectorAdapter
from envs.atari import AtariVector, RenderedAtariVector
from envs.make import make_environments
from envs.protocols import MACHADO, NATURE, AtariProtocol
from envs.seeding import environment_seeds
from rlsuite.experience import ExperienceError, Step

PLAIN = dataclasses.replace(NATURE, name="plain", noop_max_frames=0)
SHORT = dataclasses.replace(NATURE, name="short", frame_cap=100)  # 25 steps


def random_actions(environments: VectorAdapter, steps: int, seed: int = 0) -> Tensor:
    """``[steps, S, E]``; FIRE (1) often enough that Breakout does not wait for it for long."""
    generator = np.random.default_rng(seed)
    shape = (steps, len(environments.seeds), environments.num_envs)
    action = generator.integers(environments.action_space.n, size=shape)  # type: ignore[attr-defined]
    return torch.from_numpy(np.where(generator.random(shape) < 0.2, 1, action))


def play(env_id: str, protocol: AtariProtocol, steps: int, **options: Any) -> tuple[Tensor, list[Step]]:
    environments = make_environments(env_id, [0], 2, protocol=protocol, **options)
    first = environments.reset()
    played = [environments.step(action) for action in random_actions(environments, steps)]
    environments.close()
    return first, played


def test_an_episode_begins_with_a_frame_on_top_of_zeros() -> None:
    first, played = play("ALE/Pong-v5", SHORT, 40)
    assert first.shape == (1, 2, 4, 84, 84) and first.dtype == torch.uint8
    starts = [first] + [step.observation for step in played if not step.valid.any()]
    assert len(starts) == 2  # the cap ends both games at once
    for start in starts:
        assert (start[:, :, :3] == 0).all() and (start[:, :, 3].flatten(2).amax(-1) > 0).all()
    # From then on, the stack moves up by one frame a step.
    assert torch.equal(played[0].observation[:, :, :3], first[:, :, 1:])


def test_a_lost_life_stops_the_bootstrap_and_the_game_goes_on() -> None:
    environments = make_environments("ALE/Breakout-v5", [0], 2, protocol="nature")
    environments.reset()
    beside = AtariVector("breakout", 2, NATURE)  # the same games, to read the lives from
    _, info = beside.reset(seed=environment_seeds([0], 2, "train"))
    lives, losses = info["lives"], 0
    for action in random_actions(environments, 300):
        step = environments.step(action)
        *_, info = beside.step(action[0].numpy())
        lost = torch.from_numpy(info["lives"] < lives) & step.valid[0] & ~step.ended[0]
        lives = info["lives"]
        losses += int(lost.sum())
        assert torch.equal(step.bootstrap[0], step.valid[0] & ~step.terminated[0] & ~lost)
        # The picture goes on: a new game would begin with zeros.
        assert (step.observation[0, lost, 0].flatten(1).amax(-1) > 0).all()
    assert losses >= 8


def test_machado_reports_no_lost_lives() -> None:
    _, played = play("ALE/Breakout-v5", MACHADO, 300)
    assert any(step.terminated.any() for step in played)
    assert all(torch.equal(step.bootstrap, step.valid & ~step.terminated) for step in played)


def test_both_autoreset_modes_give_the_same_transitions() -> None:
    """Terminations and truncations, with no-ops drawn and sticky actions: everything random is the same."""
    protocol = dataclasses.replace(NATURE, name="mixed", frame_cap=500, repeat_action_probability=0.25)

    def streams(mode: AutoresetMode) -> list[list[tuple[Any, ...]]]:
        environments = make_environments("ALE/Breakout-v5", [0], 2, protocol=protocol, autoreset_mode=mode)
        actions = random_actions(environments, 300)
        observation = environments.reset()
        streams: list[list[tuple[Any, ...]]] = [[], []]
        for _ in range(300):
            action = torch.stack([actions[len(stream), :, e] for e, stream in enumerate(streams)], dim=1)
            step = environments.step(action)
            for e, stream in enumerate(streams):
                if step.valid[0, e]:
                    names = ("next_observation", "reward", "terminated", "truncated", "bootstrap")
                    values = [getattr(step, name)[0, e].numpy().tobytes() for name in names]
                    stream.append((observation[0, e].numpy().tobytes(), *values))
            observation = step.observation
        return streams

    same, following = streams(AutoresetMode.SAME_STEP), streams(AutoresetMode.NEXT_STEP)
    for one, other in zip(same, following, strict=True):
        assert len(one) == 300 > len(other) > 290
        assert one[: len(other)] == other


def test_the_frame_cap_truncates_and_the_future_still_counts() -> None:
    _, played = play("ALE/Pong-v5", SHORT, 60)
    ends = [n for n, step in enumerate(played) if step.ended.any()]
    assert ends == [24, 50]  # 25 steps of 4 frames, a phantom, 25 steps
    for n in ends:
        assert played[n].truncated.all() and not played[n].terminated.any() and played[n].bootstrap.all()
    assert [n for n, step in enumerate(played) if not step.valid.all()] == [25, 51]


@pytest.mark.parametrize(("protocol", "actions"), [(NATURE, 4), (MACHADO, 18)])
def test_protocols_choose_the_action_set(protocol: AtariProtocol, actions: int) -> None:
    environments = make_environments("ALE/Breakout-v5", [0], 1, protocol=protocol)
    assert environments.action_space == gymnasium.spaces.Discrete(actions)
    names = environments.vector_env.action_names
    assert len(names) == actions and names[:2] == ("NOOP", "FIRE")


def test_without_sticky_actions_a_game_repeats_and_with_them_it_depends_on_the_seed() -> None:
    def final_pictures(protocol: AtariProtocol) -> Tensor:
        vector = AtariVector("pong", 2, protocol)
        observation, _ = vector.reset(seed=[1, 2])
        for n in range(100):
            observation, *_ = vector.step(np.full(2, 2 + (n // 10) % 2))
        return torch.from_numpy(observation)

    one, other = final_pictures(PLAIN)
    assert torch.equal(one, other)
    one, other = final_pictures(dataclasses.replace(PLAIN, repeat_action_probability=0.25))
    assert not torch.equal(one, other)


@pytest.mark.slow
def test_no_ops_are_drawn_between_none_and_the_maximum() -> None:
    def starts(noop_max_frames: int) -> set[int]:
        vector = AtariVector("pong", 4, dataclasses.replace(NATURE, noop_max_frames=noop_max_frames))
        vector.reset(seed=[0, 1, 2, 3])
        return {int(frames) for _ in range(20) for frames in vector.reset()[1]["episode_frame_number"]}

    first = min(starts(0))  # frames that the emulator itself lets pass
    assert starts(0) == {first}
    assert starts(3) == {first, first + 1, first + 2, first + 3}


def test_scores_are_raw() -> None:
    """Space Invaders pays 5 to 30 points an invader."""
    _, played = play("ALE/SpaceInvaders-v5", NATURE, 200)
    rewards = torch.stack([step.reward for step in played])
    assert rewards.dtype == torch.float32 and rewards.max() >= 5.0


def test_autoreset_modes_of_two_vectors_do_not_mix() -> None:
    one = AtariVector("pong", 1, NATURE, autoreset_mode=AutoresetMode.SAME_STEP)
    other = AtariVector("pong", 1, NATURE, autoreset_mode=AutoresetMode.NEXT_STEP)
    assert one.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert other.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert "autoreset_mode" not in VectorEnv.metadata


def test_a_resumed_run_begins_new_games() -> None:
    environments = make_environments("ALE/Breakout-v5", [3], 2, protocol=MACHADO)
    environments.reset()
    assert not environments.exact_resume
    actions = random_actions(environments, 60)
    first = torch.stack([environments.step(action).observation for action in actions])
    again = make_environments("ALE/Breakout-v5", [3], 2, protocol=MACHADO)
    start = again.load_state_dict(environments.state_dict())
    assert not again.exact_resume and (start[:, :, :3] == 0).all()
    assert not torch.equal(torch.stack([again.step(action).observation for action in actions]), first)


def area_weights(source: int, target: int) -> np.ndarray:
    """``[target, source]``: how much of each source pixel lies under each target pixel."""
    edges = np.arange(target + 1) * source / target
    low, high = np.maximum(edges[:-1, None], np.arange(source)), np.minimum(edges[1:, None], np.arange(source) + 1)
    return np.clip(high - low, 0.0, None) * target / source


@pytest.mark.parametrize("protocol", [NATURE, pytest.param(MACHADO, marks=pytest.mark.slow)])
def test_colour_pictures_stay_in_step_with_the_observations(protocol: AtariProtocol) -> None:
    """Through no-ops, sticky actions, lost lives and new episodes: the observation is the picture, grey and smaller."""
    watched = RenderedAtariVector("breakout", 2, dataclasses.replace(protocol, frame_cap=200))
    observation, _ = watched.reset(seed=[5, 6])
    generator = np.random.default_rng(0)
    ends = 0
    for _ in range(110):
        for picture, stack in zip(watched.render(), observation, strict=True):
            assert picture.shape == (210, 160, 3) and picture.dtype == np.uint8
            grey = picture @ [0.2989, 0.5870, 0.1140]
            small = area_weights(210, 84) @ grey @ area_weights(160, 84).T
            np.testing.assert_allclose(small, stack[-1], atol=1.5)
        observation, _, terminated, truncated, _ = watched.step(generator.integers(4, size=2))
        ends += int((terminated | truncated).sum())
    assert ends >= 4


def test_watching_goes_through_the_same_adapter() -> None:
    environments = make_environments("ALE/Pong-v5", [0], 1, purpose="watch", render_mode="rgb_array")
    blind = make_environments("ALE/Pong-v5", [0], 1, purpose="watch")
    assert torch.equal(environments.reset(), blind.reset())
    for action in random_actions(environments, 30):
        assert torch.equal(environments.step(action).observation, blind.step(action).observation)
    pictures = environments.render()
    assert pictures is not None and len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 3  # in colour
    environments.close()


def test_emulation_goes_on_between_send_and_receive() -> None:
    environments = make_environments("ALE/Pong-v5", [0], 2)
    environments.reset()
    environments.send(torch.zeros(1, 2, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="before saving"):
        environments.state_dict()
    assert environments.receive().valid.all()
    environments.send(torch.zeros(1, 2, dtype=torch.int64))
    environments.close()  # with a step under way


def test_an_action_outside_the_set_is_refused_before_it_stalls_the_emulator() -> None:
    environments = make_environments("ALE/Pong-v5", [4], 2)
    environments.reset()
    with pytest.raises(ExperienceError, match=r"environment 1 of seed 4 at env step 1.\nthe agent's action 6"):
        environments.step(torch.tensor([[0, 6]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "machada"}, "did you mean 'machado'"),
        ({"env_kwargs": {"frameskip": 2}}, "takes its options from an Atari protocol"),
        ({"env_kwargs": {"obs_type": "ram", "frameskip": 2}}, "an Atari protocol, not from {'frameskip': 2}"),
        ({"autoreset_mode": AutoresetMode.DISABLED}, "NEXT_STEP or SAME_STEP"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_environments("ALE/Pong-v5", [0], 1, **options)


OLD_NAMES = ("Breakout-v0", "BreakoutNoFrameskip-v4", "ale_py:ALE/Breakout-v5")


@pytest.mark.parametrize("env_id", OLD_NAMES)
def test_a_game_is_the_same_under_all_its_names(env_id: str) -> None:
    first, played = play(env_id, PLAIN, 20)
    expected, as_expected = play("ALE/Breakout-v5", PLAIN, 20)
    assert torch.equal(first, expected)
    assert torch.equal(played[-1].observation, as_expected[-1].observation)


def test_modes_of_a_game_that_would_be_lost_are_refused() -> None:
    gymnasium.register("HardPong-v0", "ale_py.env:AtariEnv", kwargs={"game": "pong", "difficulty": 1})
    try:
        with pytest.raises(ValueError, match=r"takes its options from an Atari protocol, not from {'difficulty': 1}"):
            make_environments("HardPong-v0", [0], 1)
    finally:
        del gymnasium.registry["HardPong-v0"]


def ram(protocol: AtariProtocol) -> VectorAdapter:
    environments = make_environments("ALE/Breakout-v5", [0], 2, protocol=protocol, env_kwargs={"obs_type": "ram"})
    assert isinstance(environments, VectorAdapter)
    return environments


def test_the_memory_of_a_console_is_an_observation() -> None:
    environments = ram(NATURE)
    first = environments.reset()
    assert first.shape == (1, 2, 128) and first.dtype == torch.uint8
    assert environments.action_space.n == 4  # type: ignore[attr-defined]
    # Games that begin with another number of frames without action are in another state.
    assert not torch.equal(first[0, 0], first[0, 1])
    assert ram(MACHADO).action_space.n == 18  # type: ignore[attr-defined]
    assert torch.equal(*ram(PLAIN).reset()[0])


def test_games_in_memory_lose_lives_and_end_by_the_protocol() -> None:
    def ends(protocol: AtariProtocol) -> tuple[int, int]:
        environments = ram(protocol)
        environments.reset()
        played = [environments.step(action) for action in random_actions(environments, 200)]
        stopped = [~step.bootstrap & step.valid & ~step.ended for step in played]
        return int(torch.stack(stopped).sum()), sum(int(step.truncated.sum()) for step in played)

    lives, truncations = ends(NATURE)
    assert lives > 0 and truncations == 0
    assert ends(dataclasses.replace(NATURE, life_loss_stops_bootstrap=False)) == (0, 0)
    # A cap of 100 frames, of which up to 30 went by before the first action.
    assert ends(dataclasses.replace(SHORT, noop_max_frames=0))[1] == 2 * (200 // 26)


def test_games_in_memory_play_back() -> None:
    environments = ram(MACHADO)
    environments.reset()
    actions = random_actions(environments, 40)
    for action in actions[:20]:
        environments.step(action)
    state = environments.state_dict()
    expected = [environments.step(action).observation for action in actions[20:]]
    again = ram(MACHADO)
    again.load_state_dict(state)
    assert again.exact_resume
    assert all(torch.equal(again.step(action).observation, e) for action, e in zip(actions[20:], expected, strict=True))
