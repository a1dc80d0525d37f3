"""German to English with two recurrent networks, without attention and with three kinds of it (Luong et al., 2015)."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from rlsuite.configuration import Count, Fraction
from rlsuite.networks.attention import Attention, Score
from rlsuite.networks.modes import Dropout
from rlsuite.networks.recurrent import RecurrentBackbone
from rlsuite.notice import warn_once
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data import parallel
from rlsuite.supervised.data.multi30k import Language
from rlsuite.supervised.data.parallel import Pairs, Parallel, by_length, encode, in_pieces
from rlsuite.supervised.data.words import PADDING, UNKNOWN, split
from rlsuite.supervised.decoding import beam_search
from rlsuite.supervised.experiment import Command, Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import heat_map
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches

_LONGEST = 50  # words of a translation
_BEAM = 5
_DRAWN = 4  # sentences of which the weights of attention are drawn
_EXAMPLES = 5
Child = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(SupervisedConfig, group="translation"):
    source: Language = "de"
    """Language that is read: en, de or fr."""
    target: Language = "en"
    """Language that is written: en, de or fr."""
    embedding: Count = 128
    """Numbers a word, of those that are read, and of those that are written."""
    hidden: Count = 256
    """Size of the recurrent network that writes; the one that reads has half of it in each direction."""
    dropout: Fraction = 0.1
    """Share of the numbers that describe words, read and written, that are left out in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden % 2:
            raise ValueError(f"--hidden must be even, for two directions, not {self.hidden}")


Translation = Setting[TranslationConfig, Parallel]


class Reader(nn.Module):
    """Reads sentences ``[B, L]`` in both directions, to words in context ``[B, L, H]`` and a summary ``[B, H]``."""

    def __init__(self, words: int, config: TranslationConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, config.embedding)
        self.dropout = Dropout(config.dropout)
        self.ahead = RecurrentBackbone(config.embedding, config.hidden // 2)
        self.back = RecurrentBackbone(config.embedding, config.hidden // 2)
        self.summary = nn.Linear(config.hidden, config.hidden)

    def stacked(self, child: Child, named: dict[str, Tensor], sentences: Tensor) -> tuple[Tensor, Tensor]:
        x = child("dropout", child("embedding", sentences))
        padding = sentences == PADDING
        nothing = x.new_zeros(*x.shape[:2], self.ahead.state_size)
        ahead, _ = child("ahead", x, nothing, torch.zeros_like(padding))
        # Read from the end, padding comes first: each step of it, and the first word after it, starts from nothing.
        back, after = child("back", x.flip(2), nothing, F.pad(padding.flip(2), (1, -1), value=True))
        last = (~padding).sum(dim=2) - 1
        end = ahead.gather(2, last[..., None, None].expand(-1, -1, 1, ahead.shape[-1])).squeeze(2)
        summary = child("summary", torch.cat([end, after], dim=-1)).tanh()
        return torch.cat([ahead, back.flip(2)], dim=-1), summary


class Writer(nn.Module):
    """From words ``[B, T]`` and a state ``[B, H]`` to logits ``[B, T, V]`` of the next words, weights, and a state.

    Attention comes after the recurrent layer (Luong et al., 2015), so that all steps of a sentence are one product.
    Without attention the weights are ``[B, T, 0]``, and the state is all that is known of the source.
    """

    def __init__(self, words: int, config: TranslationConfig, score: Score | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, config.embedding)
        self.dropout = Dropout(config.dropout)
        self.recurrent = RecurrentBackbone(config.embedding, config.hidden)
        self.attention = Attention(score, config.hidden, config.hidden) if score else None
        self.combine = nn.Linear((2 if score else 1) * config.hidden, config.embedding)
        self.word = nn.Linear(config.embedding, words)

    def stacked(
        self, child: Child, named: dict[str, Tensor], words: Tensor, state: Tensor, context: Tensor, padding: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = child("dropout", child("embedding", words))
        found, state = child("recurrent", x, state, torch.zeros_like(words, dtype=torch.bool))
        weights = found.new_zeros(*words.shape, 0)
        if self.attention is not None:
            contexts, weights = child("attention", found, context, ~padding)
            found = torch.cat([found, contexts], dim=-1)
        combined = child("dropout", child("combine", found.flatten(1, 2)).tanh())
        return child("word", combined).unflatten(1, words.shape[1:]), weights, state


def load(config: TranslationConfig) -> Parallel:
    if importlib.util.find_spec("sacrebleu") is None:
        raise ValueError("translations are judged by sacrebleu: pip install 'rlsuite[supervised]'")
    return parallel.load(config.source, config.target, config.examples)


def make_source(setting: Translation) -> Batches[Pairs]:
    pairs = Pairs(*(tensor.to(setting.device) for tensor in setting.data.train))
    return by_length(pairs, setting.config.batch_size, setting.seeds)


def learner_of(score: Score | None) -> Callable[[Translation, int], Learner[Pairs]]:
    def make_learner(setting: Translation, total_updates: int) -> Learner[Pairs]:
        data, config = setting.data, setting.config

        def network() -> nn.Module:
            reader, writer = Reader(len(data.source), config), Writer(len(data.target), config, score)
            return nn.ModuleDict({"reader": reader, "writer": writer})

        return Learner(network, loss, config, total_updates, setting.seeds, setting.device)

    return make_learner


def word_losses(network: Forward, pairs: Pairs) -> Tensor:
    """Negative log-likelihoods ``[S, B, T - 1]`` of all words but the first, each given those before; 0 of padding."""
    context, summary = network(pairs.source, part="reader")
    written, wanted = pairs.target[..., :-1], pairs.target[..., 1:]
    logits, _, _ = network(written, summary, context, pairs.source == PADDING, part="writer")
    losses = F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), ignore_index=PADDING, reduction="none")
    return losses.view(wanted.shape)


def loss(network: Forward, batch: Pairs, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    """The mean over words."""
    words = parallel.lengths(batch.target).sum(dim=1) - batch.target.shape[1]
    return word_losses(network, batch).sum(dim=(1, 2)) / words, {}, state


def perplexity(learner: Learner[Any], pairs: Pairs) -> np.ndarray:
    """The exponential of the mean negative log-likelihood of a word, the end of a sentence being one, ``[S]``."""
    total = torch.zeros(len(learner.seeds), dtype=torch.float64)
    for _, piece in in_pieces(pairs):
        total += word_losses(learner, _for_all(learner, piece)).sum(dim=(1, 2)).cpu()
    return (total / (parallel.lengths(pairs.target) - 1).sum()).exp().numpy()


def translate(learner: Learner[Any], sentences: Tensor, beam: int) -> Tensor:
    """Translations ``[S, N, T]`` of sentences ``[N, L]``, with padding after their end."""
    found = torch.full((len(learner.seeds), len(sentences), _LONGEST), PADDING)
    for places, piece in in_pieces(Pairs(sentences, sentences)):
        source = _for_all(learner, piece).source
        context, summary = learner(source, part="reader")
        words, _ = beam_search(partial(_step, learner), (summary, context, source == PADDING), beam, _LONGEST)
        found[:, places, : words.shape[-1]] = words.cpu()
    return found


def _step(learner: Learner[Any], words: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
    summary, context, padding = state
    logits, _, summary = learner(words.unsqueeze(2), summary, context, padding, part="writer")
    return logits.squeeze(2).log_softmax(dim=-1), (summary, context, padding)


def _for_all(learner: Learner[Any], pairs: Pairs) -> Pairs:
    """The same pairs ``[N, ...]`` for every seed, where the networks are."""
    seeds = learner.seeds
    return Pairs(*(tensor.to(seeds.device).expand(len(seeds), *tensor.shape) for tensor in pairs))


def bleu(translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """BLEU (Papineni et al., 2002) of sentences that are split into words in lower case."""
    from sacrebleu import corpus_bleu

    joined = [[" ".join(sentence) for sentence in sentences] for sentences in (translations, references)]
    return corpus_bleu(joined[0], [joined[1]], tokenize="none", force=True).score


def evaluate(learner: Learner[Any], setting: Translation, split: Split) -> dict[str, np.ndarray]:
    """Perplexity, and on the test set, which takes longer, also BLEU of greedy translations and of a beam search.

    BLEU is by the sentences as they were written: an unknown word is a wrong one.
    """
    data = setting.data
    pairs: Pairs = getattr(data, split)
    found = {"perplexity": perplexity(learner, pairs)}
    if split == "test":
        for name, beam in (("bleu_greedy", 1), (f"bleu_beam_{_BEAM}", _BEAM)):
            translations = translate(learner, pairs.source, beam).tolist()
            own = [[data.target.decode(sentence) for sentence in sentences] for sentences in translations]
            found[name] = np.array([bleu(sentences, data.references) for sentences in own])
    return found


def report(trained: Trained[TranslationConfig, Parallel]) -> Facts:
    """Draw where the first seed looks as it translates some test sentences, if it looks; return some translations."""
    data, learner = trained.setting.data, trained.learner
    source, target = (tensor[:_EXAMPLES] for tensor in data.test)
    translations = translate(learner, source, _BEAM)
    for number in range(min(_DRAWN, len(source))):
        draw_attention(trained, number, source[number], translations[0, number])
    return {
        "translations": [
            {
                "source": " ".join(data.source.decode(source[number].tolist())),
                "reference": " ".join(data.target.decode(target[number].tolist())),
                "translation": " ".join(data.target.decode(translations[0, number].tolist())),
            }
            for number in range(len(source))
        ]
    }


def draw_attention(
    trained: Trained[TranslationConfig, Parallel], number: int, source: Tensor, translation: Tensor
) -> None:
    """Draw the weight of each word of a sentence ``[L]`` at each word of its translation ``[T]``."""
    data, learner = trained.setting.data, trained.learner
    source, written = (sentence[sentence != PADDING] for sentence in (source, translation))
    written = torch.cat([source[:1], written])  # both languages begin with the same number
    pairs = _for_all(learner, Pairs(source.unsqueeze(0), written.unsqueeze(0)))
    context, summary = learner(pairs.source, part="reader")
    _, weights, _ = learner(pairs.target[..., :-1], summary, context, pairs.source == PADDING, part="writer")
    if weights.shape[-1]:
        heat_map(
            trained.folder / f"attention_{number + 1}.png",
            weights[0, 0].cpu().numpy(),
            [data.target.words[word] for word in written[1:].tolist()],
            [data.source.words[word] for word in source.tolist()],
            title="where the network looks for each word",
        )


@dataclass(frozen=True)
class Translate:
    sentence: tyro.conf.Positional[str]
    """Sentence to translate."""
    beam: Count = _BEAM
    """Beginnings of a translation that are kept at a time; 1 takes the likeliest word each time."""


def print_translation(trained: Trained[TranslationConfig, Parallel], options: Translate) -> None:
    """Print the first seed's translation of a sentence.

    Raises:
        ValueError: the sentence is empty, or no beginning is to be kept.
    """
    data = trained.setting.data
    words = split(options.sentence)
    if not words:
        raise ValueError("there is nothing to translate: give a sentence in quotes")
    if options.beam < 1:
        raise ValueError(f"--beam must be at least 1, not {options.beam}")
    unknown = [word for word in words if data.source.encode([word]) == [UNKNOWN]]
    if unknown:
        warn_once(f"never seen in training: {', '.join(unknown)}")
    found = translate(trained.learner, encode(data.source, [words]), options.beam)[0, 0]
    print(" ".join(data.target.decode(found.tolist())))


def translation(name: str, task: str, score: Score | None, target: float) -> Experiment[TranslationConfig, Parallel]:
    return Experiment(
        name=name,
        task=task,
        data="Multi30k, de-en",
        target=Target("perplexity", target, higher_is_better=False),
        minutes=10,
        config=TranslationConfig(epochs=3, batch_size=64, learning_rate=2e-3, decay="linear", max_gradient_norm=1.0),
        load=load,
        make_source=make_source,
        make_learner=learner_of(score),
        evaluate=evaluate,
        report=report,
        commands={"translate": Command(Translate, print_translation)},
    )


EXPERIMENTS = [
    translation("translation-seq2seq", "Translation from one vector a sentence", None, target=43.8),
    translation("translation-dot", "Translation with attention, dot product", "dot", target=25.6),
    translation("translation-general", "Translation with attention, general score", "general", target=25.6),
    translation("translation-attention", "Translation with attention, additive score", "additive", target=25.6),
]
