"""Adversarial networks on price paths: two optimisers, slopes at most one, and the law that judges."""

import dataclasses

import numpy as np
import pytest
import torch
from small_runs import check_small_run, small

from rlsuite import random
from rlsuite.networks.population import Population
from rlsuite.networks.spectral import SpectralConv1d, SpectralLinear, normalised
from rlsuite.supervised import run
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments import price_paths
from rlsuite.supervised.experiments.price_paths import Law
from rlsuite.supervised.registry import find
from rlsuite.training.checkpoint import load
from rlsuite.training.worker import TrainingError

_TINY = {"units": 16, "steps": 8, "batch_size": 16, "updates": 12}


@pytest.fixture(autouse=True)
def few_paths(monkeypatch):
    monkeypatch.setattr(price_paths, "_EVALUATED", 200)


def made(config, seeds):
    """A source and a learner of some seeds."""
    setting = Setting(dataclasses.replace(config, seeds=len(seeds)), Law(config), seeds, torch.device("cpu"))
    return price_paths.make_source(setting), price_paths.make_learner(setting, 100)


@pytest.mark.parametrize("name", ["paths-dense", "paths-recurrent", "paths-dcgan"])
def test_paths_are_learned_and_drawn(name, tmp_path):
    options = _TINY | {"loss": "original", "slope": "free", "generator_rate": 5e-4}  # whose loss falls at once
    folder = check_small_run(name, tmp_path, seeds=2, **options)
    assert (folder / "paths.png").exists()


@pytest.mark.parametrize("generator", ["dense", "recurrent", "dcgan"])
@pytest.mark.parametrize("slope", ["clipping", "penalty", "spectral"])
def test_a_seed_among_others_is_trained_as_it_would_be_alone(generator, slope):
    config = dataclasses.replace(
        find("paths-dense").config,
        generator=generator,
        slope=slope,
        loss="wasserstein",
        discriminator="convolutional" if generator == "dcgan" else "dense",
        **_TINY,
    )
    (source, together), (own_source, alone) = made(config, range(2)), made(config, range(1, 2))
    for _ in range(3):
        metrics, own = together.update(source.sample()), alone.update(own_source.sample())
    for name, values in metrics.items():
        torch.testing.assert_close(values[1:], own[name], msg=name)
    assert torch.isfinite(torch.stack([*metrics.values()])).all()


def test_each_network_takes_one_step_against_the_other():
    source, learner = made(dataclasses.replace(find("paths-dense").config, **_TINY), range(1))
    before = learner.generator.parameters.clone(), learner.discriminator.parameters.clone()
    learner.update(source.sample())
    assert [int(optimiser.updates[0]) for optimiser in learner.optimisers] == [1, 1]
    assert not torch.equal(before[0], learner.generator.parameters)
    assert not torch.equal(before[1], learner.discriminator.parameters)


def test_clipping_bounds_the_parameters_of_the_discriminator_only():
    config = dataclasses.replace(find("paths-dense").config, loss="wasserstein", slope="clipping", clip=0.02, **_TINY)
    source, learner = made(config, range(1))
    learner.update(source.sample())
    assert float(learner.discriminator.parameters.abs().max()) <= 0.02 < float(learner.generator.parameters.abs().max())


def test_a_penalty_pulls_the_slope_to_one():
    config = dataclasses.replace(find("paths-dense").config, loss="wasserstein", slope="penalty", **_TINY)
    source, learner = made(dataclasses.replace(config, discriminator_rate=5e-3), range(1))
    for _ in range(150):
        learner.update(source.sample())
    real = source.sample().real.requires_grad_()
    (slopes,) = torch.autograd.grad(learner.discriminator(real).sum(), real)
    assert 0.6 < float(slopes.norm(dim=2).mean()) < 1.4


def test_spectral_layers_have_the_slope_of_torchs():
    torch.manual_seed(0)
    plain = torch.nn.Linear(6, 5)
    own = SpectralLinear(6, 5)
    own.load_state_dict(plain.state_dict())
    theirs = torch.nn.utils.parametrizations.spectral_norm(plain, n_power_iterations=200)
    assert float(torch.linalg.matrix_norm(normalised(own.weight.detach()), 2)) == pytest.approx(1.0, abs=1e-5)
    x = torch.randn(3, 6)
    torch.testing.assert_close(own(x), theirs(x), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(own(x).square().sum(), own.weight)
    (expected,) = torch.autograd.grad(theirs(x).square().sum(), theirs.parametrizations.weight.original)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [lambda: SpectralLinear(8, 4), lambda: SpectralConv1d(8, 4, 3)])
def test_spectral_layers_of_several_seeds_are_those_of_each(make):
    population = Population(make, range(2))
    x = torch.randn(2, 3, 8) if isinstance(population.module, SpectralLinear) else torch.randn(2, 3, 8, 5)
    for row in range(2):
        torch.testing.assert_close(population(x)[row], population.single(row)(x[row]))


def test_real_paths_pass_and_wrong_ones_do_not():
    law = Law(find("paths-dense").config)
    moves = law.moves(random.key(torch.tensor(3)), 4_000).numpy()
    assert law.judge(moves)["worst"] < 1.0
    for wrong, name in (
        (moves + 0.02, "mean"),
        (1.5 * moves, "variance"),
        (moves + np.roll(moves, 1, axis=1), "autocorrelation"),
        (np.sign(moves) * moves.std(), "kolmogorov_smirnov"),
    ):
        judged = law.judge(wrong)
        assert judged["worst"] > 1.0 and judged[name] > price_paths._TOLERATED[name], name


@pytest.mark.parametrize("sees", ["moves", "path"])
def test_what_networks_see_is_turned_back_into_moves(sees):
    law = Law(dataclasses.replace(find("paths-dense").config, sees=sees))
    moves = law.moves(random.key(torch.tensor([5])), 3)
    torch.testing.assert_close(law.moves_of(law.seen(moves)), moves, rtol=1e-4, atol=1e-6)


def test_training_that_diverges_says_so_and_keeps_the_last_good_state(tmp_path):
    options = _TINY | {"epochs": 60, "updates": 1, "loss": "wasserstein", "generator_rate": 1000.0}
    with pytest.raises(TrainingError, match=r"training has diverged: .* at update \d+ \("):
        run.train("paths-dense", small("paths-dense", tmp_path, "run", discriminator_rate=1000.0, **options))
    for name in ("last", "best"):
        kept = load(tmp_path / "run" / "checkpoint" / name)["learner"]
        for network in ("generator", "discriminator"):
            assert torch.isfinite(kept[network]["parameters"]).all()


def test_a_number_of_steps_that_does_not_double_is_refused():
    with pytest.raises(ValueError, match="--steps must be a multiple of 8, not 12"):
        Law(dataclasses.replace(find("paths-dense").config, steps=12))
