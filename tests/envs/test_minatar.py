"""The MinAtar games against the published ones, step by step, with the same random numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from minatar_oracle import Answers, assert_plays_like_the_published_game
from torch import Tensor

from envs.core import State
from envs.minatar import board, slots
from envs.minatar.asterix import Asterix
from envs.minatar.breakout import Breakout
from envs.minatar.freeway import Freeway
from envs.minatar.seaquest import FIELDS, Seaquest
from envs.minatar.space_invaders import SpaceInvaders
from rlsuite import random

NOTHING, LEFT, UP, RIGHT, DOWN, FIRE = range(6)


def _only_sticky(key: Tensor, game: Any) -> Answers:
    return {"rand": [random.uniform(key, 1).item()], "randint": []}


def _follow_the_ball(game: Any) -> int:
    return LEFT if game.ball_x < game.pos else RIGHT if game.ball_x > game.pos else NOTHING


def test_breakout_plays_like_the_published_game() -> None:
    assert_plays_like_the_published_game(
        "breakout",
        Breakout(),
        lambda key: {"rand": [], "randint": [random.integers(key, 2, 1).item()]},
        _only_sticky,
        policy=_follow_the_ball,
    )


def test_the_wall_of_breakout_comes_back() -> None:
    breakout = Breakout(sticky_action_probability=0.0)
    state = breakout.initial(random.key(torch.arange(1)))
    one_brick = {"ball_x": 4, "ball_y": 8, "velocity_x": 1, "velocity_y": 1, "paddle": 4, "bricks": 0}
    state |= {name: torch.tensor([value], dtype=torch.int32) for name, value in one_brick.items()}
    following, _, terminated = breakout.transition(state, torch.tensor([NOTHING]), torch.zeros(1, dtype=torch.int64))
    assert not terminated.item()
    assert breakout.observe(following)[0, 3].bool().sum() == 30


def _car_answers(draws: Tensor) -> Answers:
    values = draws.squeeze(0).numpy()
    return {"rand": [values[8:16]], "randint": [np.floor(values[:8] * 5).astype(int) + 1]}


def _freeway_step(key: Tensor, game: Any) -> Answers:
    draws = random.uniform(key, 17)
    cars = _car_answers(draws[:, 1:])
    return {"rand": [draws[0, 0].item(), *cars["rand"]], "randint": cars["randint"]}


def _late(game: Any, state: State) -> None:
    """Little time is left, so that episodes end by its limit."""
    game.terminate_timer = 300
    state["time_left"].fill_(300)


def test_freeway_plays_like_the_published_game() -> None:
    assert_plays_like_the_published_game(
        "freeway",
        Freeway(),
        lambda key: _car_answers(random.uniform(key, 16)),
        _freeway_step,
        action_weights=[1, 1, 8, 1, 1, 1],
        arrange=_late,
    )


def _asterix_step(key: Tensor, game: Any) -> Answers:
    sticks, direction, gold, row = random.uniform(key, 4).squeeze(0).tolist()
    empty = sum(entity is None for entity in game.entities)
    return {"rand": [sticks, direction, gold], "randint": [int(np.float32(row) * np.float32(empty))]}


def _flee(game: Any) -> int:
    """Stand where no enemy of this or a neighbouring row is near."""
    danger = [entity for entity in game.entities if entity is not None and not entity[3] and entity[1] == game.player_y]
    return (UP if game.player_y > 4 else DOWN) if danger else NOTHING


def test_asterix_plays_like_the_published_game() -> None:
    assert_plays_like_the_published_game(
        "asterix", Asterix(), lambda key: {"rand": [], "randint": []}, _asterix_step, policy=_flee
    )


def test_asterix_ramps_only_if_asked() -> None:
    intervals = {}
    for ramping in (True, False):
        game, keys = Asterix(ramping=ramping), random.key(torch.arange(1))
        state = game.initial(keys)
        for _ in range(700):
            state, _, _ = game.transition(state, torch.zeros(1), keys)
        intervals[ramping] = (state["spawn_interval"].item(), state["move_interval"].item())
    assert intervals == {True: (4, 2), False: (10, 5)}


def _shoot(game: Any) -> int:
    """Stand under the nearest aliens, out of the way of bullets, and fire."""
    danger = game.e_bullet_map[5:].any(axis=0)
    columns = np.flatnonzero(game.alien_map.any(axis=0))
    aim = columns[np.abs(columns - game.pos).argmin()] - game.pos
    if danger[game.pos]:
        return RIGHT if game.pos < 9 and not danger[game.pos + 1] and (aim >= 0 or game.pos == 0) else LEFT
    if aim and not danger[game.pos + np.sign(aim)]:
        return RIGHT if aim > 0 else LEFT
    return FIRE


def _few_aliens(game: Any, state: State) -> None:
    """Three aliens are left, so that waves are cleared and the next ones come."""
    game.alien_map[:3] = game.alien_map[:, :5] = 0
    aliens = board.from_flags(torch.from_numpy(game.alien_map).bool())
    for name, half in board.entries("aliens", aliens).items():
        state[name].copy_(half)


@pytest.mark.parametrize("arrange", [None, _few_aliens])
def test_space_invaders_plays_like_the_published_game(arrange: Callable[[Any, State], None] | None) -> None:
    assert_plays_like_the_published_game(
        "space_invaders",
        SpaceInvaders(),
        lambda key: {"rand": [], "randint": []},
        _only_sticky,
        steps=500,
        policy=_shoot,
        arrange=arrange,
    )


def test_the_invasion_succeeds_when_aliens_in_the_lowest_row_turn() -> None:
    game = SpaceInvaders(sticky_action_probability=0.0)
    state = game.initial(random.key(torch.arange(2)))
    aliens = torch.zeros(2, 10, 10, dtype=torch.bool)
    aliens[0, 9, 0] = aliens[1, 8, 0] = True
    state |= board.entries("aliens", board.from_flags(aliens))
    state["alien_move_timer"] = torch.zeros_like(state["cannon"])
    _, _, terminated = game.transition(state, torch.full((2,), NOTHING), torch.zeros(2, dtype=torch.int64))
    assert terminated.tolist() == [True, False]


def _seaquest_step(key: Tensor, game: Any) -> Answers:
    sticks, *draws = random.uniform(key, 6).squeeze(0).numpy()
    enemy, diver = game.e_spawn_timer == 0, game.d_spawn_timer == 0
    rows = [int(draws[2] * 8) + 1] * enemy + [int(draws[4] * 8) + 1] * diver
    return {"rand": [sticks, *draws[:2]] if enemy else [sticks], "randint": rows} | (
        {"rand": [sticks, *(draws[:2] if enemy else []), draws[3]]} if diver else {}
    )


def _dive(game: Any) -> int:
    """Shoot what is in this row, fetch divers, and surface in time."""
    if game.sub_y > 0 and game.diver_count > 0 and (game.oxygen < 40 or game.diver_count == 6):
        return UP
    enemies = [enemy for enemy in game.e_fish + game.e_subs if enemy[1] == game.sub_y]
    if enemies:
        faced = (enemies[0][0] > game.sub_x) == game.sub_or
        return FIRE if faced else RIGHT if enemies[0][0] > game.sub_x else LEFT
    for diver in game.divers:
        if diver[1] != game.sub_y:
            return DOWN if diver[1] > game.sub_y else UP if game.sub_y > 1 else NOTHING
        return RIGHT if diver[0] > game.sub_x else LEFT
    return DOWN if game.sub_y < 2 else NOTHING


def _late_game(game: Any, state: State) -> None:
    """Six divers on board, and enemies as fast and many as they come."""
    game.diver_count, game.move_speed, game.e_spawn_speed, game.e_spawn_timer = 6, 2, 1, 1
    for name, value in (("on_board", 6), ("move_interval", 2), ("spawn_interval", 1), ("spawn_timer", 1)):
        state[name].fill_(value)


@pytest.mark.parametrize("arrange", [None, _late_game])
def test_seaquest_plays_like_the_published_game(arrange: Callable[[Any, State], None] | None) -> None:
    assert_plays_like_the_published_game(
        "seaquest",
        Seaquest(),
        lambda key: {"rand": [], "randint": []},
        _seaquest_step,
        steps=350,
        action_weights=[1, 2, 1, 2, 3, 3],
        policy=_dive,
        arrange=arrange,
    )


def _put(state: State, kind: str, slot: int, **values: int) -> None:
    """A thing in a slot that is empty."""
    things = slots.group(state, kind, FIELDS[kind])
    for name, value in values.items():
        things[name] = tuple(plane | (value >> bit & 1) << slot for bit, plane in enumerate(things[name]))
    state[kind] = slots.ungroup(things)


def test_of_two_fish_that_swim_into_a_torpedo_the_newest_is_hit() -> None:
    game = Seaquest(sticky_action_probability=0.0)
    state = game.initial(random.key(torch.arange(1)))
    for slot in (0, 3):
        _put(state, "fish", slot, x=2, y=5, right=1, there=1)
    _put(state, "torpedo", 1, x=4, y=5, there=1)
    following, reward, _ = game.transition(state, torch.tensor([NOTHING]), torch.zeros(1, dtype=torch.int64))
    assert reward.item() == 1
    fish, torpedoes = (slots.group(following, kind, FIELDS[kind]) for kind in ("fish", "torpedo"))
    assert fish["there"][0].item() == 1 << 3
    assert torpedoes["there"][0].item() == 0


@pytest.mark.parametrize("game", [Breakout(0.5), Freeway(0.5), Asterix(0.5), SpaceInvaders(0.5), Seaquest(0.5)])
def test_actions_stick_as_often_as_asked(game: Breakout | Freeway | Asterix | SpaceInvaders | Seaquest) -> None:
    keys = random.key(torch.arange(4000))
    state = game.initial(keys)
    following, _, _ = game.transition(state, torch.full((4000,), UP), keys)
    share = (following["last_action"] == NOTHING).float().mean()
    assert share == pytest.approx(0.5, abs=0.04)
