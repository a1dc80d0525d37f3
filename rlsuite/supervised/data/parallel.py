"""Sentences in two languages, pair by pair, and batches in which all are of about the same length."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from rlsuite.supervised.data import multi30k, words
from rlsuite.supervised.data.multi30k import Language, Part
from rlsuite.supervised.data.words import BEGIN, END, PADDING, Vocabulary
from rlsuite.supervised.source import Batches, Order

_BATCHES_A_GROUP = 4
_PARTS: tuple[Part, Part] = ("val", "test_2016_flickr")


class Pairs(NamedTuple):
    """Numbers of words, from begin to end and then padding: ``[N, L]`` and ``[N, T]``; of a batch ``[S, B, ...]``."""

    source: Tensor
    target: Tensor


class Parallel(NamedTuple):
    """Pairs in three parts, the words of both languages in the training part, and what the test set should become.

    The last is as people wrote it: words that the vocabulary does not have are there, and no translation has them.
    """

    train: Pairs
    validation: Pairs
    test: Pairs
    source: Vocabulary
    target: Vocabulary
    references: list[list[str]]


def encode(vocabulary: Vocabulary, sentences: Sequence[Sequence[str]]) -> Tensor:
    """Sentences as lists of words to numbers ``[N, L]``, from begin to end and then padding."""
    return words.padded([[BEGIN, *vocabulary.encode(sentence), END] for sentence in sentences])


def load(source: Language, target: Language, examples: int | None = None) -> Parallel:
    """Multi30k in two languages; of the training part only the first ``examples``.

    Raises:
        ValueError: the languages are the same, or a file is neither at hand nor to be downloaded.
    """
    if source == target:
        raise ValueError(f"the two languages must differ, both are {source!r}")

    def read(language: Language, part: Part) -> list[list[str]]:
        return [words.split(sentence) for sentence in multi30k.sentences(language, part)]

    train = [read(language, "train")[:examples] for language in (source, target)]
    vocabularies = [Vocabulary(sentences) for sentences in train]

    def pairs(sentences: Sequence[Sequence[Sequence[str]]]) -> Pairs:
        return Pairs(*map(encode, vocabularies, sentences))

    validation, test = ([read(language, part) for language in (source, target)] for part in _PARTS)
    return Parallel(pairs(train), pairs(validation), pairs(test), vocabularies[0], vocabularies[1], test[1])


def by_length(pairs: Pairs, batch_size: int, seeds: Sequence[int]) -> Batches[Pairs]:
    """Batches of pairs of about the same lengths, so that there is little padding; a short last one is left out.

    Pairs are sorted by their lengths and cut into groups of a few batches. In every epoch each seed shuffles each group
    anew; the order of the batches is shuffled too, for all seeds alike, since they train on tensors of one shape.

    Raises:
        ValueError: there are fewer pairs than a batch takes.
    """
    count = len(pairs.source)
    if batch_size > count:
        raise ValueError(f"--batch-size {batch_size} is more than the {count} examples there are")
    sizes = [lengths(tensor) for tensor in pairs]
    ranks = sizes[1] * (int(sizes[0].max()) + 1) + sizes[0]
    groups = ranks.argsort(stable=True).split(_BATCHES_A_GROUP * batch_size)
    shapes = [[int(size[group].max()) for size in sizes] for group in groups]
    orders = [Order(len(group), seeds, pairs.source.device) for group in groups]
    places = [(group, place) for group, own in enumerate(groups) for place in range(len(own) // batch_size)]
    shared = Order(len(places), [0])

    def batch(number: int) -> Pairs:
        epoch, place = divmod(number, len(places))
        group, first = places[shared(epoch)[0, place]]
        chosen = groups[group][orders[group](epoch)[:, first * batch_size : (first + 1) * batch_size]]
        return Pairs(*(tensor[chosen, :length] for tensor, length in zip(pairs, shapes[group], strict=True)))

    return Batches(batch, len(places))


def lengths(sentences: Tensor) -> Tensor:
    """Words of sentences ``[..., L]``, begin and end included."""
    return (sentences != PADDING).sum(dim=-1)


def in_pieces(pairs: Pairs, size: int = 100) -> list[tuple[Tensor, Pairs]]:
    """All pairs in pieces of about the same lengths: where they stand among all, and the pairs, for evaluations."""
    pieces = lengths(pairs.source).argsort(stable=True).split(size)
    return [
        (piece, Pairs(*(tensor[piece, : int(lengths(tensor[piece]).max())] for tensor in pairs))) for piece in pieces
    ]
