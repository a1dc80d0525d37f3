import math

import pytest
import torch

from rlsuite.supervised.data.words import BEGIN, END, PADDING
from rlsuite.supervised.decoding import beam_search

A, B, C = 4, 5, 6
# A model of sentences in which the likeliest first word leads to unlikely sentences.
NEXT = {
    BEGIN: {A: 0.6, B: 0.4},
    A: {A: 0.4, B: 0.3, C: 0.2, END: 0.1},
    B: {END: 0.9, C: 0.1},
    C: {END: 1.0},
    END: {},
    PADDING: {},
}


def step(words, state):
    (steps,) = state
    table = torch.zeros(7, 7)
    for word, following in NEXT.items():
        for next_word, probability in following.items():
            table[word, next_word] = probability
    return table.log()[words], (steps + 1,)


def search(beam, longest=10, length_power=0.0):
    words, scores = beam_search(step, (torch.zeros(2, 3, 1),), beam, longest, length_power)
    assert words.shape[:2] == scores.shape == (2, 3)
    return words[0, 0].tolist(), float(scores[1, 2])


def test_a_beam_finds_a_likelier_sentence_than_greedy_search():
    words, score = search(2)
    assert words[:2] == [B, END] and not any(words[2:])
    assert score == pytest.approx(math.log(0.4 * 0.9))
    _, greedy = search(1)
    assert score > greedy


def test_a_beam_of_one_takes_the_likeliest_word_each_time():
    word, expected, total = BEGIN, [], 0.0
    while word != END and len(expected) < 5:
        following = NEXT[word]
        word = max(following, key=following.get)
        total += math.log(following[word])
        expected.append(word)
    words, score = search(1, longest=5)
    assert words == expected and score == pytest.approx(total)


def test_sentences_are_cut_at_the_longest_length():
    words, _ = search(1, longest=3)
    assert len(words) == 3 and END not in words


def test_means_over_words_favour_longer_sentences():
    short, _ = search(4, length_power=0.0)
    longer, _ = search(4, length_power=3.0)
    assert short.index(END) + 1 < sum(word != PADDING for word in longer)
