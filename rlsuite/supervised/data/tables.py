"""Small tables: the truth tables of or and xor, and what comes with scikit-learn."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Table(NamedTuple):
    """Rows of numbers ``[N, F]`` float32 with their classes ``[N]`` int64, and the names of both."""

    inputs: Tensor
    labels: Tensor
    features: tuple[str, ...]
    classes: tuple[str, ...]


_BITS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
OR = Table(torch.tensor(_BITS), torch.tensor([0, 1, 1, 1]), ("first", "second"), ("false", "true"))
XOR = OR._replace(labels=torch.tensor([0, 1, 1, 0]))


def iris() -> Table:
    """150 flowers of three kinds, of which one is easily told from the others (Fisher, 1936).

    Raises:
        ValueError: scikit-learn is not installed.
    """
    return _bundled("iris")


def breast_cancer() -> Table:
    """569 tumours, malignant or benign, by 30 numbers (Wolberg et al., 1995).

    Raises:
        ValueError: scikit-learn is not installed.
    """
    return _bundled("breast_cancer")


def _bundled(name: str) -> Table:
    try:
        from sklearn import datasets
    except ImportError:
        raise ValueError(f"{name} comes with scikit-learn: pip install 'rlsuite[supervised]'") from None
    bunch = getattr(datasets, f"load_{name}")()
    inputs = torch.tensor(np.asarray(bunch.data), dtype=torch.float32)
    labels = torch.tensor(np.asarray(bunch.target), dtype=torch.int64)
    return Table(inputs, labels, tuple(map(str, bunch.feature_names)), tuple(map(str, bunch.target_names)))


def standardised(inputs: Tensor, like: Tensor) -> Tensor:
    """Inputs ``[..., N, F]``, scaled so that of ``like`` ``[..., M, F]`` every column has mean 0 and deviation 1."""
    mean, spread = like.mean(dim=-2, keepdim=True), like.std(dim=-2, correction=0, keepdim=True)
    return (inputs - mean) / spread.clamp(min=1e-12)
