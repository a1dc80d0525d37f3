import dataclasses
import json

import numpy as np
import pytest
import torch
from small_runs import check_small_run
from torch import nn

from agents.cli import supervised as command_line
from rlsuite.networks import modes
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.files import at_hand
from rlsuite.supervised.data.text import SHAKESPEARE, Characters, parts, shakespeare
from rlsuite.supervised.data.words import END, Vocabulary
from rlsuite.supervised.experiments import multi30k_words
from rlsuite.supervised.experiments import shakespeare as plays
from rlsuite.supervised.language import (
    LanguageConfig,
    LanguageModel,
    Window,
    cells,
    counted,
    generate,
    make_learner,
    nats,
    next_token,
    streams,
)

CONFIG = LanguageConfig(epochs=1, batch_size=2, hidden=6, embedding=5, steps=3, layers=2)
TEXT = torch.arange(600) ** 2 % 7


def learner(seeds=range(1), **options):
    config = dataclasses.replace(CONFIG, **options)
    return make_learner(lambda: nn.Embedding(7, 5), config, 10, seeds, torch.device("cpu"))


def test_characters_are_numbered_and_unknown_ones_named():
    characters = Characters("to be")
    assert characters.characters == " beot" and len(characters) == 5
    assert characters.decode(characters.encode("bet to").tolist()) == "bet to"
    assert characters.encode("").dtype == torch.int64
    with pytest.raises(ValueError, match="'x' 'z'"):
        characters.encode("box size".replace("s", ""))


def test_validation_is_the_end_of_the_training_text():
    config = SupervisedConfig(epochs=1, batch_size=1, validation_fraction=0.2, examples=5)
    text = parts(torch.arange(10), torch.arange(3), config)
    assert text.train.tolist() == [0, 1, 2, 3, 4] and text.validation.tolist() == [8, 9]
    same = parts(torch.arange(10), torch.arange(3), dataclasses.replace(config, validation_fraction=0.0, examples=None))
    assert torch.equal(same.train, same.validation)
    with pytest.raises(ValueError, match="--validation-fraction 0.95"):
        parts(torch.arange(10), torch.arange(3), dataclasses.replace(config, validation_fraction=0.95))


def test_shakespeare_is_split_as_published():
    if not at_hand(SHAKESPEARE):
        pytest.skip("the plays are not at hand, and tests download nothing")
    text, characters = shakespeare(SupervisedConfig(epochs=1, batch_size=1, validation_fraction=0.05))
    assert len(text.train) + len(text.validation) == 1_003_854 and len(text.test) == 111_540
    assert len(characters) == 65
    levels = counted(torch.cat([text.train, text.validation]), text.test, len(characters))
    assert levels["bigram"] == pytest.approx(2.482, abs=5e-4)


def test_streams_go_on_where_the_window_before_ended():
    text = torch.arange(50)
    source = streams(text, 4, 3, [0, 1])
    assert source.an_epoch == 50 // 4 // 3
    first, second = source.sample(), source.sample()
    assert first.inputs.shape == first.targets.shape == (2, 4, 3)
    assert torch.equal(second.inputs[..., 0], first.targets[..., -1])
    assert torch.equal(first.targets[..., :-1], first.inputs[..., 1:])
    assert torch.equal(first.targets, (first.inputs + 1) % 50)
    assert first.begins.all() and not second.begins.any()
    assert not torch.equal(first.inputs[0], first.inputs[1])
    own = streams(text, 4, 3, [1])
    assert torch.equal(own.sample().inputs[0], first.inputs[1])
    next_epoch = [source.sample() for _ in range(source.an_epoch - 1)][-1]
    assert next_epoch.begins.all() and not torch.equal(next_epoch.inputs, first.inputs)


def test_a_text_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="--batch-size 4 streams of --steps 3 .* 11 tokens"):
        streams(torch.arange(11), 4, 3, [0])


def test_the_state_is_carried_from_window_to_window_and_zero_where_streams_begin():
    own = learner()
    tokens = TEXT[:14].view(1, 2, 7)
    window = Window(tokens[..., :-1], tokens[..., 1:], torch.tensor([[True, True]]))
    old = {"memory": torch.ones_like(own.state["memory"])}
    whole, _, _ = next_token(own.network, window, old)
    places = slice(3), slice(3, 6)
    halves = [Window(window.inputs[..., part], window.targets[..., part], window.begins) for part in places]
    first, _, carried = next_token(own.network, halves[0], old)
    second, _, _ = next_token(own.network, halves[1]._replace(begins=~window.begins), carried)
    torch.testing.assert_close((first + second) / 2, whole)
    other, _, _ = next_token(own.network, halves[1], carried)
    assert not torch.allclose(other, second)


def test_a_population_reads_as_each_seed_alone():
    both, one = learner(range(2)), learner(range(1, 2))
    found, expected = nats(both, TEXT), nats(one, TEXT)
    assert found[1] == pytest.approx(expected[0], abs=1e-6) and found[0] != found[1]


def test_the_population_is_the_plain_module():
    own = learner()
    torch.manual_seed(0)
    module = LanguageModel(nn.Embedding(7, 5), CONFIG)
    memory = torch.rand(1, 2, 24)
    logits, after = own(TEXT[:8].view(1, 2, 4), memory)
    expected, expected_after = module(TEXT[:8].view(2, 4), memory[0])
    torch.testing.assert_close(logits[0], expected)
    torch.testing.assert_close(after[0], expected_after)


def test_dropout_has_one_mask_for_all_steps_of_a_window():
    module = LanguageModel(nn.Embedding(7, 5), dataclasses.replace(CONFIG, dropout=0.5))
    with modes.training(torch.tensor(3)):
        dropped = module.dropout(torch.ones(2, 4, 6))
    assert torch.equal(dropped[:, 0], dropped[:, 3])
    assert set(dropped.unique().tolist()) == {0.0, 2.0}


def test_lanes_measure_what_one_reading_does():
    own = learner()
    logits, _ = own(TEXT[None, None, :-1], torch.zeros(1, 1, 24))
    expected = nn.functional.cross_entropy(logits[0, 0], TEXT[1:])
    assert nats(own, TEXT)[0] == pytest.approx(float(expected), abs=1e-5)
    for length in (2, 65, 300):
        logits, _ = own(TEXT[None, None, : length - 1], torch.zeros(1, 1, 24))
        expected = nn.functional.cross_entropy(logits[0, 0], TEXT[1:length])
        assert nats(own, TEXT[:length])[0] == pytest.approx(float(expected), abs=1e-5)


def test_counting_adds_one_to_every_pair():
    train, test = torch.tensor([0, 1, 0, 1, 2]), torch.tensor([0, 1, 1])
    found = counted(train, test, 3)
    assert found["bigram"] == pytest.approx(-(np.log(3 / 5) + np.log(1 / 5)) / 2)
    assert found["unigram"] == pytest.approx(-np.log(3 / 8))


def test_cells_are_those_of_torch():
    own = learner()
    named = own.network.named(own.network.parameters)
    lstm = nn.LSTM(5, 6, num_layers=2, batch_first=True)
    lstm.load_state_dict({name: named[f"recurrent.{name}"][0] for name in lstm.state_dict()})
    texts = TEXT[:10].view(2, 5)
    _, (_, expected) = lstm(named["embedding.weight"][0][texts])
    torch.testing.assert_close(cells(own, texts, 2)[:, -1], expected.tanh().transpose(0, 1).flatten(1).detach())


def test_what_is_written_depends_on_the_seed_and_the_coldest_is_the_likeliest():
    own = learner()
    one, again, other = (generate(own, [1, 2], 30, 1.0, seed) for seed in (0, 0, 1))
    assert one == again != other and len(one) == 30
    assert generate(learner(range(2)), [1, 2], 30, 1.0, 0) == one
    greedy = generate(own, [1, 2], 5, 0.0, 0)
    logits, _ = own(torch.tensor([1, 2, *greedy[:-1]]).view(1, 1, -1), torch.zeros(1, 1, 24))
    assert greedy == logits[0, 0, 1:].argmax(dim=-1).tolist()
    assert generate(own, [1, 2], 5, 1e-9, 7) == greedy


def test_properties_of_a_text():
    text = "\n\nROMEO:\nAy: my\n"
    assert plays.place_in_line(text).tolist() == [0, 0, *range(7), *range(7)]
    assert plays.in_name(text).tolist() == [False] * 2 + [True] * 7 + [False] * 7
    assert plays.place_in_word("a be: cd").tolist() == [1, 0, 1, 2, 0, 0, 1, 2]


def test_correlations_with_constant_cells_are_zero():
    cells = torch.tensor([[1.0, 5.0, -1.0], [2.0, 5.0, -2.0], [3.0, 5.0, -3.0]])
    found = plays._correlations(cells, torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, -1.0]))


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    return check_small_run(
        "shakespeare-lstm",
        tmp_path_factory.mktemp("plays"),
        examples=3_000,
        hidden=16,
        embedding=8,
        batch_size=8,
        steps=25,
        decay="constant",
        validation_fraction=0.001,
        sample_characters=15,
    )


def test_the_report_has_samples_of_every_stage_and_cells(play):
    stages = sorted(file.name for file in (play / "samples").iterdir())
    assert stages == ["00000015_updates.txt", "00000030_updates.txt"]
    samples = (play / "samples.txt").read_text()
    for heading in ("before training", "after 15 updates", "after 30 updates", "at temperature 0.5"):
        assert heading in samples
    assert (play / "cells.png").is_file() and (play / "nats.png").is_file()
    facts = json.loads((play / "evaluation.json").read_text())
    assert set(facts["cells"]) == set(plays.PROPERTIES)
    assert facts["values"]["bits"][0] == pytest.approx(facts["values"]["nats"][0] / np.log(2))
    resumed = play.parent / "parts" / "samples" / "00000030_updates.txt"
    assert resumed.read_text() == (play / "samples" / "00000030_updates.txt").read_text()


def test_runs_write_after_a_prompt(play, capsys):
    def sample(*options):
        assert command_line.main(["sample", str(play), "--characters", "20", *options]) == 0
        return capsys.readouterr().out

    text = sample("--prompt", "ROMEO:", "--seed", "1")
    assert text.startswith("ROMEO:") and len(text) == 6 + 20 + 1
    assert len(sample("--prompt", "")) == 21
    assert sample("--temperature", "0", "--seed", "1") == sample("--temperature", "0")


def test_bad_prompts_and_temperatures_are_refused(play):
    with pytest.raises(ValueError, match="never seen '@' 'é'"):
        command_line.main(["sample", str(play), "--prompt", "café @ noon"])
    with pytest.raises(ValueError, match="--temperature must be at least 0"):
        command_line.main(["sample", str(play), "--temperature", "-1"])


def test_ngrams_stand_after_ends():
    contexts, words = multi30k_words.ngrams(torch.tensor([END, 5, 6, END]), 3)
    assert contexts.tolist() == [[END, END], [END, 5], [5, 6]] and words.tolist() == [5, 6, END]
    contexts, words = multi30k_words.ngrams(torch.tensor([END, 5, 6]), 2)
    assert contexts.tolist() == [[END], [5]] and words.tolist() == [5, 6]


def test_near_words_have_vectors_of_small_angles():
    vocabulary = Vocabulary([["a", "b", "c", "d", "e", "f", "g"]] * 2)
    vectors = torch.zeros(11, 2)
    angles = torch.arange(7) * 0.3
    vectors[4:] = torch.stack([angles.cos(), angles.sin()], dim=1) * torch.arange(1, 8).unsqueeze(1)
    assert multi30k_words.nearest(vectors, vocabulary, ["a"]) == {"a": ["b", "c", "d", "e", "f"]}
    few = Vocabulary([["a", "b", "c"]] * 2)
    assert multi30k_words.nearest(vectors[:7], few, ["a"]) == {"a": ["b", "c"]}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("multi30k-words-ngram", {"order": 3, "embedding": 8, "batch_size": 100}),
        ("multi30k-words-lstm", {"embedding": 8, "batch_size": 8, "steps": 10}),
    ],
)
def test_words_are_predicted_and_have_neighbours(name, options, tmp_path, capsys):
    folder = check_small_run(name, tmp_path, examples=100, hidden=8, decay="constant", **options)
    assert "nearest to man: " in capsys.readouterr().out
    facts = json.loads((folder / "evaluation.json").read_text())
    assert set(facts["perplexity_by_counting"]) == {"unigram_add_one", "bigram_add_one"}
    assert len(facts["nearest_words"]["man"]) == 5
