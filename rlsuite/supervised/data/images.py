"""Data sets of small pictures: bundled ones, and downloads that are checked against a known checksum."""

import gzip
import zlib

import numpy as np
import torch
from torch import Tensor

from rlsuite.supervised.classification import Examples, Labelled, split
from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.data.files import DataFile, find

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MNIST = [
    DataFile(f"mnist/{name}", sha256, [mirror + name for mirror in _MNIST_MIRRORS])
    for name, sha256 in _MNIST_SHA256.items()
]
_DIGITS = tuple("0123456789")


def digits(config: ExamplesConfig) -> Labelled:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn; every fifth one is kept for testing.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("the digits come with scikit-learn: pip install 'rlsuite[supervised]'") from None
    bunch = load_digits()
    images = torch.tensor(bunch.images / 16.0, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    test = torch.arange(len(labels)) % 5 == 0
    train = Examples(images[~test], labels[~test])
    return split(train, Examples(images[test], labels[test]), config, _DIGITS)


def mnist(config: ExamplesConfig) -> Labelled:
    """MNIST (LeCun et al., 1998): 60,000 and 10,000 digits of 28 x 28 pixels in [0, 1], ``[N, 1, 28, 28]``.

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    train_images, train_labels, test_images, test_labels = (_idx(file) for file in MNIST)
    train = Examples(_pixels(train_images), torch.from_numpy(train_labels.astype(np.int64)))
    test = Examples(_pixels(test_images), torch.from_numpy(test_labels.astype(np.int64)))
    return split(train, test, config, _DIGITS)


def _pixels(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) / 255.0).unsqueeze(1)


def _idx(file: DataFile) -> np.ndarray:
    """The array in a compressed file of the IDX format: a magic number, the sizes, the bytes."""
    path = find(file)
    try:
        content = gzip.decompress(path.read_bytes())
        axes = content[3]
        sizes = np.frombuffer(content, dtype=">i4", count=axes, offset=4)
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(tuple(sizes))
    except (OSError, EOFError, ValueError, IndexError, zlib.error):
        raise ValueError(f"{path} is damaged: remove it, and run this again") from None
