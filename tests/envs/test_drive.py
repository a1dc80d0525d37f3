"""The drive: its vehicle against plain geometry, its road, what is seen of it, and that it can be driven."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from envs.core import State, TorchVectorEnv
from envs.drive import (
    BENDS_AHEAD,
    CAR_LENGTH,
    HALF_WIDTH,
    MAX_CURVATURE,
    MAX_STEERING,
    STEP_SECONDS,
    VIEW_PIXELS,
    VIEW_RESOLUTION,
    Drive,
    DrivePixels,
    curvature,
)
from rlsuite import random

NO_KEY = torch.zeros(1, dtype=torch.int64)


def _on_a_road(bend: float, **values: float) -> State:
    """One car on a road of constant curvature, as good as: its only wave is at its crest."""
    state = {name: torch.zeros(1, dtype=torch.float64) for name in ("distance", "offset", "heading", "steering")}
    state["speed"] = torch.full((1,), 10.0, dtype=torch.float64)
    state["amplitudes"] = torch.tensor([[0.0, 0.0, bend]], dtype=torch.float64)
    state["phases"] = torch.tensor([[0.0, 0.0, math.pi / 2]], dtype=torch.float64)
    return state | {name: torch.full((1,), value, dtype=torch.float64) for name, value in values.items()}


def test_on_a_straight_road_the_car_is_a_kinematic_bicycle() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        offset, heading, speed, action = rng.uniform([-3, -1, 8, -1], [3, 1, 12, 1])
        state = _on_a_road(0.0, offset=offset, heading=heading, speed=speed)
        following, reward, terminated = Drive(torch.float64).transition(state, torch.tensor([[action]]), NO_KEY)
        # Modified bicycle: slip angle atan(tan(steering) / 2), turning about a rear axle half a length behind.
        slip = math.atan(math.tan(MAX_STEERING * action) / 2)
        moved = speed * STEP_SECONDS
        assert following["distance"].item() == pytest.approx(moved * math.cos(heading + slip), abs=1e-12)
        assert following["offset"].item() == pytest.approx(offset + moved * math.sin(heading + slip), abs=1e-12)
        turned = moved * math.sin(slip) / (CAR_LENGTH / 2)
        assert following["heading"].item() == pytest.approx(heading + turned, abs=1e-12)
        centred = max(0.0, 1 - (following["offset"].item() / HALF_WIDTH) ** 2)
        assert reward.item() == pytest.approx(math.cos(heading + slip) * centred, abs=1e-12)
        assert terminated.item() == (abs(following["offset"].item()) > HALF_WIDTH)


@pytest.mark.parametrize("bend", [0.02, -0.02])
def test_a_car_that_steers_as_the_road_bends_stays_where_it_is(bend: float) -> None:
    """In closed form: on a circle the car's middle moves along the tangent, so its axis points inward by the slip."""
    slip = math.asin(bend * CAR_LENGTH / 2)
    action = math.atan(2 * math.tan(slip)) / MAX_STEERING
    state = _on_a_road(bend, heading=-slip)
    following, reward, _ = Drive(torch.float64).transition(state, torch.tensor([[action]], dtype=torch.float64), NO_KEY)
    assert following["offset"].item() == pytest.approx(0.0, abs=1e-12)
    assert following["heading"].item() == pytest.approx(-slip, abs=1e-12)
    assert following["distance"].item() == pytest.approx(1.0, abs=1e-12)
    assert reward.item() == pytest.approx(1.0, abs=1e-12)


def test_the_inside_of_a_bend_is_shorter() -> None:
    progress = {}
    for offset in (-2.0, 2.0):
        state = _on_a_road(0.05, offset=offset)
        following, _, _ = Drive(torch.float64).transition(state, torch.zeros(1, 1), NO_KEY)
        progress[offset] = following["distance"].item()
    assert progress[2.0] == pytest.approx(1 / 0.9)
    assert progress[-2.0] == pytest.approx(1 / 1.1)


def test_roads_differ_and_bend_no_more_than_a_car_can() -> None:
    state = Drive().initial(random.key(torch.arange(500)))
    bends = curvature(state, torch.arange(0, 500, 2.0).expand(500, -1))
    assert 0.04 < bends.abs().max() <= MAX_CURVATURE
    assert len(bends[:, 0].unique()) == 500
    sharpest = math.sin(math.atan(math.tan(MAX_STEERING) / 2)) / (CAR_LENGTH / 2)
    assert sharpest > MAX_CURVATURE


def test_full_steering_is_clipped() -> None:
    state = _on_a_road(0.0)
    far, full = (Drive(torch.float64).transition(state, torch.tensor([[a]]), NO_KEY)[0] for a in (5.0, 1.0))
    assert torch.equal(far["heading"], full["heading"])


def test_a_plain_controller_drives_perfectly_and_no_steering_fails() -> None:
    def steer(state: State) -> Tensor:
        bend = curvature(state, state["distance"].unsqueeze(-1) + 3).squeeze(-1)
        sin_slip = bend * (CAR_LENGTH / 2) - 0.5 * state["heading"] - 0.12 * state["offset"]
        steering = torch.atan(2 * torch.tan(torch.asin(sin_slip.clamp(-0.26, 0.26))))
        return (steering / MAX_STEERING).unsqueeze(-1)

    returns = {}
    for name, policy in (("controller", steer), ("straight", lambda state: torch.zeros(8, 1))):
        env = TorchVectorEnv(Drive(), 8)
        env.reset(seed=0)
        ended = torch.zeros(8)
        returns[name] = torch.zeros(8)
        for _ in range(500):
            _, _, terminated, truncated, info = env.step(policy(env.state))
            first = (terminated | truncated) & (ended == 0)
            returns[name] = torch.where(first, info["rlsuite_episode"]["r"], returns[name])
            ended += first
    assert returns["controller"].min() > 480
    assert returns["straight"].max() < 150


def test_measurements_are_scaled_and_show_the_bends_ahead() -> None:
    env = TorchVectorEnv(Drive(), 64)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (64, 3 + BENDS_AHEAD)
    torch.testing.assert_close(observation[:, 0], env.state["offset"] / HALF_WIDTH)
    ahead = curvature(env.state, torch.full((64, 1), 12.0)).squeeze(-1)
    torch.testing.assert_close(observation[:, 5], ahead / MAX_CURVATURE)


@pytest.mark.parametrize(("offset", "heading"), [(0.0, 0.0), (1.5, 0.0), (-1.5, 0.2), (0.0, -0.4)])
def test_pixels_show_a_straight_road_where_it_is(offset: float, heading: float) -> None:
    picture = DrivePixels(torch.float64).observe(_on_a_road(0.0, offset=offset, heading=heading))
    assert picture.dtype == torch.uint8
    assert picture.shape == (1, 1, VIEW_PIXELS, VIEW_PIXELS)
    for row in range(VIEW_PIXELS):
        ahead = (VIEW_PIXELS - 1 - row - 3) * VIEW_RESOLUTION
        for column in range(0, VIEW_PIXELS, 5):
            left = ((VIEW_PIXELS - 1) / 2 - column) * VIEW_RESOLUTION
            beside = ahead * math.sin(heading) + left * math.cos(heading) + offset  # from the middle of the road
            value = picture[0, 0, row, column].item()
            if abs(beside) > HALF_WIDTH + VIEW_RESOLUTION:
                assert value == 0
            elif VIEW_RESOLUTION < abs(beside) < HALF_WIDTH - VIEW_RESOLUTION:
                assert value == 255


def test_pixels_show_a_bend_to_the_left_on_the_left() -> None:
    picture = DrivePixels(torch.float64).observe(_on_a_road(0.02))[0, 0].double()
    columns = torch.arange(VIEW_PIXELS, dtype=torch.float64)
    middle = (picture * columns).sum(1) / picture.sum(1)
    # After u metres along a circle of curvature c the road is (1 - cos(c u)) / c to the left.
    at = 8  # rows from the top: about 21 m ahead
    ahead = (VIEW_PIXELS - 1 - at - 3) * VIEW_RESOLUTION
    left = ((VIEW_PIXELS - 1) / 2 - middle[at].item()) * VIEW_RESOLUTION
    expected = (1 - math.sqrt(1 - (0.02 * ahead) ** 2)) / 0.02
    assert left == pytest.approx(expected, abs=VIEW_RESOLUTION)


def test_the_picture_for_people_moves_with_the_car() -> None:
    env = TorchVectorEnv(Drive(), 1, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()[0]
    env.step(torch.zeros(1, 1))
    after = env.render()[0]
    assert before.shape == (400, 400, 3)
    assert (before != after).any()
