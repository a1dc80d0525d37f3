"""Economies as environments: the model's own step and utility behind Gymnasium's door."""

import math

import gymnasium
import numpy as np
import pytest
import torch

import envs  # noqa: F401  registers rlsuite/*
from envs.economy import BrockMirman, ConsumptionSaving, Economy, IrreversibleInvestment, KrusellSmith, StochasticGrowth
from rlsuite import random
from rlsuite.deqn.preferences import utility

ALL = (BrockMirman, StochasticGrowth, IrreversibleInvestment, ConsumptionSaving, KrusellSmith)
KEY = random.key(torch.arange(6))


@pytest.mark.parametrize("kind", ALL)
def test_a_transition_is_the_models_own(kind: type[Economy]) -> None:
    economy = kind()
    model = economy.model
    columns = economy.initial(KEY)["columns"]
    share = torch.linspace(0.1, 0.6, 6)
    following, reward, terminated = economy.transition({"columns": columns}, share.unsqueeze(1), KEY)
    policy = model.save(share.double(), columns)
    expected = model.step(columns, policy, model.shocks.draw(columns, KEY))
    torch.testing.assert_close(following["columns"], expected, rtol=0, atol=0)
    assert model.feasible(columns, policy).all()
    assert not terminated.any()
    # Affine in utility, so that whoever is best by the one is best by the other.
    scale = reward.diff() / model.reward(columns, policy).diff()
    torch.testing.assert_close(scale, scale[:1].expand(5), rtol=1e-6, atol=0)
    assert scale[0] > 0
    torch.testing.assert_close(economy.observe({"columns": columns}), model.features(columns).float())


@pytest.mark.parametrize("kind", ALL)
def test_rewards_count_usual_consumption_as_nothing(kind: type[Economy]) -> None:
    economy = kind()
    usual, gamma = economy.model.usual_consumption, economy.model.risk_aversion
    more, less = (
        utility(torch.tensor(factor * usual).double(), gamma).item() - economy._usual_utility
        for factor in (1.001, 0.999)
    )
    assert economy._scale * (more - less) == pytest.approx(0.002, rel=1e-3)
    assert economy._scale * (more + less) == pytest.approx(0, abs=1e-5)


def test_saving_the_best_share_earns_the_most() -> None:
    env = gymnasium.make_vec("rlsuite/BrockMirman-v0", num_envs=64)

    def discounted_return(share: float) -> float:
        env.reset(seed=5)  # common random numbers: with log utility the noise then cancels exactly
        action = np.full((64, 1), share, np.float32)
        return sum(0.99**t * env.step(action)[1].mean().item() for t in range(150))

    best = discounted_return(0.3564)
    for share in (0.33, 0.35, 0.363, 0.38):
        assert discounted_return(share) < best


def test_actions_beyond_the_bounds_are_clipped_and_floors_hold() -> None:
    economy = BrockMirman()
    state = economy.initial(KEY)
    for action, bound in ((-3.0, 0.001), (7.0, 0.999)):
        found, reward, _ = economy.transition(state, torch.full((6, 1), action), KEY)
        wanted, _, _ = economy.transition(state, torch.full((6, 1), bound, dtype=torch.float64), KEY)
        assert reward.isfinite().all()
        torch.testing.assert_close(found, wanted)
    irreversible = IrreversibleInvestment()
    state = irreversible.initial(KEY)
    found, _, _ = irreversible.transition(state, torch.zeros(6, 1), KEY)
    own = irreversible.model.calibration
    invested = torch.exp(found["columns"][:, 0]) - (1 - own.depreciation) * torch.exp(state["columns"][:, 0])
    torch.testing.assert_close(invested, torch.full_like(invested, own.least_investment))


def test_calibrations_are_options_of_the_environment() -> None:
    averse = gymnasium.make_vec("rlsuite/StochasticGrowth-v0", num_envs=2, calibration="crra-5").unwrapped
    assert averse.dynamics.model.risk_aversion == 5
    with pytest.raises(ValueError, match="did you mean 'crra-5'"):
        gymnasium.make_vec("rlsuite/StochasticGrowth-v0", num_envs=2, calibration="crra5")


def test_lives_are_cut_and_never_end() -> None:
    env = gymnasium.make_vec("rlsuite/ConsumptionSaving-v0", num_envs=3)
    env.reset(seed=0)
    for _ in range(200):
        _, reward, terminated, truncated, _ = env.step(np.full((3, 1), 0.2, np.float32))
        assert not terminated.any()
        assert all(math.isfinite(r) for r in reward.tolist())
    assert truncated.all()
