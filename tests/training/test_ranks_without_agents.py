"""Ranks of supervised experiments and economies: one learner, of which each rank has a share of the data."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from forked_ranks import together
from torch import Tensor, nn

from rlsuite import ranks
from rlsuite.deqn import run as economies
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.path import EconomyPath, PathBatch
from rlsuite.networks.modes import Dropout
from rlsuite.supervised import run
from rlsuite.supervised.by_hand import ByHand
from rlsuite.supervised.classification import Examples, cross_entropy
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.experiment import Experiment, Setting, Split, Target
from rlsuite.supervised.language import streams
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import minibatches
from rlsuite.training.checkpoint import CheckpointError, Checkpoints
from rlsuite.training.ranked import Ranked
from rlsuite.training.worker import Unit

ROOT = Path(__file__).parents[2]
# 9 batches of 4 are 4 for each of two ranks, and as many of 8. No score is better than the first: learning rates fall.
CONFIG = SupervisedConfig(epochs=3, batch_size=4, decay="stalled", stalled_epochs=1, learning_rate=1e-2, seeds=2)
SOLVER = SolverConfig(hidden=(8,), tracks=16, adam_updates=20, polish_updates=6, polish_states=48)


def examples(config: SupervisedConfig) -> Examples:
    numbers = torch.arange(38 * 3.0).view(38, 3).sin()
    return Examples(numbers, (numbers.sum(dim=1) > 0).long())


def learner_of(*layers: Callable[[], nn.Module]) -> Callable[[Setting, int], Learner]:
    def make(setting: Setting, total_updates: int) -> Learner:
        network = lambda: nn.Sequential(nn.Linear(3, 8), *(layer() for layer in layers), nn.Linear(8, 2))  # noqa: E731
        return Learner(network, cross_entropy, setting.config, total_updates, setting.seeds, setting.device)

    return make


def score(learner: Any, setting: Setting, split: Split) -> dict[str, np.ndarray]:
    return {"score": np.zeros(len(setting.seeds))}


TINY = Experiment(
    name="tiny",
    task="",
    data="",
    target=Target("score", 1.0),
    minutes=1,
    config=CONFIG,
    load=examples,
    make_source=lambda setting: minibatches(setting.data, setting.config.batch_size, setting.seeds),
    make_learner=learner_of(nn.Tanh),
    evaluate=score,
)
NORMED = dataclasses.replace(TINY, make_learner=learner_of(lambda: nn.BatchNorm1d(8), nn.Tanh, lambda: Dropout(0.2)))


@contextmanager
def known(chosen: Experiment) -> Iterator[None]:
    """Here, and in processes that are forked from this one, there is one experiment, which is not tested."""
    with mock.patch.object(run, "find", lambda name: chosen), mock.patch.object(run, "_finish", lambda *_: {}):
        yield


@contextmanager
def interrupted(after: int) -> Iterator[None]:
    """Press Ctrl-C at rank 0 after so many updates."""
    advance = Ranked.advance

    def stop(workers: Ranked, goal: int, unit: Unit) -> None:
        advance(workers, min(goal, after), unit)
        if workers.updates == after:
            os.kill(os.getpid(), signal.SIGINT)

    with mock.patch.object(Ranked, "advance", stop):
        yield


def start(folder: Path, name: str, **options: Any) -> int:
    return run.train("tiny", dataclasses.replace(CONFIG, name=name, runs=str(folder), wandb="disabled", **options))


def last(run_folder: Path) -> dict[str, Any]:
    """A checkpoint, which is only written if the learners of all ranks are the same."""
    return Checkpoints(run_folder / "checkpoint").load()


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    else:
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other


def test_two_ranks_learn_as_one_process_does_from_batches_twice_as_large(tmp_path, capfd):
    with known(TINY):
        start(tmp_path, "alone", batch_size=8)
        start(tmp_path, "half")
        capfd.readouterr()
        assert together(lambda: start(tmp_path, "shared")) == [0, 0]
        said = capfd.readouterr()
    shared, alone, half = (last(tmp_path / name) for name in ("shared", "alone", "half"))
    assert said.out.count("12 of 12 updates") == 2 and said.err == ""
    assert shared["updates"] == alone["updates"] == 12 and shared["source"] == shared["ranks"]["rank_1"]["source"]
    assert shared["learner"]["plateau"]["share"].tolist() == [0.25, 0.25]
    torch.testing.assert_close(shared["learner"]["parameters"], alone["learner"]["parameters"])
    assert (half["learner"]["parameters"] - alone["learner"]["parameters"]).abs().max() > 0.01


def test_an_experiment_of_ranks_resumes_to_the_same_bits_with_as_many_ranks_only(tmp_path):
    cut = tmp_path / "cut"

    def of_three() -> None:
        """Rank 0 says what is wrong, and the others go home."""
        try:
            run.resume(cut)
            assert ranks.rank()
        except CheckpointError as error:
            assert not ranks.rank() and "the checkpoint is one of 2 ranks, there are 3 now" in str(error)

    with known(NORMED):
        assert together(lambda: start(tmp_path, "whole")) == [0, 0]
        with interrupted(5):
            assert together(lambda: start(tmp_path, "cut")) == [130, 0]
        assert last(cut)["updates"] == 5
        with pytest.raises(CheckpointError, match="the checkpoint is one of 2 ranks: torchrun goes on with it"):
            run.resume(cut)
        assert together(of_three, 3) == [0, 0, 0]
        assert together(lambda: start(tmp_path, "cut"), restarts=1) == [0, 0]  # as torchrun starts them again
    whole, resumed = last(tmp_path / "whole"), last(cut)
    assert (whole["learner"]["buffers"]["1.running_mean"] != 0).all()
    assert_same(
        {name: whole[name] for name in ("learner", "source")}, {name: resumed[name] for name in ("learner", "source")}
    )


def test_an_economy_of_ranks_is_solved_on_the_paths_of_all_and_resumes_to_the_same_bits(tmp_path):
    def solve(name: str) -> int:
        given = {"seeds": 2, "name": name, "runs": str(tmp_path), "wandb": "disabled", "config": SOLVER}
        return economies.solve("brock-mirman", **given)

    with mock.patch.object(economies, "_examine", lambda *_: 3):
        assert solve("alone") == 3
        assert together(lambda: solve("whole")) == [0, 0]  # not 3: torchrun would start them again
        with interrupted(SOLVER.adam_updates + 2):
            assert together(lambda: solve("cut")) == [130, 0]
        assert together(lambda: economies.resume(tmp_path / "cut")) == [0, 0]
    whole, cut, alone = (last(tmp_path / name) for name in ("whole", "cut", "alone"))
    for name in ("learner", "source"):
        assert_same(whole[name], cut[name])
    assert_same(whole["ranks"]["rank_1"]["source"], cut["ranks"]["rank_1"]["source"])
    paths = whole["source"]["state"], whole["ranks"]["rank_1"]["source"]["state"]
    assert not torch.isin(paths[0], paths[1]).any()
    assert not torch.equal(whole["learner"]["solution"], alone["learner"]["solution"])


def test_what_is_not_finite_on_one_rank_is_undone_on_all(tmp_path):
    sample = EconomyPath.sample

    def sometimes_bad(path: EconomyPath) -> PathBatch:
        batch = sample(path)
        return PathBatch(batch.state * float("nan")) if ranks.rank() and path.collected == 5 else batch

    def solve() -> int:
        config = dataclasses.replace(SOLVER, adam_updates=8, polish_updates=0)
        return economies.solve("brock-mirman", name="bad", runs=str(tmp_path), wandb="disabled", config=config)

    with (
        mock.patch.object(EconomyPath, "sample", sometimes_bad),
        mock.patch.object(economies, "_examine", lambda *_: 0),
    ):
        assert together(solve) == [0, 0]
    assert last(tmp_path / "bad")["learner"]["failures"].tolist() == [1]


def test_rank_0_says_what_is_wrong_and_the_others_nothing(tmp_path, capfd):
    with known(TINY):
        assert together(lambda: start(tmp_path, "r", batch_size=39)) == [1, 0]
    said = capfd.readouterr()
    assert said.err.count("ValueError: --batch-size 39 is more than the 38 examples there are") == 1
    assert said.err.count("Traceback") == 1 and not (tmp_path / "r").exists()


def test_what_ranks_cannot_share_is_refused(tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    by_hand = dataclasses.replace(TINY, make_learner=lambda *_: ByHand({"w": torch.zeros(2)}, lambda *_: {}))
    with pytest.raises(ValueError, match="tiny is not for ranks: it learns by hand"):
        run._Work(by_hand, CONFIG)
    with pytest.raises(ValueError, match=r"an epoch has fewer batches \(1\) than there are ranks \(2\)"):
        run._Work(TINY, dataclasses.replace(CONFIG, batch_size=38))
    with pytest.raises(ValueError, match="ranks cannot share these batches: each window goes on"):
        streams(torch.arange(100), 2, 5, [0])


@pytest.mark.slow
def test_ranks_go_on_from_the_last_checkpoint_when_one_is_killed(tmp_path):
    """The same economy with and without a kill has the same solution."""
    options = ["growth", "--adam-updates", "600", "--polish-updates", "5", "--wandb", "disabled", "--name"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "2"]
    command += [str(ROOT / "scripts" / "equilibrium.py"), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RLSUITE_TRACE": ""}
    subprocess.run([*command, "whole"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    process = subprocess.Popen([*command, "killed"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs" / "killed" / "metrics.jsonl"
    late = time.time() + 240
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 10:
        assert process.poll() is None and time.time() < late
        time.sleep(0.02)
    os.kill(int((metrics.parent / ".lock").read_text()), signal.SIGKILL)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert said.count("another rank is gone, and the last checkpoint is whole") == 1
    assert_same(*(last(tmp_path / "runs" / name)["learner"] for name in ("whole", "killed")))
    updates = [json.loads(line)["updates"] for line in metrics.read_text().splitlines()]
    assert updates == sorted(set(updates)) and updates[-1] == 605
