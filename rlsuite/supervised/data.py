"""Data sets by name: bundled ones, and downloads that are checked against a known checksum."""

import gzip
import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Labelled:
    """Images ``[N, C, H, W]`` in [0, 1] and classes ``[N]`` int64, for training and for testing."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int


def digits() -> Labelled:
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
    return Labelled(images[~test], labels[~test], images[test], labels[test], classes=10)


def mnist() -> Labelled:
    """MNIST (LeCun et al., 1998): 60,000 and 10,000 digits of 28 x 28 pixels, downloaded at first use.

    Raises:
        ValueError: neither at hand nor to be downloaded.
    """

    def images(name: str) -> Tensor:
        raw = np.frombuffer(gzip.decompress(_mnist_file(name).read_bytes()), dtype=np.uint8, offset=16)
        return torch.from_numpy(raw.reshape(-1, 1, 28, 28).astype(np.float32) / 255.0)

    def labels(name: str) -> Tensor:
        raw = np.frombuffer(gzip.decompress(_mnist_file(name).read_bytes()), dtype=np.uint8, offset=8)
        return torch.from_numpy(raw.astype(np.int64))

    train_images, train_labels, test_images, test_labels = _MNIST_SHA256
    return Labelled(images(train_images), labels(train_labels), images(test_images), labels(test_labels), classes=10)


def folders() -> list[Path]:
    """Return the folders to search for data: ``$RLSUITE_DATA``, ``data``, ``shared/data`` beside the project, cache."""
    named = [Path(os.environ["RLSUITE_DATA"])] if "RLSUITE_DATA" in os.environ else []
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rlsuite"
    return [*named, Path("data"), Path(__file__).parents[3] / "shared" / "data", cache]


def _mnist_file(name: str) -> Path:
    for folder in folders():
        path = folder / "mnist" / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == _MNIST_SHA256[name]:
            return path
    target = folders()[-1] / "mnist" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    for mirror in _MNIST_MIRRORS:
        try:
            with urllib.request.urlopen(mirror + name, timeout=20) as answer:
                content = answer.read()
        except (urllib.error.URLError, OSError):
            continue
        if hashlib.sha256(content).hexdigest() == _MNIST_SHA256[name]:
            target.write_bytes(content)
            return target
    raise ValueError(f"MNIST could not be downloaded from {_MNIST_MIRRORS[0]}: put {name} into {target.parent} by hand")
