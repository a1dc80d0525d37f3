import math

import pytest
import torch
from small_runs import check_small_run, small

from rlsuite import random
from rlsuite.supervised import run
from rlsuite.supervised.experiments import memory

KEYS = random.key(torch.tensor([3, 8]), 13)
SMALL = {"hidden": 8, "batch_size": 16, "examples": 320, "learning_rate": 0.02}


@pytest.fixture(autouse=True)
def few_held(monkeypatch):
    monkeypatch.setattr(memory, "_EVALUATED", (20, 30))


def test_positive_numbers_are_counted():
    inputs, wanted = memory.counting(KEYS, 4, 9)
    assert inputs.shape == (2, 4, 9, 1) and wanted.shape == (2, 4, 9)
    assert wanted[1, 2, 5] == (inputs[1, 2, :6] > 0.0).sum()


def test_parity_is_that_of_the_ones_so_far():
    inputs, wanted = memory.parity(KEYS, 4, 9)
    assert wanted[1, 2, 5] == inputs[1, 2, :6].sum() % 2 and set(inputs.unique().tolist()) == {0.0, 1.0}


def test_two_numbers_are_marked_one_in_each_half():
    inputs, wanted = memory.adding(KEYS, 500, 11)
    marks = inputs[..., 1]
    assert (marks[:, :, :5].sum(dim=-1) == 1.0).all() and (marks[:, :, 5:].sum(dim=-1) == 1.0).all()
    assert marks.sum(dim=(0, 1)).min() > 100  # every place is marked now and then
    torch.testing.assert_close(wanted[..., -1], (inputs[..., 0] * marks).sum(dim=-1))
    assert float(wanted[..., -1].var()) == pytest.approx(memory.ADDING.blind(11), abs=0.02)


def test_symbols_are_to_be_copied_after_the_cue():
    inputs, wanted = memory.copying(KEYS, 4, 7)
    seen = inputs.argmax(dim=-1)
    assert seen.shape == wanted.shape == (2, 4, 27)
    assert torch.equal(seen[:, :, :10], wanted[:, :, -10:]) and int(seen[:, :, :10].max()) < 8
    assert (seen[:, :, 16] == 9).all() and (seen == 9).sum() == 8 and (wanted[:, :, :-10] == 8).all()
    blank = torch.zeros(2, 4, 27, 9)
    blank[..., 8] = 50.0
    blank[:, :, -10:, 8] = -50.0  # knows when, not which
    found = memory.copied(blank, wanted)["cross_entropy"]
    torch.testing.assert_close(found, torch.full((2,), memory.COPYING.blind(7)))
    assert memory.COPYING.blind(100) == pytest.approx(10 * math.log(8) / 120)


def test_a_count_that_is_always_the_same_is_right_as_often_as_said():
    wanted = memory.counting(random.key(torch.tensor([0]), 1), 4_000, 10).wanted
    assert float((wanted[..., -1] == 5).float().mean()) == pytest.approx(memory.COUNTING.blind(10), abs=0.03)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("adding-gru", 10),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in (("counting", 10), ("parity", 3))),
        ("copying-orthogonal", 10),
    ],
)
def test_memory_is_learned(name, steps, tmp_path):
    folder = check_small_run(name, tmp_path, steps=steps, seeds=2, **SMALL)
    assert (folder / "gradients.png").exists()


def test_too_short_sequences_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--steps must be at least 2"):
        run.train("adding-gru", small("adding-gru", tmp_path, "run", steps=1))
    assert not (tmp_path / "run").exists()
