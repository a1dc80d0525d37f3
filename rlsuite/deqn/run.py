"""Solve, certify and plot economies in run folders."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rlsuite import ranks
from rlsuite.configuration import check_seeds, from_json
from rlsuite.deqn import registry
from rlsuite.deqn.certificate import Report, certify
from rlsuite.deqn.certificate_table import print_certificate
from rlsuite.deqn.config import EquilibriumConfig, SolverConfig
from rlsuite.deqn.model import Model, PolicyFunction
from rlsuite.deqn.path import EconomyPath, PathBatch
from rlsuite.deqn.plots import draw_all
from rlsuite.deqn.solver import EquilibriumNet
from rlsuite.tracking import run_folder
from rlsuite.tracking.notices import without
from rlsuite.tracking.session import session
from rlsuite.tracking.wandb_writer import Mode
from rlsuite.training.checkpoint import Checkpoints, Name, clock, fitting, logged_until
from rlsuite.training.device import usable_device
from rlsuite.training.ranked import follow, has_begun, leading
from rlsuite.training.trainer import Schedule, Trainer
from rlsuite.training.worker import Worker

_LOG_EVERY_UPDATES = 10
Work = tuple[EquilibriumNet, EconomyPath]


def list_models() -> None:
    """Print every model with its calibrations, the default first."""
    for name in registry.names():
        print(f"{name:24s} {', '.join(registry.find(name).calibrations)}")


def solve(
    model: str,
    calibration: str | None = None,
    seeds: int = 1,
    seed: int = 0,
    device: str = "cpu",
    name: str | None = None,
    runs: str = "runs",
    wandb: Mode = "auto",
    config: SolverConfig | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> int:
    """Solve an economy in ``runs/NAME``, print its certificate and draw its plots.

    Args:
        model: a registered name, or a Python file that defines a model.
        config: of the solver, by default what is tuned for the model.
        parameters: of the calibration, where other than its own.

    Returns:
        The exit status: 0 where every seed passes its certificate, 3 where one does not (0 with several ranks), 130
        when interrupted.

    Raises:
        ValueError: unknown names, numbers out of their range, or a folder that is taken.
    """
    if seeds < 1:
        raise ValueError(f"--seeds must be positive, not {seeds}")
    # Before anything is written, so that a misspelling leaves nothing behind.
    economy = registry.build(model, calibration, parameters)
    config = config or registry.tuned(model, calibration, parameters)
    check_seeds(seed, seeds)
    chosen = EquilibriumConfig(
        model=model,
        calibration=calibration or next(iter(economy.calibrations)),
        seeds=tuple(range(seed, seed + seeds)),
        device=device,
        wandb=wandb,
        solver=config,
        parameters=dataclasses.asdict(economy.calibration),
    )
    document = dataclasses.asdict(chosen)

    def build() -> Work:
        if ranks.rank() == 0:
            run_folder.require_free(Path(runs), name)
        return _build(document, economy)

    with ranks.joined():
        if has_begun(Path(runs), name):
            return resume(Path(runs) / str(name))
        work = ranks.built(build)
        if ranks.rank():
            return _follow(document, work)
        folder = run_folder.create(Path(runs), name, Path(model).stem, document)
        with run_folder.locked(folder):
            return _train(folder, document, economy, work, None)


def resume(folder: Path, checkpoint: Name = "last") -> int:
    """Go on with a run exactly where a checkpoint left it; returns as ``solve`` does.

    Raises:
        ValueError: the folder holds no equilibrium run.
        CheckpointError: its checkpoint cannot be used.
    """
    document = _read(folder)
    economy = registry.build(document["model"], document["calibration"], document["parameters"])
    with ranks.joined():
        work = ranks.built(lambda: _build(document, economy))
        if ranks.rank():
            return _follow(document, work)
        with run_folder.locked(folder):
            return _train(folder, document, economy, work, checkpoint)


def certify_run(folder: Path, checkpoint: Name = "last") -> int:
    """Examine a finished run again, from a checkpoint alone; returns as ``solve`` does.

    Raises:
        ValueError: the folder holds no equilibrium run.
        CheckpointError: its checkpoint cannot be used.
    """
    document, economy, learner = _solution(folder, checkpoint)
    return _examine(folder, document, economy, learner)


def load_policies(folder: Path, checkpoint: Name = "last") -> tuple[Model, dict[int, PolicyFunction]]:
    """The economy of a run and the policy functions of states ``[B, D]`` by seed; raises as ``certify_run``."""
    document, economy, learner = _solution(folder, checkpoint)
    return economy, dict(zip(document["seeds"], _policies(learner), strict=True))


def _solution(folder: Path, checkpoint: Name) -> tuple[dict[str, Any], Model, EquilibriumNet]:
    document = _read(folder) | {"device": "cpu"}
    economy = registry.build(document["model"], document["calibration"], document["parameters"])
    learner, _ = _build(document, economy)
    state = Checkpoints(folder / "checkpoint").load(checkpoint)
    with fitting(f"the checkpoint of {folder}"):
        learner.load_state_dict(state["learner"])
    return document, economy, learner


def _policies(learner: EquilibriumNet) -> list[PolicyFunction]:
    """Return the policy function of each seed's solution, on the CPU wherever it was trained."""
    return [learner.network.policy_of_one(row) for row in learner.solution.cpu()]


def _read(folder: Path) -> dict[str, Any]:
    document, path = run_folder.read(folder, "economy"), folder / run_folder.CONFIG
    solver = from_json(SolverConfig, document.get("solver"), path)
    return dataclasses.asdict(from_json(EquilibriumConfig, document | {"solver": solver}, path))


def _build(document: dict[str, Any], economy: Model) -> Work:
    config = SolverConfig(**document["solver"])
    seeds, device = document["seeds"], usable_device(document["device"])
    # Small networks lose more to waking threads than they win.
    torch.set_num_threads(1)
    learner = EquilibriumNet(economy, config, seeds, device)
    return learner, EconomyPath(economy, learner.policy, config, [ranks.own_seed(seed) for seed in seeds], device)


def _worker(document: dict[str, Any], work: Work) -> Worker[PathBatch]:
    return Worker(*work, seeds=document["seeds"], same_metrics=False)


def _follow(document: dict[str, Any], work: Work) -> int:
    """Train as rank 0 says, which alone certifies and writes."""
    follow(_worker(document, work))
    return 0


def _train(
    folder: Path,
    document: dict[str, Any],
    economy: Model,
    work: Work,
    checkpoint: Name | None,
) -> int:
    """Solve in a new run, or go on from a checkpoint."""
    learner, source = work
    total = source.config.adam_updates + source.config.polish_updates
    checkpoints = Checkpoints(folder / "checkpoint")
    state = None if checkpoint is None or checkpoints.is_empty else checkpoints.load(checkpoint)
    if state is None:
        (folder / "metrics.jsonl").unlink(missing_ok=True)
    resume_at = None if state is None else clock(state)
    headlines = {f"loss/{name}": f"loss {name}" for name in economy.equation_names} | {"loss/held_out": "held out"}
    title = _title(document, economy)
    reports = session(
        folder,
        title,
        total,
        headlines,
        document["seeds"],
        "updates",
        document["wandb"],
        resume_at=resume_at,
        logged_until=None if state is None else logged_until(state),
    )
    with reports as opened:
        schedule = Schedule(total, "updates", log_every=_LOG_EVERY_UPDATES)
        with leading(_worker(document, work)) as workers:
            trainer = Trainer(workers, schedule, opened.tracker, checkpoints, opened.console.tick)
            trainer.go_on(state, checkpoint)
            outcome = trainer.run()
        if outcome.status == "interrupted":
            opened.status = "interrupted"
            return 130
        status = _examine(folder, document, economy, learner)
        opened.tracker.summary({"certificate": "passed" if status == 0 else "failed"})
        opened.status = "finished"
    # For torchrun any other status is that of a rank that was lost, and all are started again.
    return status if ranks.size() == 1 else 0


def _examine(folder: Path, document: dict[str, Any], economy: Model, learner: EquilibriumNet) -> int:
    policies = _policies(learner)
    reports = [certify(economy, policy, seed) for policy, seed in zip(policies, document["seeds"], strict=True)]
    certificate = combine(reports, document["seeds"])
    certificate |= {"title": _title(document, economy)}
    certificate |= {name: document[name] for name in ("model", "calibration", "parameters")}
    (folder / "certificate.json").write_text(json.dumps(certificate, indent=2) + "\n")
    print_certificate(certificate)
    worst = certificate["seed"]
    title = f"{certificate['title']}, seed {worst}"
    with without("figures"):
        draw_all(folder, economy, policies[document["seeds"].index(worst)], worst, title)
    return 0 if certificate["passed"] else 3


def _title(document: dict[str, Any], economy: Model) -> str:
    """Return the model, the name of its calibration, and the parameters that are others."""
    named = dataclasses.asdict(economy.calibrations[document["calibration"]])
    own = dataclasses.asdict(economy.calibration)
    changes = [f"{name}={value}" for name, value in own.items() if value != named[name]]
    return f"{document['model']} ({', '.join([document['calibration'], *changes])})"


def _worst(reports: list[Report]) -> int:
    """The seed with the largest mean error; one that could not be measured comes first."""
    return max(range(len(reports)), key=lambda k: reports[k].get("euler_log10", {}).get("mean", float("inf")))


def combine(reports: list[Report], seeds: list[int]) -> Report:
    """One certificate for all seeds: it passes if all do, shows the worst of them, and lists them all."""
    worst = _worst(reports)
    rows = [
        {"seed": seed, "passed": report["passed"]} | _short(report) for seed, report in zip(seeds, reports, strict=True)
    ]
    return reports[worst] | {
        "passed": all(report["passed"] for report in reports),
        "seed": seeds[worst],
        "per_seed": rows,
    }


def _short(report: Report) -> Report:
    errors = report.get("euler_log10", {})
    return {
        "failures": report["failures"],
        "euler_log10": {statistic: value for statistic, value in errors.items() if not statistic.startswith("per_")},
        "policy_error": report.get("policy_error"),
        "consumption_loss": report.get("consumption_loss"),
        "spectral_radius": report["stability"]["spectral_radius"],
    }
