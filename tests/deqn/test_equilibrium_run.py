"""From a name to a run folder, and back from the folder alone."""

import dataclasses
import functools
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rlsuite.deqn import certificate, dynamics, plots, registry, run
from rlsuite.deqn.calibration import parse
from rlsuite.deqn.config import SolverConfig
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.checkpoint import CheckpointError
from rlsuite.training.worker import Unit, Worker

TINY = SolverConfig(hidden=(8,), tracks=32, adam_updates=30, polish_updates=10, polish_states=96)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fewer states and paths than people get: what is tested is what is done with them."""
    forecast = functools.partial(dynamics.den_haan_marcet, paths=10, periods=50, burn_in=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate, "_KEPT_PERIODS", 2)
        patch.setattr(certificate, "_TRACKS", 32)
        patch.setattr(certificate, "_REACH_STATES", 1000)
        patch.setattr(certificate, "_BURN_IN_PERIODS", 50)
        patch.setattr(plots, "_BURN_IN_PERIODS", 50)
        patch.setattr(certificate, "den_haan_marcet", forecast)
        patch.setattr(certificate, "stability", functools.partial(dynamics.stability, periods=200))
        yield


@pytest.fixture(scope="module")
def first(quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    status = run.solve("olg-6", seeds=2, seed=3, name="first", runs=str(folder), wandb="disabled", config=TINY)
    assert status == 3  # so short a training does not pass
    return folder / "first"


@pytest.fixture
def solved(first: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return Path(shutil.copytree(first, tmp_path / "first"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, which take longer than all else."""
    monkeypatch.setattr(run, "draw_all", lambda *given: None)


def test_a_run_leaves_its_certificate_metrics_and_plots(solved: Path, capsys: pytest.CaptureFixture) -> None:
    report = json.loads((solved / "certificate.json").read_text())
    assert not report["passed"]
    assert report["model"] == "olg-6"
    assert report["calibration"] == "krueger-kubler"
    assert {"mean", "median", "p90", "p99", "p999", "max"} <= set(report["euler_log10"])
    assert set(report["euler_log10"]["per_component"]) == {f"euler[{h}]" for h in range(1, 6)}
    assert [row["seed"] for row in report["per_seed"]] == [3, 4]
    metrics = read_metrics(solved / "metrics.jsonl")
    assert metrics["loss/euler"].updates.tolist() == [10, 20, 30]
    assert metrics["loss/held_out"].values.shape == (2, 1)
    assert metrics["loss/held_out"].values.max() < metrics["loss/euler"].values.min()
    for plot in ("training", "policy", "ergodic", "errors"):
        assert (solved / f"{plot}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("undrawn")
def test_certify_needs_the_folder_only(solved: Path) -> None:
    before = json.loads((solved / "certificate.json").read_text())
    (solved / "certificate.json").unlink()
    assert run.certify_run(solved) == 3
    assert json.loads((solved / "certificate.json").read_text()) == before


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run_resumes_to_the_same_solution(solved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Worker.advance

    def stop_at_17(worker: Worker[Any], goal: int, unit: Unit) -> None:
        advance(worker, min(goal, 17), unit)
        if worker.updates == 17:
            os.kill(os.getpid(), signal.SIGINT)

    runs = str(solved.parent)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "advance", stop_at_17)
        assert run.solve("olg-6", seeds=2, seed=3, name="cut", runs=runs, wandb="disabled", config=TINY) == 130
    assert not (solved.parent / "cut" / "certificate.json").exists()
    assert run.resume(solved.parent / "cut") == 3
    one, other = (json.loads((solved.parent / name / "certificate.json").read_text()) for name in ("first", "cut"))
    assert one["euler_log10"] == other["euler_log10"]
    (solved / "checkpoint" / "last").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="add --checkpoint previous"):
        run.resume(solved)
    monkeypatch.setattr(run, "_examine", lambda *given: 3)
    assert run.resume(solved, "previous") == 3
    assert read_metrics(solved / "metrics.jsonl")["loss/euler"].updates.tolist() == [10, 20, 30]


@pytest.mark.usefixtures("undrawn")
def test_parameters_are_kept_by_value_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = parse("beta=.6, productivity=(.9,1.1,.9,1.1)")
    assert given == {"discount": 0.6, "productivity": (0.9, 1.1, 0.9, 1.1)}
    run.solve("olg-6", name="mine", runs=str(tmp_path), wandb="disabled", config=TINY, parameters=given)
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    report = json.loads((tmp_path / "mine" / "certificate.json").read_text())
    assert config["parameters"] == report["parameters"]
    assert config["parameters"]["discount"] == 0.6
    assert config["parameters"]["capital_share"] == 0.3
    assert report["title"] == "olg-6 (krueger-kubler, discount=0.6, productivity=(0.9, 1.1, 0.9, 1.1))"
    seen = []
    monkeypatch.setattr(run, "_examine", lambda folder, document, economy, learner: seen.append(economy) or 3)
    run.certify_run(tmp_path / "mine")
    run.resume(tmp_path / "mine")
    for economy in seen:
        assert economy.discount == 0.6
        assert economy.calibration.productivity == (0.9, 1.1, 0.9, 1.1)
    assert len(seen) == 2


@pytest.mark.parametrize("text", ["risk_aversion", "risk_aversion=high", "=3", "beta=.9).x(beta=.8", "beta=1e999"])
def test_changes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--set takes name=value|there is no parameter|must be a number"):
        registry.build("growth", None, parse(text))


def test_bad_requests_leave_nothing_behind(tmp_path: Path) -> None:
    cases = [
        ({"model": "olg-5"}, "did you mean 'olg-6'"),
        ({"model": "growth", "calibration": "logg"}, "did you mean 'log'"),
        ({"model": "growth", "seeds": 0}, "--seeds must be positive"),
        ({"model": "growth", "device": "cuda:77"}, "device 'cuda:77' is not usable here"),
        ({"model": "growth", "seed": 2**63}, "--seed 9223372036854775808 is too large"),
        ({"model": "growth", "name": "a\0b"}, "null"),
        ({"model": "growth", "parameters": {"patience": 1.0}}, "there is no parameter 'patience': known are"),
        ({"model": "growth", "parameters": {"discount": 2.0}}, "discount must lie strictly between 0 and 1, not 2"),
        ({"model": "irbc", "parameters": {"substitution": 0.5}}, "substitution must be like"),
    ]
    for given, message in cases:
        with pytest.raises(ValueError, match=message):
            run.solve(**given, runs=str(tmp_path), wandb="disabled")
    with pytest.raises(ValueError, match="--damping must be more than 0"):
        dataclasses.replace(TINY, damping=0.0)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_runs_are_refused(solved: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already holds a run"):
        run.solve("olg-6", name="first", runs=str(tmp_path), wandb="disabled", config=TINY)
    with pytest.raises(ValueError, match="it has no config.json"):
        run.certify_run(tmp_path)
    (solved / "checkpoint" / "last").unlink()
    with pytest.raises(CheckpointError, match="previous is whole"):
        run.certify_run(solved)
    (solved / "config.json").write_text("{")
    with pytest.raises(ValueError, match="damaged or of another version"):
        run.resume(solved)


@pytest.mark.usefixtures("undrawn")
def test_a_certificate_does_not_depend_on_torchs_own_random_numbers(solved: Path) -> None:
    before = (solved / "certificate.json").read_text()
    torch.manual_seed(99)
    run.certify_run(solved)
    assert (solved / "certificate.json").read_text() == before
