"""The two phases of training, their falls, and their resumption."""

import copy
import dataclasses
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import registry
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.levenberg_marquardt import LevenbergMarquardt
from rlsuite.deqn.path import EconomyPath, PathBatch
from rlsuite.deqn.solver import EquilibriumNet

TINY = SolverConfig(
    hidden=(8,), tracks=32, adam_updates=20, polish_updates=6, polish_states=128, polish_refresh_updates=3
)
SLOW_MODELS = ("irbc", "krusell-smith-household", "olg-benchmark")  # olg-6 is the last with fewer ages


def build(name: str, seeds: list[int], config: SolverConfig = TINY) -> tuple[EquilibriumNet, EconomyPath]:
    model = registry.build(name)
    learner = EquilibriumNet(model, config, seeds)
    return learner, EconomyPath(model, learner.policy, config, seeds)


def train(learner: EquilibriumNet, source: EconomyPath, updates: int) -> list[dict[str, Tensor]]:
    history = []
    for _ in range(updates):
        assert source.updates_due == 1
        source.collect()
        history.append(learner.update(source.sample()))
    return history


# One state of Krusell and Smith's holds a whole distribution: it has a smaller test of its own.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW_MODELS))
        for name in registry.names()
        if name != "krusell-smith"
    ],
)
def test_both_phases_lower_the_loss_of_every_model(name: str) -> None:
    config = dataclasses.replace(TINY, adam_updates=30, polish_states=192, adam_learning_rate=5e-3)
    learner, source = build(name, [0], config)
    key = random.key(torch.tensor([1]), 0)
    start = learner.model.initial_state(key, 300)
    untrained = learner.parameters.clone()
    train(learner, source, 30)
    descended = learner.parameters.clone()
    history = train(learner, source, 12)
    unseen = source.sample().held_out
    assert unseen is not None
    loss = learner.marquardt.loss
    assert loss(descended, start).item() < 0.9 * loss(untrained, start).item()
    assert loss(learner.solution, unseen).item() < 0.7 * loss(descended, unseen).item()
    assert history[-1]["solver/failures"].item() == 0


def test_brock_mirman_is_solved_to_four_digits_by_the_second_phase() -> None:
    config = SolverConfig(
        hidden=(12, 12), adam_updates=150, polish_updates=40, polish_states=512, polish_box_share=0.15
    )
    learner, source = build("brock-mirman", [3], config)
    history = train(learner, source, 190)
    first_phase = history[149]["loss/euler"].sqrt().item()
    assert history[-1]["loss/held_out"].sqrt().item() < min(1e-4, 0.01 * first_phase)
    state = learner.model.initial_state(torch.tensor(5), 200)
    rate = learner.network.policy_of_one(learner.solution[0])(state)["savings_rate"]
    assert (rate / 0.3564 - 1).abs().mean() < 1e-4


def test_each_seed_of_a_population_is_what_it_would_be_alone() -> None:
    both = build("growth", [4, 5])
    alone = build("growth", [5])
    train(*both, 26)
    train(*alone, 26)
    torch.testing.assert_close(both[1].state[1], alone[1].state[0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(both[0].solution[1], alone[0].solution[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "stop", [pytest.param(7, marks=pytest.mark.slow), 20, pytest.param(22, marks=pytest.mark.slow)]
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(stop: int) -> None:
    straight = build("olg-6", [1])
    train(*straight, 26)
    first = build("olg-6", [1])
    train(*first, stop)
    saved = [copy.deepcopy(part.state_dict()) for part in first]
    second = build("olg-6", [1])
    for part, state in zip(second, saved, strict=True):
        part.load_state_dict(state)
    train(*second, 26 - stop)
    assert torch.equal(second[0].solution, straight[0].solution)
    assert torch.equal(second[1].state, straight[1].state)
    assert second[1].env_steps == straight[1].env_steps == second[1].periods * TINY.tracks


def test_early_batches_hold_box_states_and_late_ones_do_not() -> None:
    learner, source = build("growth", [0])
    source.collect()
    first = source.sample().state
    assert not torch.equal(first, source.state)
    assert torch.equal(first[:, 16:], source.state[:, 16:])
    train(learner, source, 15)
    assert torch.equal(source.sample().state, source.state)


def test_second_phase_fits_one_cloud_and_judges_by_another() -> None:
    learner, source = build("growth", [0])
    train(learner, source, 20)
    clouds = []
    for _ in range(4):
        source.collect()
        clouds.append(source.sample())
    assert torch.equal(clouds[0].state, clouds[2].state)
    assert not torch.equal(clouds[2].state, clouds[3].state)
    for cloud in clouds:
        assert cloud.held_out is not None
        assert cloud.state.shape == cloud.held_out.shape == (1, 128, 2)
        assert not torch.equal(cloud.state, cloud.held_out)


def test_residuals_that_are_not_finite_bring_back_the_last_good_parameters(caplog: pytest.LogCaptureFixture) -> None:
    learner, source = build("growth", [0, 1])
    train(learner, source, 5)
    good = learner.parameters.clone()
    rate = learner.adam.learning_rate.clone()
    state = source.state.clone()
    learner.update(PathBatch(state))
    state[1, 3] = float("nan")
    with caplog.at_level(logging.WARNING, "rlsuite"):
        metrics = learner.update(PathBatch(state))
    assert "seeds [1] are not finite at update 7" in caplog.text
    assert learner.failures.tolist() == [0, 1]
    assert torch.equal(learner.solution[1], good[1])
    assert learner.adam.learning_rate.tolist() == [rate[0].item(), rate[1].item() / 2]
    assert learner.parameters.isfinite().all()
    assert all(value.isfinite().all() for value in metrics.values())
    state = source.state.clone()
    state[0, 0] = float("inf")
    before = learner.parameters.clone()
    metrics = learner.update(PathBatch(state, source.state))
    assert torch.equal(learner.parameters[0], before[0])
    assert metrics["solver/failures"].tolist() == [1, 1]


def test_a_lost_path_is_named_counted_and_started_anew(caplog: pytest.LogCaptureFixture) -> None:
    learner, source = build("growth", [7])
    source.state[0, 11] = torch.tensor([float("inf"), 0.5])
    with caplog.at_level(logging.WARNING, "rlsuite"):
        source.collect()
    assert "seed 7, period 1: ln_capital = inf, productivity = 0.5" in caplog.text
    assert source.statistics()["path/restarts"].tolist() == [1]
    assert source.state.isfinite().all()
    learner.update(source.sample())


def test_levenberg_marquardt_fits_a_curve_to_the_last_digit() -> None:
    true = torch.tensor([[1.5, -0.7, 0.3], [0.5, 0.2, -1.0]], dtype=torch.float64)
    inputs = torch.linspace(-1, 1, 40, dtype=torch.float64).view(1, 40, 1).expand(2, 40, 1)

    def curve(parameters: Tensor, x: Tensor) -> Tensor:
        a, b, c = parameters.unbind(-1)
        return a * torch.exp(b * x) + c

    data = curve(true.unsqueeze(1), inputs[..., 0])
    states = torch.cat([inputs, data.unsqueeze(-1)], dim=-1)
    method = LevenbergMarquardt(
        lambda p, s: (curve(p, s[0]) - s[1]).unsqueeze(0),
        lambda p, s: (curve(p.unsqueeze(1), s[..., 0]) - s[..., 1]).unsqueeze(-1),
        seeds=2,
        damping=1e-3,
    )
    parameters = torch.tensor([[1.0, -0.3, 0.0], [1.0, 0.5, 0.0]], dtype=torch.float64)
    for _ in range(30):
        before = method.loss(parameters, states)
        parameters, loss = method.step(parameters, states)
        torch.testing.assert_close(loss, before)
        assert (method.loss(parameters, states) <= before).all()
    torch.testing.assert_close(parameters, true, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracks": 0}, "--tracks must be at least 1"),
        ({"adam_updates": -1}, "--adam-updates must be at least 0"),
        ({"box_share": 1.5}, "--box-share must be at least 0 and at most 1"),
        ({"hidden": ()}, "--hidden needs at least one number"),
    ],
)
def test_impossible_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SolverConfig(**change)


def test_tuned_settings_belong_to_the_model_and_are_inherited(tmp_path: Path) -> None:
    for name in registry.names():
        for calibration in registry.find(name).calibrations:
            registry.tuned(name, calibration)
    path = tmp_path / "mine.py"
    path.write_text("from rlsuite.deqn.models.growth import Growth\n\n\nclass Mine(Growth):\n    pass\n")
    assert registry.tuned(str(path)) == registry.tuned("growth") != SolverConfig()
    assert registry.tuned("irbc", parameters={"substitution": (0.5,) * 10}) == registry.tuned("irbc", "countries-10")
