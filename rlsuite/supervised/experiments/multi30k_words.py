"""Predicts the next word in sentences about pictures: the network of n-grams (Bengio et al., 2003), and an LSTM."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite.configuration import Count
from rlsuite.networks.modes import Dropout
from rlsuite.supervised.classification import Examples, cross_entropy
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.multi30k import sentences
from rlsuite.supervised.data.text import Text
from rlsuite.supervised.data.words import END, Vocabulary, split
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.language import LanguageConfig, Window, counted, make_learner, nats, streams
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches, minibatches

_NEIGHBOURS = 5
_SHOWN = ("man", "woman", "two", "red", "dog", "street", "running", "guitar", "beach", "on")


class Words(NamedTuple):
    """Sentences one after the other, the end of each as a word of its own, and one such end before the first."""

    text: Text
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class NGramConfig(SupervisedConfig, group="network"):
    """Options of a network of n-grams."""

    order: Count = 5
    """n: the word and those before it that predict it."""
    embedding: Count = 100
    """Numbers in the vector of a word."""
    hidden: Count = 128
    """Hidden units."""
    dropout: float = 0.0
    """Share of the hidden units that are zero."""


def load(config: SupervisedConfig) -> Words:
    """The English sentences, in the data set's own three parts; ``examples`` takes the first sentences only."""
    train, validation, test = (sentences("en", part) for part in ("train", "val", "test_2016_flickr"))
    read = [list(map(split, part)) for part in (train[: config.examples], validation, test)]
    vocabulary = Vocabulary(read[0])

    def stream(part: list[list[str]]) -> Tensor:
        return torch.tensor([END, *(number for words in part for number in (*vocabulary.encode(words), END))])

    return Words(Text(*map(stream, read)), vocabulary)


def ngrams(text: Tensor, order: int) -> Examples:
    """Each word of a text but the first, and the ``order - 1`` before it; ends stand before the first word."""
    ends = torch.full((max(order - 2, 0),), END)
    windows = torch.cat([ends, text]).unfold(0, order, 1)
    return Examples(windows[:, :-1], windows[:, -1])


def word_vectors(words: int, size: int) -> nn.Embedding:
    """Vectors of length one, about: what rare words learn would be lost in torch's, which begin ten times as long."""
    vectors = nn.Embedding(words, size)
    nn.init.normal_(vectors.weight, std=size**-0.5)
    return vectors


def ngram_network(vocabulary: int, config: NGramConfig) -> nn.Sequential:
    """Vectors of the words before, side by side, through a hidden layer to logits of the next word."""
    return nn.Sequential(
        word_vectors(vocabulary, config.embedding),
        nn.Flatten(),
        nn.Linear((config.order - 1) * config.embedding, config.hidden),
        nn.Tanh(),
        Dropout(config.dropout),
        nn.Linear(config.hidden, vocabulary),
    )


def ngram_source(setting: Setting[NGramConfig, Words]) -> Batches[Examples]:
    contexts, words = ngrams(setting.data.text.train, setting.config.order)
    examples = Examples(contexts.to(setting.device), words.to(setting.device))
    return minibatches(examples, setting.config.batch_size, setting.seeds)


def ngram_learner(setting: Setting[NGramConfig, Words], total_updates: int) -> Learner[Examples]:
    config, size = setting.config, len(setting.data.vocabulary)
    network: Callable[[], nn.Module] = lambda: ngram_network(size, config)  # noqa: E731
    return Learner(network, cross_entropy, config, total_updates, setting.seeds, setting.device)


def ngram_evaluate(learner: Learner[Any], setting: Setting[NGramConfig, Words], split: Split) -> dict[str, np.ndarray]:
    examples = ngrams(getattr(setting.data.text, split), setting.config.order)
    seeds = len(learner.seeds)
    total = torch.zeros(seeds, dtype=torch.float64)
    for contexts, words in zip(*(tensor.to(setting.device).split(500) for tensor in examples), strict=True):
        logits = learner(contexts.expand(seeds, -1, -1))
        losses = F.cross_entropy(logits.flatten(0, 1), words.repeat(seeds), reduction="none")
        total += losses.view(seeds, -1).sum(dim=1).double().cpu()
    return _perplexity((total / len(examples.labels)).numpy())


def lstm_source(setting: Setting[LanguageConfig, Words]) -> Batches[Window]:
    config = setting.config
    return streams(setting.data.text.train.to(setting.device), config.batch_size, config.steps, setting.seeds)


def lstm_learner(setting: Setting[LanguageConfig, Words], total_updates: int) -> Learner[Window]:
    config, size = setting.config, len(setting.data.vocabulary)
    return make_learner(
        lambda: word_vectors(size, config.embedding), config, total_updates, setting.seeds, setting.device
    )


def lstm_evaluate(
    learner: Learner[Any], setting: Setting[LanguageConfig, Words], split: Split
) -> dict[str, np.ndarray]:
    return _perplexity(nats(learner, getattr(setting.data.text, split)))


def _perplexity(nats: np.ndarray) -> dict[str, np.ndarray]:
    return {"perplexity": np.exp(nats), "nats": nats}


def report(trained: Trained[Any, Words]) -> Facts:
    """Count pairs of words, and list the words whose vectors of the first seed are nearest to those of some others."""
    text, vocabulary = trained.setting.data
    by_counting = {
        f"{name}_add_one": float(np.exp(nats)) for name, nats in counted(text.train, text.test, len(vocabulary)).items()
    }
    vectors = embedding(trained.learner)
    neighbours = nearest(vectors, vocabulary, [word for word in _SHOWN if word in vocabulary.numbers])
    for name, perplexity in by_counting.items():
        print(f"test perplexity of the {name.replace('_', ' ')}: {perplexity:.1f}")
    for word, near in neighbours.items():
        print(f"nearest to {word}: {', '.join(near)}")
    return {"perplexity_by_counting": by_counting, "vocabulary": len(vocabulary), "nearest_words": neighbours}


def embedding(learner: Learner[Any]) -> Tensor:
    """The word vectors ``[V, E]`` of the first seed: the network's first parameter."""
    named = learner.network.named(learner.network.parameters)
    return next(iter(named.values()))[0].cpu()


def nearest(vectors: Tensor, vocabulary: Vocabulary, words: list[str]) -> dict[str, list[str]]:
    """The words of the smallest angle to each of some, without the special ones."""
    unit = F.normalize(vectors, dim=1)
    count = min(_NEIGHBOURS, len(vectors) - END - 2)
    found = {}
    for word in words:
        number = vocabulary.numbers[word]
        likeness = unit @ unit[number]
        likeness[: END + 1] = likeness[number] = -torch.inf
        found[word] = [vocabulary.words[place] for place in likeness.topk(count).indices.tolist()]
    return found


_NGRAM = NGramConfig(epochs=2, batch_size=512, learning_rate=2e-3, decay="cosine", dropout=0.2)
_LSTM = LanguageConfig(
    epochs=2,
    batch_size=32,
    learning_rate=3e-3,
    decay="cosine",
    max_gradient_norm=1.0,
    embedding=96,
    hidden=160,
    dropout=0.2,
    steps=20,
)

EXPERIMENTS = [
    Experiment(
        name="multi30k-words-ngram",
        task="Predicts the next word from the four before: a network of n-grams",
        data="Multi30k, English",
        target=Target("perplexity", 40.0, higher_is_better=False),
        minutes=3,
        config=_NGRAM,
        load=load,
        make_source=ngram_source,
        make_learner=ngram_learner,
        evaluate=ngram_evaluate,
        report=report,
    ),
    Experiment(
        name="multi30k-words-lstm",
        task="Predicts the next word from all before: an LSTM",
        data="Multi30k, English",
        target=Target("perplexity", 40.0, higher_is_better=False),
        minutes=3,
        config=_LSTM,
        load=load,
        make_source=lstm_source,
        make_learner=lstm_learner,
        evaluate=lstm_evaluate,
        report=report,
    ),
]
