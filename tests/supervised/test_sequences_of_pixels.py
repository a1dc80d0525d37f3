import pytest
import torch
from small_runs import check_small_run

from rlsuite import random
from rlsuite.supervised.classification import Examples, Labelled
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiments import moving_digits, reading_mnist
from rlsuite.supervised.experiments.moving_digits import films


@pytest.mark.slow
def test_rows_of_mnist_are_read(tmp_path, monkeypatch):
    def few(config):
        *parts, classes = mnist(config)
        return Labelled(*(Examples(*(tensor[:320] for tensor in part)) for part in parts), classes)

    monkeypatch.setattr(reading_mnist, "mnist", few)
    check_small_run("mnist-lstm", tmp_path, examples=320, batch_size=32)


def test_digits_move_straight_and_turn_at_the_borders():
    digits = torch.rand(5, 10, 10) * 0.9 + 0.1  # ink everywhere
    keys = random.key(torch.tensor([0, 1]), 13)
    made = films(keys, digits, 30, 40)
    assert made.shape == (2, 30, 40, 20, 20) and float(made.max()) <= 1.0
    assert torch.equal(made[1:], films(keys[1:], digits, 30, 40))
    ink = (made > 0.0).float()
    # Both digits are whole in every frame: at least one is to be seen, and at most two.
    assert ink.sum(dim=(-2, -1)).min() >= 100 and ink.sum(dim=(-2, -1)).max() <= 200
    moved = (made[:, :, 1:] != made[:, :, :-1]).flatten(3).any(dim=-1)
    assert moved.float().mean() > 0.5
    left = ink.amax(dim=-2).argmax(dim=-1)  # the leftmost pixel of any digit
    assert (left[:, :, 1:] - left[:, :, :-1]).abs().max() <= 3
    # The first column is reached, and the last.
    assert ink[..., 0].any() and ink[..., -1].any()


@pytest.mark.parametrize("name", [pytest.param("moving-digits", marks=pytest.mark.slow), "moving-digits-lstm"])
def test_moving_digits_are_foreseen(name, tmp_path, monkeypatch):
    monkeypatch.setattr(moving_digits, "_EVALUATED", (10, 10))
    options = {"steps": 2, "channels": 4, "hidden": 16, "batch_size": 8, "examples": 64, "learning_rate": 1e-2}
    folder = check_small_run(name, tmp_path, **options)
    assert (folder / "frames.png").exists() and (folder / "by_frame.png").exists()
