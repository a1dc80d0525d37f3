import dataclasses
import json

import numpy as np
import pytest
import torch
from made_up_language import NOUNS, VERBS, made_up_sentences
from small_runs import check_small_run

from agents.cli import supervised
from rlsuite.supervised.data import multi30k
from rlsuite.supervised.data.parallel import Pairs, by_length, encode, in_pieces, load
from rlsuite.supervised.data.words import PADDING
from rlsuite.supervised.experiment import Setting, Trained
from rlsuite.supervised.experiments import translation
from rlsuite.supervised.experiments.translation import (
    EXPERIMENTS,
    TranslationConfig,
    bleu,
    learner_of,
    perplexity,
    report,
    translate,
    word_losses,
)

SMALL = {"embedding": 16, "hidden": 16, "batch_size": 8}
CONFIG = TranslationConfig(epochs=1, learning_rate=1e-2, **SMALL)


@pytest.fixture(autouse=True)
def little_data(monkeypatch):
    monkeypatch.setattr(multi30k, "sentences", made_up_sentences)
    monkeypatch.setattr(translation, "_DRAWN", 1)


def untrained(score, seeds=range(2)):
    setting = Setting(CONFIG, load("de", "en"), seeds, torch.device("cpu"))
    return learner_of(score)(setting, 1), setting.data


def test_batches_are_of_one_length_and_hold_every_pair_once_an_epoch():
    data = load("de", "en", examples=90)
    source, alone = by_length(data.train, 8, [0, 1]), by_length(data.train, 8, [1])
    epochs = [[source.sample() for _ in range(source.an_epoch)] for _ in range(2)]
    assert source.an_epoch == 11
    for batches in epochs:
        for seed in range(2):
            rows = sorted(tuple(words) for batch in batches for words in batch.target[seed].tolist())
            assert len(rows) == 88
        assert sum(int((batch.target == PADDING).sum()) for batch in batches) < 88 * 2
    assert not torch.equal(epochs[0][0].target[0], epochs[0][0].target[1])
    for batch in epochs[0]:
        one = alone.sample()
        assert torch.equal(one.source[0], batch.source[1]) and torch.equal(one.target[0], batch.target[1])
    with pytest.raises(ValueError, match="--batch-size 100 is more than the 90 examples"):
        by_length(data.train, 100, [0])


def test_pieces_hold_every_pair_in_its_place():
    data = load("de", "en")
    together = torch.full_like(data.train.target, PADDING)
    for places, piece in in_pieces(data.train, 10):
        together[places, : piece.target.shape[1]] = piece.target
    assert torch.equal(together, data.train.target)


@pytest.mark.parametrize("score", [None, "dot", "general", "additive"])
def test_padding_changes_nothing(score):
    learner, data = untrained(score)
    pairs = [encode(vocabulary, [["a", "b"]]) for vocabulary in (data.source, data.target)]
    long = [encode(vocabulary, [["a", "b"], list("abcdefgh")])[:1] for vocabulary in (data.source, data.target)]
    short, padded = (
        word_losses(learner, Pairs(*(sentence.expand(2, *sentence.shape) for sentence in own))) for own in (pairs, long)
    )
    torch.testing.assert_close(padded[..., :3], short)
    assert padded.shape[-1] == 9 and not padded[..., 3:].any()
    torch.testing.assert_close(translate(learner, long[0], 3), translate(learner, pairs[0], 3))


@pytest.mark.parametrize("score", [None, "additive"])
def test_a_seed_of_two_is_that_seed_alone(score):
    both, data = untrained(score)
    alone, _ = untrained(score, range(1, 2))
    for learner, seeds in ((both, [0, 1]), (alone, [1])):
        source = by_length(data.train, 8, seeds)
        for _ in range(3):
            learner.update(source.sample())
    assert torch.equal(both.network.parameters[1], alone.network.parameters[0])


def test_perplexity_is_that_of_every_word_and_the_end():
    learner, data = untrained("dot")
    total = words = 0.0
    for source, target in zip(*data.test, strict=True):
        pair = Pairs(*(row[row != PADDING].expand(2, 1, -1) for row in (source, target)))
        losses = word_losses(learner, pair)
        total, words = total + losses.sum(dim=(1, 2)), words + losses.shape[-1]
    np.testing.assert_allclose(perplexity(learner, data.test), np.exp(total / words), rtol=1e-4)


def test_bleu_is_that_of_the_field():
    pytest.importorskip("sacrebleu", reason="BLEU comes from sacrebleu")
    sentence = ["a", "man", "rides", "a", "big", "brown", "horse"]
    assert bleu([sentence], [sentence]) == pytest.approx(100.0)
    assert bleu([["dogs", "bark"]], [sentence]) < 1.0
    # 6 of 7 words, 4 of 6 pairs, 3 of 5 triples and 2 of 4 quadruples are right.
    changed = ["a", "man", "rides", "a", "big", "white", "horse"]
    expected = 100.0 * (6 / 7 * 4 / 6 * 3 / 5 * 2 / 4) ** 0.25
    assert bleu([changed], [sentence]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("score", [None, "dot", "general", "additive"])
def test_every_kind_learns(score):
    learner, data = untrained(score)
    source = by_length(data.train, 8, [0, 1])
    losses = torch.stack([learner.update(source.sample())["loss/train"] for _ in range(2 * source.an_epoch)])
    assert (losses[-5:].mean(dim=0) < 0.8 * losses[:5].mean(dim=0)).all()


@pytest.mark.parametrize("score", [None, "dot"])
def test_a_report_has_translations_and_where_attention_falls(score, tmp_path):
    learner, data = untrained(score)
    facts = report(Trained(Setting(CONFIG, data, range(2), torch.device("cpu")), learner, tmp_path))
    assert len(facts["translations"]) == 5 and facts["translations"][0]["reference"].endswith(" .")
    assert len(list(tmp_path.glob("attention_*.png"))) == (0 if score is None else 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small run."""
    pytest.importorskip("sacrebleu", reason="BLEU comes from sacrebleu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi30k, "sentences", made_up_sentences)
        patch.setattr(translation, "_DRAWN", 1)
        return check_small_run("translation-attention", tmp_path_factory.mktemp("runs"), **SMALL)


def test_a_run_learns_goes_on_and_draws(trained):
    evaluation = json.loads((trained / "evaluation.json").read_text())
    assert set(evaluation["values"]) == {"perplexity", "bleu_greedy", "bleu_beam_5"}
    assert len(evaluation["translations"]) == 5


def test_a_trained_run_translates(trained, capsys, caplog):
    folder = str(trained)
    assert supervised.main(["translate", folder, "Hund Ball sieht.", "--beam", "2"]) == 0
    written = capsys.readouterr().out.split()
    assert written and set(written) <= {word for pair in [*NOUNS, *VERBS] for word in pair} | {".", "<unk>"}
    assert supervised.main(["translate", folder, "Quark mag Hund."]) == 0
    assert "never seen in training: quark" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["  "], "there is nothing to translate"),
        (["Hund", "--beam", "0"], "--beam must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_translated_is_said_in_a_line(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        supervised.main(["translate", str(trained), *arguments])


def test_wrong_options_are_said_in_a_line():
    with pytest.raises(ValueError, match="the two languages must differ, both are 'de'"):
        EXPERIMENTS[0].load(dataclasses.replace(CONFIG, target="de"))
    with pytest.raises(ValueError, match="--hidden must be even"):
        dataclasses.replace(CONFIG, hidden=15)
