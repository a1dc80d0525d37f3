"""TREC's questions and the six kinds of answers they ask for (Li and Roth, 2002)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlsuite.networks.text import NO_WORD
from rlsuite.supervised.classification import Examples, Labelled, split
from rlsuite.supervised.config import ExamplesConfig
from rlsuite.supervised.data.files import DataFile, find

_SOURCE = "https://raw.githubusercontent.com/AcademiaSinicaNLPLab/sentiment_dataset/master/data/"
TREC = [
    DataFile(f"trec/{name}", sha256, [_SOURCE + name])
    for name, sha256 in {
        "TREC.train.all": "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e",
        "TREC.test.all": "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566",
    }.items()
]
KINDS = ("description", "entity", "abbreviation", "human", "location", "number")
_UNKNOWN = 1
_RARE = 2  # words seen less often are unknown ones, so that there is something to learn about these


@dataclass(frozen=True)
class Questions:
    """Labelled questions ``[N, T]``, and how many words they are made of."""

    labelled: Labelled
    words: int


def trec(config: ExamplesConfig) -> Questions:
    """5,452 questions to train on and 500 to test.

    Raises:
        ValueError: neither at hand nor to be downloaded, or damaged.
    """
    train, test = (find(file).read_text(encoding="latin-1").splitlines() for file in TREC)
    return questions(train, test, config)


def questions(train: Sequence[str], test: Sequence[str], config: ExamplesConfig) -> Questions:
    """Questions of lines such as ``5 How far is it from Denver to Aspen ?``, a class and words.

    Raises:
        ValueError: a line does not begin with the number of a class, or there is nothing after it.
    """
    read = [[_line(line) for line in lines] for lines in (train, test)]
    counts = Counter(word for _, words in read[0] for word in words)
    frequent = (word for word, count in counts.items() if count >= _RARE)
    numbers = {word: number for number, word in enumerate(frequent, start=_UNKNOWN + 1)}
    longest = max(len(words) for lines in read for _, words in lines)
    own, others = (_examples(lines, numbers, longest) for lines in read)
    return Questions(split(own, others, config, KINDS), _UNKNOWN + 1 + len(numbers))


def _line(line: str) -> tuple[int, list[str]]:
    kind, *words = line.lower().split()
    if not kind.isdigit() or not words:
        raise ValueError(f"a question must be the number of a class and words, not {line!r}")
    return int(kind), words


def _examples(lines: Sequence[tuple[int, list[str]]], numbers: dict[str, int], longest: int) -> Examples:
    inputs = torch.full((len(lines), longest), NO_WORD)
    for row, (_, words) in zip(inputs, lines, strict=True):
        row[: len(words)] = _numbered(words, numbers)
    return Examples(inputs, torch.tensor([kind for kind, _ in lines]))


def _numbered(words: Sequence[str], numbers: dict[str, int]) -> Tensor:
    return torch.tensor([numbers.get(word, _UNKNOWN) for word in words])
