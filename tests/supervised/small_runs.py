"""What every experiment must do, tried at small size: learn, go on exactly, and draw figures that are pictures."""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from rlsuite.supervised import run
from rlsuite.supervised.config import RunConfig
from rlsuite.supervised.registry import find
from rlsuite.supervised.source import Batches
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.checkpoint import load


def small(name: str, folder: Path, run_name: str, **options: Any) -> RunConfig:
    """The options of an experiment, shortened."""
    own = {"name": run_name, "runs": str(folder), "wandb": "disabled", **options}
    return dataclasses.replace(find(name).config, **own)


def check_small_run(name: str, folder: Path, epochs: int = 2, **options: Any) -> Path:
    """Train an experiment for some epochs, in one go and interrupted; returns the folder of the first run.

    The loss must fall, both runs must end with the same numbers, and every figure must be a picture.
    """
    try:
        find(name).load(small(name, folder, "none", epochs=epochs, **options))
    except ValueError as error:
        if "could not be downloaded" in str(error):
            pytest.skip("the data are not on this machine, and tests download nothing")
        raise
    assert run.train(name, small(name, folder, "whole", epochs=epochs, **options)) == 0
    losses = read_metrics(folder / "whole" / "metrics.jsonl")["loss/train"].values
    few = max(losses.shape[1] // 4, 1)  # the loss of one batch says little
    assert np.isfinite(losses).all() and (losses[:, -few:].mean(axis=1) < losses[:, :few].mean(axis=1)).all(), losses

    updates = load(folder / "whole" / "checkpoint" / "last")["updates"]
    with stopped_at(updates // 2):
        assert run.train(name, small(name, folder, "parts", epochs=epochs, **options)) == 130
    with mock.patch.object(run, "_finish", lambda *_: {}):  # it has been tried
        assert run.resume(folder / "parts") == 0
    _assert_equal(*(load(folder / one / "checkpoint" / "last")["learner"] for one in ("whole", "parts")))

    figures = list((folder / "whole").rglob("*.png"))
    assert figures
    for figure in figures:
        assert imageio.imread(figure).ndim == 3, figure
    report = json.loads((folder / "whole" / "evaluation.json").read_text())
    assert np.isfinite(report["per_seed_mean"]).all()
    return folder / "whole"


def learned(name: str, updates: int, **options: Any) -> dict[str, np.ndarray]:
    """What an experiment measures on its test set after some updates, without a run."""
    chosen = find(name)
    setting = chosen.setting(dataclasses.replace(chosen.config, **options))
    source, learner = chosen.make_source(setting), chosen.make_learner(setting, updates)
    for _ in range(updates):
        learner.update(source.sample())
    return chosen.evaluate(learner, setting, "test")


@contextmanager
def stopped_at(update: int) -> Iterator[None]:
    """Press Ctrl-C before the batch of that number is drawn."""
    draw = Batches.sample

    def sample(source: Batches[Any]) -> Any:
        if source.drawn == update:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(source)

    with mock.patch.object(Batches, "sample", sample):
        yield


def _assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            _assert_equal(one[name], other[name])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other
