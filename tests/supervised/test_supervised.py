import json

import pytest
import torch

from rlsuite.supervised.classification import Classifier, Minibatches
from rlsuite.supervised.data import digits, folders, mnist
from rlsuite.supervised.experiments import EXPERIMENTS
from rlsuite.supervised.run import train
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.checkpoint import CheckpointError


def test_every_epoch_goes_once_through_the_data_in_orders_of_its_own():
    source = Minibatches(torch.arange(10.0), torch.arange(10), 5, [0, 1])
    epochs = [[source.sample().labels for _ in range(2)] for _ in range(2)]
    orders = [torch.cat(batches, dim=1) for batches in epochs]
    for order in orders:
        assert torch.equal(order.sort(dim=1).values, torch.arange(10).expand(2, 10))
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0][0], orders[0][1])
    alone = Minibatches(torch.arange(10.0), torch.arange(10), 5, [1])
    assert torch.equal(alone.sample().labels[0], epochs[0][0][1])


def test_minibatches_go_on_in_the_middle_of_an_epoch():
    straight = Minibatches(torch.arange(12.0), torch.arange(12), 4, [3])
    expected = [straight.sample().labels for _ in range(8)]
    first = Minibatches(torch.arange(12.0), torch.arange(12), 4, [3])
    for _ in range(4):
        first.sample()
    second = Minibatches(torch.arange(12.0), torch.arange(12), 4, [3])
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(second.sample().labels, labels) for labels in expected[4:])


def test_accuracy_is_the_share_of_hits():
    classifier = Classifier(lambda: torch.nn.Linear(2, 2), [0])
    weight, bias = classifier.network.named(classifier.network.parameters).values()
    weight.copy_(torch.eye(2))
    bias.zero_()
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    assert classifier.accuracy(inputs, torch.tensor([0, 1, 1, 1])).tolist() == [0.75]


def test_the_digits_are_split_fairly():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    data = digits()
    assert len(data.train_images) + len(data.test_images) == 1_797
    assert data.train_images.shape[1:] == (1, 8, 8) and float(data.train_images.max()) == 1.0
    assert torch.bincount(data.test_labels).min() >= 25


def test_mnist_is_the_canonical_one():
    if not any((folder / "mnist").is_dir() for folder in folders()):
        pytest.skip("MNIST is not at hand, and tests download nothing")
    data = mnist()
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert torch.bincount(data.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert float(data.train_images.mean()) == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiments_network_fits_its_data(name):
    experiment = EXPERIMENTS[name]
    size = 8 if name.startswith("digits") else 28
    logits = experiment.network()(experiment.view(torch.rand(3, 1, size, size)))
    assert logits.shape == (3, 10)


def test_lenet_learns_the_digits_as_a_population(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    assert train("digits-lenet", seeds=2, epochs=6, name="run", runs=str(tmp_path), wandb="disabled") == 0
    report = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert min(report["per_seed_mean"]) > 0.88
    assert (tmp_path / "run" / "learning_curve.png").exists()
    with pytest.raises(ValueError, match="already holds a run"):
        train("digits-lenet", name="run", runs=str(tmp_path), wandb="disabled")


def test_a_run_goes_on_from_its_previous_checkpoint(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    options = {"name": "run", "runs": str(tmp_path), "wandb": "disabled"}
    with pytest.raises(ValueError, match="add --resume"):
        train("digits-lenet", epochs=1, checkpoint="previous", **options)
    assert train("digits-lenet", epochs=1, **options) == 0
    before = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    (tmp_path / "run" / "checkpoint" / "last").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="add --checkpoint previous"):
        train("digits-lenet", resume=True, **options)
    assert train("digits-lenet", resume=True, checkpoint="previous", **options) == 0
    after = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    assert (after.values.tolist(), after.updates.tolist()) == (before.values.tolist(), before.updates.tolist())


def test_unknown_experiments_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mnist-lenet'"):
        train("minst-lenet", wandb="disabled")
