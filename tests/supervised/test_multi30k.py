import pytest

from rlsuite.supervised.data.files import at_hand
from rlsuite.supervised.data.multi30k import MULTI30K, sentences
from rlsuite.supervised.data.words import BEGIN, END, PADDING, UNKNOWN, Vocabulary, padded, split


def test_words_and_punctuation_are_split():
    assert split("A man's dog doesn't jump, really.") == [
        *("a", "man", "'s", "dog", "does", "n't", "jump", ",", "really", ".")
    ]
    assert split("Zwei Männer (über 1.500) im T-Shirt") == ["zwei", "männer", "(", "über", "1.500", ")", "im"] + [
        *("t", "-", "shirt")
    ]
    assert split("  \n") == []


def test_words_seen_twice_have_numbers_and_others_are_unknown():
    vocabulary = Vocabulary([["a", "dog"], ["a", "cat"], ["the", "cat", "a"]])
    assert vocabulary.words[4:] == ["a", "cat"]
    assert vocabulary.encode(["cat", "dog"]) == [vocabulary.numbers["cat"], UNKNOWN]
    assert vocabulary.decode([BEGIN, 4, UNKNOWN, PADDING, 5, END, 4]) == ["a", "<unk>", "cat"]


def test_padding_fills_the_end():
    assert padded([[7, 8], [], [9]]).tolist() == [[7, 8], [PADDING, PADDING], [9, PADDING]]
    assert padded([[7]], 3).tolist() == [[7, PADDING, PADDING]]


def test_multi30k_is_the_canonical_one():
    if not all(map(at_hand, MULTI30K.values())):
        pytest.skip("Multi30k is not at hand, and tests download nothing")
    for part, count in (("train", 29_000), ("val", 1_014), ("test_2016_flickr", 1_000)):
        assert {language: len(sentences(language, part)) for language in ("en", "de", "fr")} == dict.fromkeys(
            ("en", "de", "fr"), count
        )
    assert sentences("en", "train")[0] == "Two young, White males are outside near many bushes."
    assert len(Vocabulary(map(split, sentences("en", "train")))) > 5_500
