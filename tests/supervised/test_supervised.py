import dataclasses
import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from small_runs import check_small_run, small

from rlsuite.option_groups import from_command_line
from rlsuite.supervised import run
from rlsuite.supervised.classification import Examples, accuracy, confusion, cross_entropy, split
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data import files
from rlsuite.supervised.data.files import DataFile, at_hand, find
from rlsuite.supervised.data.images import MNIST, digits, mnist
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.registry import all_experiments
from rlsuite.supervised.source import made_up, minibatches
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.checkpoint import CheckpointError

CONFIG = SupervisedConfig(epochs=1, batch_size=4)


def numbered(count):
    return Examples(torch.arange(float(count)), torch.arange(count))


def test_every_epoch_goes_once_through_the_data_in_orders_of_its_own():
    source = minibatches(numbered(10), 5, [0, 1])
    epochs = [[source.sample().labels for _ in range(2)] for _ in range(2)]
    orders = [torch.cat(batches, dim=1) for batches in epochs]
    for order in orders:
        assert torch.equal(order.sort(dim=1).values, torch.arange(10).expand(2, 10))
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0][0], orders[0][1])
    alone = minibatches(numbered(10), 5, [1])
    assert torch.equal(alone.sample().labels[0], epochs[0][0][1])


def test_batches_go_on_in_the_middle_of_an_epoch():
    straight, first, second = (minibatches(numbered(12), 4, [3]) for _ in range(3))
    expected = [straight.sample().labels for _ in range(8)]
    for _ in range(4):
        first.sample()
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(second.sample().labels, labels) for labels in expected[4:])


def test_batches_that_are_made_up_differ_by_seed_and_number_only():
    source, again = (made_up(lambda keys: keys, [4, 5], an_epoch=3) for _ in range(2))
    first, second = source.sample(), source.sample()
    assert len({*first.tolist(), *second.tolist()}) == 4
    assert torch.equal(again.sample(), first)


def test_augmentation_sees_the_batch_and_its_own_keys():
    seen = []

    def augment(batch, keys):
        seen.append(keys.tolist())
        return Examples(batch.inputs + 100.0, batch.labels)

    source = minibatches(numbered(6), 3, [0, 1], augment)
    batch = source.sample()
    assert torch.equal(batch.inputs, batch.labels + 100.0)
    source.sample()
    assert len({key for keys in seen for key in keys}) == 4


def test_accuracy_is_the_share_of_hits():
    learner = Learner(lambda: torch.nn.Linear(2, 2), cross_entropy, CONFIG, 1, [0])
    weight, bias = learner.network.named(learner.network.parameters).values()
    weight.copy_(torch.eye(2))
    bias.zero_()
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    assert accuracy(learner, Examples(inputs, torch.tensor([0, 1, 1, 1])))["accuracy"].tolist() == [0.75]


def test_confusion_counts_true_classes_by_row():
    matrix = confusion(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 2]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_a_decaying_rate_and_weight_decay_are_those_of_torch():
    config = SupervisedConfig(epochs=1, batch_size=4, learning_rate=0.1, decay="linear", weight_decay=0.3)
    learner = Learner(lambda: torch.nn.Linear(3, 2), cross_entropy, config, 4, [7])
    torch.manual_seed(7)
    module = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: 1.0 - done / 4)
    batch = Examples(torch.rand(1, 4, 3), torch.tensor([[0, 1, 1, 0]]))
    for _ in range(3):
        learner.update(batch)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(batch.inputs[0]), batch.labels[0]).backward()
        optimiser.step()
        falling.step()
    for own, expected in zip(
        learner.network.named(learner.network.parameters).values(), module.parameters(), strict=True
    ):
        torch.testing.assert_close(own[0], expected.detach())


def test_the_digits_are_split_fairly():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    data = digits(CONFIG)
    assert sum(len(part.labels) for part in data[:3]) == 1_797
    assert data.train.inputs.shape[1:] == (1, 8, 8) and float(data.train.inputs.max()) == 1.0
    assert torch.bincount(data.test.labels).min() >= 25
    assert len(digits(dataclasses.replace(CONFIG, examples=7)).train.labels) == 7


def test_mnist_is_the_canonical_one():
    if not all(map(at_hand, MNIST)):
        pytest.skip("MNIST is not at hand, and tests download nothing")
    data = mnist(dataclasses.replace(CONFIG, validation_fraction=0.0))
    assert data.train.inputs.shape == (60_000, 1, 28, 28)
    assert torch.bincount(data.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert float(data.train.inputs.mean()) == pytest.approx(0.1307, abs=1e-4)


def test_labels_out_of_range_are_refused():
    examples = Examples(torch.zeros(3), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="labels must be from 0 to 1"):
        split(examples, examples, CONFIG, ("a", "b"))


@pytest.mark.parametrize(
    "name", ["digits-lenet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("digits-lstm", "digits-untied"))]
)
def test_the_digits_are_learned(name, tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    folder = check_small_run(name, tmp_path, epochs=3, batch_size=64, seeds=2)
    report = json.loads((folder / "evaluation.json").read_text())
    assert np.array(report["confusion"]).sum() == 360 and set(report["recall"]) == set("0123456789")
    with pytest.raises(ValueError, match="already holds a run"):
        run.train(name, small(name, tmp_path, "whole"))


def test_training_stops_when_patience_or_time_ends(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    options = {"epochs": 50, "examples": 64, "batch_size": 32}
    # At this rate nothing is learned: no evaluation is better than the first.
    unlearning = small("digits-lenet", tmp_path, "a", learning_rate=1e-12, patience_epochs=3, **options)
    assert run.train("digits-lenet", unlearning) == 0
    assert len(read_metrics(tmp_path / "a" / "metrics.jsonl")["validation/accuracy"].updates) == 4
    assert run.train("digits-lenet", small("digits-lenet", tmp_path, "b", minutes=1e-6, **options)) == 0
    assert json.loads((tmp_path / "b" / "evaluation.json").read_text())["split"] == "test"


def test_a_run_goes_on_from_its_previous_checkpoint_and_never_backwards(tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    assert run.train("digits-lenet", small("digits-lenet", tmp_path, "run", epochs=2, examples=128)) == 0
    before = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    (tmp_path / "run" / "checkpoint" / "last").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="add --checkpoint previous"):
        run.resume(tmp_path / "run")
    assert run.resume(tmp_path / "run", "previous") == 0
    after = read_metrics(tmp_path / "run" / "metrics.jsonl")["evaluation/score"]
    assert (after.values.tolist(), after.updates.tolist()) == (before.values.tolist(), before.updates.tolist())
    config = (tmp_path / "run" / "config.json").read_text()
    with pytest.raises(ValueError, match=r"--epochs 1 ends at update \d+, and .*run is at \d+"):
        run.resume(tmp_path / "run", epochs=1)
    assert (tmp_path / "run" / "config.json").read_text() == config


def test_unknown_experiments_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'digits-lenet'"):
        run.train("digit-lenet", small("digits-lenet", "runs", "run"))


def test_every_experiment_has_a_target_that_it_measures():
    for name, experiment in all_experiments().items():
        assert name == name.lower() and experiment.task[0].isupper() and experiment.minutes > 0


def test_every_kind_of_options_can_be_typed():
    kinds = {type(experiment.config): name for name, experiment in all_experiments().items()}
    for name in kinds.values():
        experiment = all_experiments()[name]
        assert from_command_line(type(experiment.config), [], name, experiment.config) == experiment.config


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server with a file, and a machine without any data."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "file").write_bytes(b"the right bytes")
    monkeypatch.setattr(files, "folders", lambda: [tmp_path / "mine", tmp_path / "cache"])
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/file"
        serving.shutdown()


def test_a_file_is_downloaded_once_and_checked(server, tmp_path):
    right = DataFile("set/file", hashlib.sha256(b"the right bytes").hexdigest(), [server])
    (tmp_path / "cache" / "set").mkdir(parents=True)
    (tmp_path / "cache" / "set" / "file.part").write_bytes(b"an old part")  # this server sends whole files only
    assert find(right) == tmp_path / "cache" / "set" / "file"
    assert find(dataclasses.replace(right, urls=[])).read_bytes() == b"the right bytes"
    with pytest.raises(ValueError, match="its checksum is not the known one"):
        find(DataFile("set/other", "0" * 64, [server]))
    with pytest.raises(ValueError, match="could not be downloaded .*refused.*put it at"):
        find(DataFile("set/other", "0" * 64, ["http://127.0.0.1:9/file"]))


def test_an_altered_file_is_named(server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"the wrong bytes")
    with pytest.raises(ValueError, match="mine/file is truncated or altered"):
        find(DataFile("file", "0" * 64, [server]))


def test_the_list_fits_eighty_columns(capsys):
    run.list_experiments()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2 * len(all_experiments()) and max(map(len, lines)) <= 80
