"""Texts as numbers: a long text in three parts, read as a stream, and its vocabulary of characters."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.data.files import DataFile, find

SHAKESPEARE = DataFile(
    "tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ["https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"],
)
_SHAKESPEARE_TRAINING = 1_003_854  # characters; the last tenth is the test


class Vocabulary(Protocol):
    """Characters or words that the numbers of a text stand for."""

    def __len__(self) -> int: ...


class Text(NamedTuple):
    """A text as numbers ``[N]`` int64. All of a part but its first number is predicted."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Characters:
    """A vocabulary of single characters, in the order of their codes."""

    def __init__(self, text: Iterable[str]) -> None:
        self.characters = "".join(sorted(set(text)))
        self._numbers = {character: number for number, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The numbers ``[N]`` of a text.

        Raises:
            ValueError: the vocabulary lacks some of its characters; the message names them.
        """
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            named = " ".join(map(repr, unknown))
            raise ValueError(f"the network has never seen {named}: it knows {self.characters!r}")
        return torch.tensor([self._numbers[character] for character in text], dtype=torch.int64)

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of numbers."""
        return "".join(self.characters[number] for number in numbers)


def parts(train: Tensor, test: Tensor, config: ExamplesConfig) -> Text:
    """Keep the end of the training text for validation; where the fraction is zero, validate on the training text.

    Of the rest the first ``config.examples`` are trained on.

    Raises:
        ValueError: too little is left.
    """
    kept = round(config.validation_fraction * len(train))
    rest = train[: len(train) - kept][: config.examples]
    if len(rest) < 2 or kept == 1:
        raise ValueError(f"--validation-fraction {config.validation_fraction} leaves too little to read")
    return Text(rest, train[len(train) - kept :] if kept else rest, test)


def shakespeare(config: ExamplesConfig) -> tuple[Text, Characters]:
    """A million characters of Shakespeare's plays (Karpathy, 2015); of them the last tenth is for testing.

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    text = find(SHAKESPEARE).read_text(encoding="ascii")
    characters = Characters(text)
    numbers = characters.encode(text)
    return parts(numbers[:_SHAKESPEARE_TRAINING], numbers[_SHAKESPEARE_TRAINING:], config), characters
