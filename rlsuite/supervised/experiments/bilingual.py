"""Sentences in two languages as points of one space: what says the same is near (Schroff et al., 2015)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Fraction, NotNegative
from rlsuite.networks.modes import Dropout
from rlsuite.networks.recurrent import RecurrentBackbone
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data import parallel
from rlsuite.supervised.data.multi30k import Language
from rlsuite.supervised.data.parallel import Pairs, Parallel, by_length, in_pieces
from rlsuite.supervised.data.words import PADDING, Vocabulary
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import heat_map
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches

_RANKS = (1, 5, 10)
_DRAWN = 12  # sentences whose distances are drawn


@dataclass(frozen=True, kw_only=True)
class BilingualConfig(SupervisedConfig, group="languages"):
    source: Language = "de"
    """One language: en, de or fr."""
    target: Language = "en"
    """The other language: en, de or fr."""
    embedding: Count = 128
    """Numbers a word."""
    hidden: Count = 128
    """Size of the recurrent networks, and of the space."""
    dropout: Fraction = 0.1
    """Share of the numbers of words that is left out in training."""
    margin: NotNegative = 1.0
    """Margin by which a translation must be nearer than others; with 0 all sentences shrink towards one point."""
    negatives: Literal["all", "hardest"] = "all"
    """Sentences of a batch that are pushed away: all that are too near, or the nearest only."""


Bilingual = Setting[BilingualConfig, Parallel]


class Encoder(nn.Module):
    """Sentences ``[B, L]`` as points ``[B, H]``: the mean over their words of the outputs of an LSTM."""

    def __init__(self, words: Vocabulary, config: BilingualConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(words), config.embedding)
        self.dropout = Dropout(config.dropout)
        self.recurrent = RecurrentBackbone(config.embedding, config.hidden, "lstm")
        self.point = nn.Linear(config.hidden, config.hidden)

    def stacked(self, child: Callable[..., Any], named: dict[str, Tensor], sentences: Tensor) -> Tensor:
        x = child("dropout", child("embedding", sentences))
        words = sentences != PADDING
        outputs, _ = child("recurrent", x, x.new_zeros(*x.shape[:2], self.recurrent.state_size), ~words)
        words = words.unsqueeze(-1).to(x.dtype)
        return child("point", (outputs * words).sum(dim=2) / words.sum(dim=2))


def load(config: BilingualConfig) -> Parallel:
    return parallel.load(config.source, config.target, config.examples)


def make_source(setting: Bilingual) -> Batches[Pairs]:
    pairs = Pairs(*(tensor.to(setting.device) for tensor in setting.data.train))
    return by_length(pairs, setting.config.batch_size, setting.seeds)


def make_learner(setting: Bilingual, total_updates: int) -> Learner[Pairs]:
    data, config = setting.data, setting.config

    def network() -> nn.Module:
        return nn.ModuleDict({"source": Encoder(data.source, config), "target": Encoder(data.target, config)})

    def loss(network: Forward, batch: Pairs, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        apart = distances(network, batch)
        losses = triplet_losses(apart, config.margin, config.negatives)
        return losses, {"train/recall_at_1": recall(apart, 1)}, state

    return Learner(network, loss, config, total_updates, setting.seeds, setting.device)


def distances(network: Forward, pairs: Pairs) -> Tensor:
    """Euclidean distances ``[S, N, N]`` of each source sentence from each target sentence."""
    return apart(network(pairs.source, part="source"), network(pairs.target, part="target"))


def apart(ones: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances ``[S, N, M]`` of points ``[S, N, H]`` from points ``[S, M, H]``."""
    squares = (ones**2).sum(dim=2).unsqueeze(2) + (others**2).sum(dim=2).unsqueeze(1) - 2.0 * ones @ others.mT
    return squares.clamp(min=1e-8).sqrt()  # a root has no slope at 0


def triplet_losses(apart: Tensor, margin: float, negatives: Literal["all", "hardest"]) -> Tensor:
    """The mean of max(0, margin + d(a, b) - d(a, n)) over sentences a of both languages ``[S]``.

    b is the translation of a, and n are the other sentences of b's language: of distances ``[S, B, B]`` the diagonal is
    that of translations. Of all negatives those that are too near count.
    """
    same = torch.eye(apart.shape[1], dtype=torch.bool, device=apart.device)
    near = apart.diagonal(dim1=1, dim2=2)
    too_near = torch.stack([margin + near.unsqueeze(axis) - apart for axis in (1, 2)]).clamp(min=0.0)
    too_near = too_near.masked_fill(same, 0.0)
    if negatives == "all":
        return too_near.sum(dim=(0, 2, 3)) / (too_near > 0).sum(dim=(0, 2, 3)).clamp(min=1)
    return torch.stack([too_near[0].amax(dim=1), too_near[1].amax(dim=2)]).mean(dim=(0, 2))


def recall(apart: Tensor, rank: int) -> Tensor:
    """The share of sentences in both languages whose translation is among the ``rank`` nearest, ``[S]``."""
    near = apart.diagonal(dim1=1, dim2=2)
    nearer = [(apart <= near.unsqueeze(axis)).sum(dim=axis) for axis in (1, 2)]  # itself included, and draws
    return (torch.stack(nearer) <= rank).float().mean(dim=(0, 2))


def points(learner: Learner[Any], pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Embeddings of the sentences of both languages, ``[S, N, H]`` each."""
    seeds = learner.seeds
    found = [torch.empty(0)] * 2
    for place, language in enumerate(Pairs._fields):
        pieces = in_pieces(Pairs(pairs[place], pairs[place]))
        together = torch.cat(
            [
                learner(piece.source.to(seeds.device).expand(len(seeds), *piece.source.shape), part=language)
                for _, piece in pieces
            ],
            dim=1,
        )
        found[place] = together[:, torch.cat([places for places, _ in pieces]).argsort()].cpu()
    return found[0], found[1]


def evaluate(learner: Learner[Any], setting: Bilingual, split: Split) -> dict[str, np.ndarray]:
    """Recall among all pairs, and the mean distance of a sentence from others of its language and its translation."""
    source, target = points(learner, getattr(setting.data, split))
    across = apart(source, target)
    others = torch.stack([mean_of_others(apart(own, own)) for own in (source, target)]).mean(dim=0)
    found = {f"recall_at_{rank}": recall(across, rank) for rank in _RANKS}
    found |= {
        "distance_of_translations": across.diagonal(dim1=1, dim2=2).mean(dim=1),
        "distance_of_different_sentences": others,
    }
    return {name: values.numpy() for name, values in found.items()}


def mean_of_others(apart: Tensor) -> Tensor:
    """The mean of distances ``[S, N, N]`` without those of each from itself."""
    count = apart.shape[1]
    return (apart.sum(dim=(1, 2)) - apart.diagonal(dim1=1, dim2=2).sum(dim=1)) / (count * (count - 1))


def report(trained: Trained[BilingualConfig, Parallel]) -> Facts:
    """Draw how far the first seed finds some test sentences from each other's translations."""
    data = trained.setting.data
    pairs = Pairs(*(tensor[:_DRAWN] for tensor in data.test))
    across = apart(*points(trained.learner, pairs))[0].numpy()
    rows, columns = (
        [" ".join(vocabulary.decode(sentence)[:6]) for sentence in sentences.tolist()]
        for vocabulary, sentences in zip((data.source, data.target), pairs, strict=True)
    )
    heat_map(
        trained.folder / "distances.png",
        1.0 - across / max(across.max(), 1e-6),
        rows,
        columns,
        texts=np.round(across, 1),
        title="distances: dark is near",
    )
    return {"margin": trained.setting.config.margin, "negatives": trained.setting.config.negatives}


EXPERIMENTS = [
    Experiment(
        name="bilingual-embedding",
        task="Two LSTMs that put sentences and their translations together",
        data="Multi30k, de-en",
        target=Target("recall_at_1", 0.30),
        minutes=2,
        config=BilingualConfig(epochs=2, batch_size=128, learning_rate=2e-3, decay="linear", max_gradient_norm=1.0),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"train/recall_at_1": "recall in a batch"},
    )
]
