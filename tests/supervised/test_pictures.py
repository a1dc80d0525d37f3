"""Experiments on MNIST and TREC at small size, networks that cannot see a turn, and sentences that are filled up."""

import dataclasses
import json

import pytest
import torch
from small_runs import check_small_run

from rlsuite.networks.symmetry import OverQuarterTurns
from rlsuite.networks.text import dcnn, k_max
from rlsuite.supervised import visualisation
from rlsuite.supervised.classification import Examples, Labelled
from rlsuite.supervised.data.files import at_hand
from rlsuite.supervised.data.images import MNIST, mnist
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments.mnist_rotated import quarter_turned
from rlsuite.supervised.registry import all_experiments, find


@pytest.fixture(scope="module")
def few_digits():
    """600 digits of MNIST to train on, 100 to validate and to test with."""
    if not all(map(at_hand, MNIST)):
        pytest.skip("MNIST is not at hand, and tests download nothing")
    data = mnist(find("mnist-lenet").config)
    parts = zip((data.train, data.validation, data.test), (600, 100, 100), strict=True)
    return Labelled(*(Examples(*(tensor[:count] for tensor in part)) for part, count in parts), data.classes)


@pytest.fixture
def quick(few_digits, monkeypatch):
    for experiment in all_experiments().values():
        if experiment.data == "MNIST":
            monkeypatch.setitem(experiment.__dict__, "load", lambda config: few_digits)
    monkeypatch.setattr(visualisation, "_STEPS", 3)
    monkeypatch.setattr(visualisation, "_EMBEDDED", 40)


@pytest.mark.parametrize("name", ["mnist-lenet", pytest.param("mnist-rotated", marks=pytest.mark.slow)])
def test_digits_are_learned_and_drawn(name, tmp_path, quick):
    folder = check_small_run(name, tmp_path, batch_size=60, decay="constant")
    for figure in ("filters", "preferred", "features", "confusion"):
        assert (folder / f"{figure}.png").exists()
    if name == "mnist-rotated":
        assert "six_nine_confused" in json.loads((folder / "evaluation.json").read_text())["values"]


@pytest.mark.parametrize("name", ["mnist-vgg", "mnist-resnet"])
def test_deeper_networks_learn_digits(name, few_digits):
    experiment, losses = find(name), []
    config = dataclasses.replace(experiment.config, batch_size=20, decay="constant", seeds=2)
    setting = Setting(config, few_digits, range(2), torch.device("cpu"))
    learner = experiment.make_learner(setting, 100)
    batch = experiment.make_source(setting).sample()
    for _ in range(4):
        losses.append(learner.update(batch)["loss/train"])
    assert (losses[-1] < losses[0]).all()
    for figure in experiment.evaluate(learner, setting, "test").values():
        assert figure.shape == (2,)


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_quarter_turns_change_nothing(reduce):
    torch.manual_seed(0)
    network = OverQuarterTurns(
        torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten()), reduce
    )
    pictures = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(network(torch.rot90(pictures, 1, (2, 3))), network(pictures))
    assert not torch.allclose(network.module(torch.rot90(pictures, 1, (2, 3))), network.module(pictures))
    with pytest.raises(ValueError, match="square"):
        network(torch.rand(1, 1, 8, 9))


def test_pictures_are_turned_by_their_number():
    picture = torch.arange(4.0).view(1, 1, 2, 2).expand(4, 1, 2, 2)
    assert [turned[0, 0, 0].item() for turned in quarter_turned(picture)] == [0.0, 1.0, 3.0, 2.0]


def test_k_max_keeps_the_largest_in_their_order():
    x = torch.tensor([[[3.0, 1.0, 4.0, 9.0, 9.0], [2.0, 7.0, 1.0, 8.0, 0.0]]])
    values, counts = k_max(x, torch.tensor([3]), torch.tensor([2]), 4)
    assert values.tolist() == [[[3.0, 4.0, 0.0, 0.0], [2.0, 7.0, 0.0, 0.0]]] and counts.tolist() == [2]


def test_filling_a_sentence_up_changes_nothing():
    torch.manual_seed(1)
    network = dcnn(20, 3, dimension=8, maps=(2, 2))
    sentence = torch.randint(1, 20, (1, 6))
    filled = torch.cat([sentence, torch.zeros(1, 9, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(network(filled), network(sentence))


def test_questions_are_learned(tmp_path):
    check_small_run("trec-dcnn", tmp_path, examples=200, batch_size=50, decay="constant")
