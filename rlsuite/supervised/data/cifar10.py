"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour pictures of ten kinds of things, from its binary archive."""

import io
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch

from rlsuite.supervised.classification import Examples, Labelled, split
from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.data.files import DataFile, find

# The binary version: the other one is pickled, and reading that would execute what is in it.
ARCHIVE = DataFile(
    "cifar10/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
)
KINDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
_FOLDER = "cifar-10-batches-bin"


def cifar10(config: ExamplesConfig) -> Labelled:
    """50,000 pictures to train on and 10,000 to test, ``[N, 3, 32, 32]`` in [0, 1].

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    return read(find(ARCHIVE), config)


def read(archive: Path, config: ExamplesConfig) -> Labelled:
    """The pictures in an archive: files of rows of 3,073 bytes, the number of a kind and the planes of a picture.

    Raises:
        ValueError: the archive is not of that form.
    """
    try:
        with tarfile.open(archive) as opened:
            train = b"".join(_member(opened, f"data_batch_{number}.bin") for number in range(1, 6))
            test = _member(opened, "test_batch.bin")
        return split(_examples(train), _examples(test), config, KINDS)
    except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error):
        raise ValueError(f"{archive} is damaged: remove it, and run this again") from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    return (archive.extractfile(f"{_FOLDER}/{name}") or io.BytesIO()).read()


def _examples(rows: bytes) -> Examples:
    length = 1 + int(np.prod(SHAPE))
    if len(rows) % length:
        raise EOFError
    numbers = np.frombuffer(rows, dtype=np.uint8).reshape(-1, length)
    pictures = torch.from_numpy(numbers[:, 1:].astype(np.float32) / 255.0).view(-1, *SHAPE)
    return Examples(pictures, torch.from_numpy(numbers[:, 0].astype(np.int64)))
