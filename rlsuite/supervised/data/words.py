"""Sentences as words, and words as numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PADDING, UNKNOWN, BEGIN, END = range(4)
_SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
# An English "n't" and "'s" are words of their own, so is every punctuation mark; numbers keep their points and commas.
_APOSTROPHE = "['\u2019]"
_WORD = re.compile(
    rf"\d+(?:[.,]\d+)*(?!\w)|\w+?(?=n{_APOSTROPHE}t\b)|n{_APOSTROPHE}t\b|{_APOSTROPHE}(?:s|m|d|re|ve|ll)\b|\w+|[^\w\s]"
)


def split(sentence: str) -> list[str]:
    """The words and punctuation marks of a sentence, in lower case."""
    return _WORD.findall(sentence.lower())


class Vocabulary:
    """Words with their numbers; the first four are for padding, unknown words, and the begin and end of a sentence.

    Args:
        sentences: lists of words to count.
        at_least: times that a word must be seen to have a number of its own.
    """

    def __init__(self, sentences: Iterable[Sequence[str]], at_least: int = 2) -> None:
        counts = Counter(word for sentence in sentences for word in sentence)
        frequent = [word for word, count in counts.items() if count >= at_least]
        self.words = [*_SPECIAL, *sorted(frequent, key=lambda word: (-counts[word], word))]
        self.numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """The numbers of words."""
        return [self.numbers.get(word, UNKNOWN) for word in words]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The words before the end of the sentence, without padding and begin."""
        found = []
        for number in numbers:
            if number == END:
                break
            if number not in (PADDING, BEGIN):
                found.append(self.words[number])
        return found


def padded(sentences: Sequence[Sequence[int]], length: int | None = None) -> Tensor:
    """Sentences of numbers as one tensor ``[N, length]`` int64, padded at the end; by default to the longest."""
    longest = max(map(len, sentences), default=0) if length is None else length
    found = torch.full((len(sentences), longest), PADDING)
    for row, sentence in zip(found, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(sentence, dtype=torch.int64)
    return found
