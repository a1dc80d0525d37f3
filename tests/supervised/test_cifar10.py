"""CIFAR-10 is read as its archive says, and its networks learn pictures that look like it."""

import dataclasses
import io
import tarfile

import numpy as np
import pytest
import torch

from rlsuite.supervised.data.cifar10 import read
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.registry import find

NAMES = ("cifar10-resnet18", "cifar10-vgg16", "cifar10-inception")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive of the true form, with 20 pictures a file; picture n is of kind n % 10."""
    path = tmp_path_factory.mktemp("cifar10") / "cifar-10-binary.tar.gz"
    numbers = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as opened:
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            pixels = numbers.integers(0, 256, (20, 3_072), dtype=np.uint8)
            kinds = (np.arange(20, dtype=np.uint8) % 10)[:, None]
            content = np.hstack([kinds, pixels]).tobytes()
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return path


def config(name):
    return dataclasses.replace(find(name).config, batch_size=4, validation_fraction=0.5, device="cpu")


def test_rows_become_pictures_and_kinds(archive):
    data = read(archive, config(NAMES[0]))
    assert data.train.inputs.shape == (50, 3, 32, 32) and data.test.inputs.shape == (20, 3, 32, 32)
    first = np.random.default_rng(0).integers(0, 256, (20, 3_072), dtype=np.uint8)[0].reshape(3, 32, 32)
    assert torch.equal(data.validation.inputs[0], torch.from_numpy(first / np.float32(255.0)))
    assert data.test.labels.tolist() == list(range(10)) * 2


@pytest.mark.parametrize("kept", [100, 20_000])
def test_a_damaged_archive_is_said_to_be(archive, tmp_path, kept):
    damaged = tmp_path / "half.tar.gz"
    damaged.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(ValueError, match="half.tar.gz is damaged"):
        read(damaged, config(NAMES[0]))


@pytest.mark.parametrize("name", NAMES)
def test_networks_take_the_pictures(archive, name):
    chosen = find(name)
    data = read(archive, config(name))
    setting = Setting(config(name), data, range(1), torch.device("cpu"))
    learner = chosen.make_learner(setting, 100)
    batch = chosen.make_source(setting).sample()
    assert learner(batch.inputs[:, :1]).shape == (1, 1, 10)
