"""Autoencoders at small size: the linear one is PCA, layers are trained one by one, and the bound holds."""

import dataclasses
import json
import math

import pytest
import torch
from small_runs import check_small_run, learned

from rlsuite import random
from rlsuite.supervised.classification import Examples, Labelled
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments import autoencoder, vae
from rlsuite.supervised.experiments.autoencoder import angles, principal_components
from rlsuite.supervised.experiments.vae import Batch, bound
from rlsuite.supervised.registry import find

_SIDE = 6


def blobs(config):
    """Pictures of a spot that moves along a line, with a little noise: ten classes by place."""
    keys = random.key(torch.arange(3), 7)
    places = torch.arange(float(_SIDE))

    def part(key, count):
        at = random.uniform(key, count) * _SIDE
        column = (-0.5 * (places - at.unsqueeze(1)).square()).exp()
        row = (-0.5 * (places - (_SIDE - at).unsqueeze(1)).square()).exp()
        pictures = 0.9 * row.unsqueeze(2) * column.unsqueeze(1)
        noise = 0.1 * random.uniform(random.fold(key, 1), count, _SIDE, _SIDE)
        return Examples((pictures + noise).unsqueeze(1), (10.0 * at / _SIDE).long())

    return Labelled(*(part(key, count) for key, count in zip(keys, (200, 50, 50), strict=True)), tuple("0123456789"))


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    for module in (autoencoder, vae):
        monkeypatch.setattr(module, "mnist", blobs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("autoencoder-linear", {"code": 2}),
        ("autoencoder-deep", {"hidden": (16,)}),
        ("autoencoder-layers", {"hidden": (16,), "layer_epochs": 2, "epochs": 10}),
        ("vae", {"hidden": (16,), "code": 3}),
    ],
)
def test_codes_are_learned_and_drawn(name, options, tmp_path):
    folder = check_small_run(name, tmp_path, **{"epochs": 5, "batch_size": 50, "seeds": 2} | options)
    assert (folder / "reconstructions.png").exists()
    if name != "vae":
        assert {"codes.png", "new.png", "reconstructions_5.png"} <= {path.name for path in folder.glob("*.png")}
        facts = json.loads((folder / "evaluation.json").read_text())
        for error, ratio in zip(facts["values"]["mse"], facts["values"]["ratio_to_pca"], strict=True):
            assert error == pytest.approx(facts["pca_mse"] * ratio)


def test_a_linear_autoencoder_finds_the_principal_components():
    found = learned("autoencoder-linear", 1_000, code=2, batch_size=50, learning_rate=0.02)
    assert 0.999 < found["ratio_to_pca"][0] < 1.01


def test_the_principal_components_are_those_of_a_singular_value_decomposition():
    pictures = blobs(None).train.inputs.flatten(1)
    components = principal_components(pictures)
    centred = pictures - pictures.mean(dim=0)
    *_, directions = torch.linalg.svd(centred, full_matrices=False)
    expected = (centred - centred @ directions[:3].mT @ directions[:3]).square().mean()
    assert components.error(pictures, 3) == pytest.approx(float(expected), rel=1e-4)


def test_the_angle_to_the_components_is_that_by_which_a_decoder_was_turned():
    config = dataclasses.replace(find("autoencoder-linear").config, code=1)
    setting = Setting(config, autoencoder.load(config), range(1), torch.device("cpu"))
    learner, components = autoencoder.make_learner(setting, 1), setting.data.components
    weight = learner.network.named(learner.network.parameters)["decoder.0.0.weight"]
    turned = math.radians(30.0)
    weight[0, :, 0] = 3.0 * (math.cos(turned) * components.vectors[:, 0] + math.sin(turned) * components.vectors[:, 1])
    assert angles(learner, components, 1).tolist() == pytest.approx([30.0], abs=0.01)


def test_layers_are_trained_one_after_the_other():
    config = dataclasses.replace(find("autoencoder-layers").config, hidden=(8,), layer_epochs=1, epochs=3)
    config = dataclasses.replace(config, batch_size=100)
    setting = Setting(config, autoencoder.load(config), range(2), torch.device("cpu"))
    source = autoencoder.make_source(setting)
    learner = autoencoder.make_learner(setting, 3 * source.an_epoch)

    def changed():
        before = {name: own.clone() for name, own in learner.network.named(learner.network.parameters).items()}
        learner.update(source.sample())
        after = learner.network.named(learner.network.parameters)
        return {name[:9] for name, own in before.items() if not torch.equal(own, after[name])}

    outer, inner = {"encoder.0", "decoder.1"}, {"encoder.1", "decoder.0"}
    assert changed() == outer
    learner.update(source.sample())
    assert inner <= changed()
    assert changed() == outer | inner


def test_the_bound_is_below_the_likelihood():
    """With one pixel and a code of one number the likelihood can be integrated."""
    torch.manual_seed(0)
    config = dataclasses.replace(find("vae").config, code=1, hidden=(4,))
    network = vae.vae(1, config)
    picture = torch.ones(1, 20_000, 1)

    def one(x, part):
        return network.get_submodule(part)(x)

    with torch.no_grad():
        codes = torch.linspace(-8.0, 8.0, 4_001).unsqueeze(1)
        density = (-0.5 * codes.square()).exp() / math.sqrt(2.0 * math.pi)
        likelihood = torch.trapezoid((network.decoder(codes).sigmoid() * density).squeeze(), codes.squeeze())
        noise = random.normal(random.key(torch.tensor([0])), 20_000, 1)
        negative_bound = sum(part.mean() for part in bound(one, Batch(picture, noise)))
    gap = float(negative_bound + likelihood.log())
    assert 0.0 < gap < 0.5
