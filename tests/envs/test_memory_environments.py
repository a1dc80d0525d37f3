"""Environments that need memory: against POPGym where it has the task, and against their rules."""

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from classic_oracle import assert_same_transitions
from gymnasium.vector import AutoresetMode

import envs  # noqa: F401  registers rlsuite/*
from envs.cartpole import CartPole
from envs.make import make_environments
from envs.partly_observed import PartlyObserved
from envs.preprocessing import Preprocessing
from envs.tmaze import EAST, NORTH, SOUTH, WEST, TMaze
from rlsuite import random
from rlsuite.spaces import Parts

LEVELS = ("easy", "medium", "hard")


def played(env_id: str, num_envs: int, **options: Any) -> SimpleNamespace:
    """Suits seen, actions and rewards ``[T, N]`` of an episode in each environment, half of its actions right."""
    env = gymnasium.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.DISABLED, **options)
    observation, _ = env.reset(seed=3)
    seen, actions, rewards, ended = [observation.argmax(-1)], [], [], torch.zeros(num_envs, dtype=torch.bool)
    rng = np.random.default_rng(0)
    while not ended.any():
        answer = env.unwrapped.state["dealt"][:, 0].long()
        guess = torch.from_numpy(rng.integers(0, 4, num_envs))
        actions.append(torch.where(torch.from_numpy(rng.random(num_envs) < 0.5), answer, guess))
        observation, reward, ended, truncated, _ = env.step(actions[-1])
        assert not truncated.any()
        seen.append(observation.argmax(-1))
        rewards.append(reward)
    assert ended.all()
    return SimpleNamespace(seen=torch.stack(seen), actions=torch.stack(actions), rewards=torch.stack(rewards))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("game", ["RepeatPrevious", "RepeatFirst"])
def test_cards_are_popgyms(game: str, level: str) -> None:
    popgym = pytest.importorskip("popgym.envs", reason="popgym is not installed")
    ours = played(f"rlsuite/{game}-v0", 3, level=level)
    for number in range(3):
        dealt = ours.seen[:, number].tolist()
        theirs = getattr(popgym, f"{game}{level.capitalize()}")()
        # The cards of a suit s are s, s + 4, ...; POPGym deals from the end.
        cards = {suit: iter(range(suit, len(dealt), 4)) for suit in range(4)}
        order = np.array([next(cards[suit]) for suit in dealt])[::-1]
        theirs._np_random = SimpleNamespace(shuffle=lambda index, order=order: np.copyto(index, order))
        observation, _ = theirs.reset()
        assert observation == dealt[0]
        for step, action in enumerate(ours.actions[:, number].tolist()):
            observation, reward, terminated, truncated, _ = theirs.step(action)
            assert observation == dealt[step + 1]
            assert reward == pytest.approx(ours.rewards[step, number].item())
            assert (terminated, truncated) == (step == len(ours.actions) - 1, False)


@pytest.mark.parametrize(("level", "k", "cards"), zip(LEVELS, (4, 32, 64), (52, 104, 156), strict=True))
def test_an_earlier_card_is_to_be_repeated(level: str, k: int, cards: int) -> None:
    game = played("rlsuite/RepeatPrevious-v0", 8, level=level)
    assert game.seen.shape == (cards, 8)
    assert all((game.seen == suit).sum(0).eq(cards // 4).all() for suit in range(4))  # a whole deck, whatever its order
    right = game.actions[k - 1 :] == game.seen[: cards - k]
    assert torch.equal(game.rewards[k - 1 :] > 0, right)
    assert (game.rewards[: k - 1] == 0).all()
    torch.testing.assert_close(game.rewards.abs().sum(0), torch.ones(8))


@pytest.mark.parametrize(("level", "cards"), [("easy", 52), ("medium", 416)])
def test_the_first_card_is_to_be_repeated(level: str, cards: int) -> None:
    game = played("rlsuite/RepeatFirst-v0", 8, level=level)
    assert game.seen.shape == (cards, 8)
    assert torch.equal(game.rewards > 0, game.actions == game.seen[0])
    torch.testing.assert_close(game.rewards.abs().sum(0), torch.ones(8))


def test_cards_are_dealt_by_what_is_left() -> None:
    env = gymnasium.make_vec("rlsuite/RepeatFirst-v0", num_envs=4_000)
    observation, _ = env.reset(seed=0)
    first = observation.argmax(-1)
    observation, *_ = env.step(torch.zeros(4_000, dtype=torch.int64))
    assert first.bincount(minlength=4).tolist() == pytest.approx([1_000] * 4, abs=110)  # four standard deviations
    assert (observation.argmax(-1) == first).float().mean().item() == pytest.approx(12 / 51, abs=0.027)


@pytest.mark.parametrize(
    ("name", "whole", "seen"),
    [
        ("PositionOnlyCartPole-v1", "CartPole-v1", [0, 2]),
        ("VelocityOnlyCartPole-v1", "CartPole-v1", [1, 3]),
        ("PositionOnlyPendulum-v1", "Pendulum-v1", [0, 1]),
        ("MinAtar-MaskedBreakout-v0", "MinAtar-Breakout-v0", [0, 1, 3]),
        ("MinAtar-MaskedSpaceInvaders-v0", "MinAtar-SpaceInvaders-v0", [0, 1, 4, 5]),
    ],
)
def test_a_part_is_seen_and_nothing_else_differs(name: str, whole: str, seen: list[int]) -> None:
    part, all_of_it = (gymnasium.make_vec(f"rlsuite/{env_id}", num_envs=4) for env_id in (name, whole))
    (observation, _), (expected, _) = part.reset(seed=7), all_of_it.reset(seed=7)
    part.action_space.seed(0)
    for _ in range(30):
        assert torch.equal(observation, expected[:, seen])
        action = part.action_space.sample()
        (observation, *outcome, _), (expected, *expected_outcome, _) = part.step(action), all_of_it.step(action)
        assert all(map(torch.equal, outcome, expected_outcome))


@pytest.mark.parametrize(
    ("name", "task", "names"),
    [
        ("PositionOnlyCartPole", "PositionOnlyCartPole", ("position", "velocity", "angle", "angular_velocity")),
        ("VelocityOnlyCartPole", "VelocityOnlyCartPole", ("position", "velocity", "angle", "angular_velocity")),
        ("PositionOnlyPendulum", "PositionOnlyPendulum", ("angle", "angular_velocity")),
    ],
)
def test_what_is_seen_is_what_popgym_shows(name: str, task: str, names: tuple[str, ...]) -> None:
    """Its rewards are scaled to sum to 1, which ours are not."""
    popgym = pytest.importorskip("popgym.envs", reason="popgym is not installed")
    ours = gymnasium.make(f"rlsuite/{name}-v1").unwrapped._vector.dynamics  # type: ignore[attr-defined]
    theirs: Any = gymnasium.Wrapper(getattr(popgym, task)())
    theirs.unwrapped.reward_transform = lambda reward: reward
    states = np.random.default_rng(0).uniform(-0.2, 0.2, (100, len(names)))
    actions = np.random.default_rng(1).uniform(-2, 2, (100, 1)) if "Pendulum" in name else np.arange(100) % 2
    assert_same_transitions(ours, theirs, names, states, actions, torch.float32)


def test_noise_is_drawn_anew_at_each_step_and_stays_within_bounds() -> None:
    env = gymnasium.make_vec("rlsuite/NoisyPositionOnlyCartPole-v1", num_envs=5_000)
    noisy, state = env.unwrapped, env.unwrapped.state
    observation, _ = env.reset(seed=0)
    found = []
    for _ in range(2):
        found.append(observation - torch.stack([state["position"], state["angle"]], dim=-1))
        assert torch.equal(noisy.observe(), observation)  # looking twice changes nothing
        assert noisy.single_observation_space.contains(observation[0].numpy())
        observation, *_ = env.step(torch.zeros(5_000, dtype=torch.int64))
    noise = torch.cat(found, dim=-1)  # [N, 4]
    torch.testing.assert_close(noise.mean(0), torch.zeros(4), atol=0.006, rtol=0)
    torch.testing.assert_close(noise.std(0), torch.full((4,), 0.1), atol=0.005, rtol=0)
    assert torch.corrcoef(noise.mT).fill_diagonal_(0).abs().max() < 0.06
    wide = PartlyObserved("envs.cartpole:CartPole", (2,), noise=5.0)
    seen = wide.observe(wide.initial(random.key(torch.arange(1_000))))
    bound = CartPole.observation_space.high[2].item()
    assert (seen.abs().max(), (seen.abs() == bound).float().mean() > 0.5) == (pytest.approx(bound), True)


@pytest.mark.parametrize(
    ("env_id", "shape"),
    [
        ("CartPole-v1", (4,)),
        ("Pendulum-v1", (3,)),
        ("rlsuite/CartPole-v1", (4,)),
        ("rlsuite/Pendulum-v1", (3,)),
        ("rlsuite/MinAtar-Breakout-v0", (4, 10, 10)),
    ],
)
def test_the_last_action_and_reward_are_seen_beside_the_observation(env_id: str, shape: tuple[int, ...]) -> None:
    plain, more = (
        make_environments(
            env_id, [3], 2, preprocessing=Preprocessing(max_episode_steps=4, previous_action_and_reward=on)
        )
        for on in (False, True)
    )
    space = more.observation_space
    assert isinstance(space, Parts) and space.parts[0].shape == shape
    expected, seen = plain.reset(), more.reset()
    actions, size = space.parts[1].shape[0], int(np.prod(shape))
    action = torch.zeros(1, 2, dtype=torch.int64) if actions > 1 else torch.zeros(1, 2, 1)
    previous, reward = torch.zeros(1, 2, actions), torch.zeros(1, 2, 1)
    began = 0
    for number in range(10):
        assert torch.equal(seen[..., :size], expected.flatten(2).float())
        assert torch.equal(seen[..., size:-1], previous) and torch.equal(seen[..., -1:], reward)
        assert all(space.contains(row.numpy()) for row in seen[0])
        action = action * 0 + number % 2
        before, after = plain.step(action), more.step(action)
        # The last observation of an episode tells of the last action; the first of the next tells of none.
        expected, seen, ended = before.observation, after.observation, after.began.unsqueeze(-1)
        one_hot = torch.nn.functional.one_hot(action, actions).float() if actions > 1 else action
        told = torch.cat([one_hot, before.reward.unsqueeze(-1)], dim=-1)
        counts = after.valid.unsqueeze(-1)
        assert torch.equal(after.next_observation[..., size:] * counts, told * counts)
        previous, reward = (torch.where(ended, 0.0, part) for part in (one_hot, before.reward.unsqueeze(-1)))
        began += int(ended.sum())
    assert began >= 2


def test_the_way_through_the_maze() -> None:
    maze = TMaze(length=3)
    state = maze.initial(random.key(torch.arange(64)))
    south = state["south"]
    assert 16 < south.sum() < 48
    assert maze.observe(state).tolist() == [[1, 1, 0] if way else [0, 1, 1] for way in south.tolist()]

    def step(*action: int) -> tuple[list[float], bool]:
        nonlocal state
        chosen = torch.tensor(action).expand(64) if len(action) == 1 else torch.where(south, action[0], action[1])
        state, reward, terminated = maze.transition(state, chosen, torch.zeros(64, dtype=torch.int64))
        assert terminated.all() or not terminated.any()
        return sorted(set(np.round(reward.tolist(), 6))), bool(terminated.any())

    for action in (WEST, NORTH, SOUTH):
        assert step(action) == ([-0.1], False)
    assert step(EAST) == ([0.0], False)
    assert maze.observe(state).unique(dim=0).tolist() == [[1, 0, 1]]
    for action, reward in ((NORTH, -0.1), (EAST, 0.0), (WEST, -0.1), (EAST, 0.0), (EAST, 0.0), (EAST, -0.1)):
        assert step(action) == ([reward], False)
    assert maze.observe(state).unique(dim=0).tolist() == [[0, 1, 0]]
    before = state
    assert step(NORTH) == ([-0.1, 4.0], True)
    state = before
    assert step(NORTH, SOUTH) == ([-0.1], True)
    state = before
    assert step(SOUTH, NORTH) == ([4.0], True)


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("RepeatPrevious-v0", {"level": "eazy"}, "level must be easy, medium, hard, not 'eazy'"),
        ("TMaze-v0", {"length": 0}, "length must be at least 1, not 0"),
        ("NoisyPositionOnlyCartPole-v1", {"noise": -1.0}, "noise must be positive"),
        ("MinAtar-MaskedBreakout-v0", {"noise": 0.1}, "noise must be positive, and added to numbers other than bytes"),
        ("PositionOnlyCartPole-v1", {"gravty": 1}, "CartPole cannot be made with the options {'gravty': 1}"),
    ],
)
def test_options_that_cannot_be_are_named(env_id: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make_vec(f"rlsuite/{env_id}", num_envs=2, **options)
