"""Training a run from start to end: the loop, then an evaluation, a learning curve and a video."""

import dataclasses
from pathlib import Path
from typing import Any

from agents.configs import RunConfig
from agents.crews import build_trainer
from agents.evaluating import evaluate_run
from agents.registry import find_spec
from agents.runs import Run, create, is_atari, open_run
from agents.watching import record
from envs.watched import RenderError
from rlsuite.experience import ExperienceError
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.record import Clock
from rlsuite.training.checkpoint import load, to_device
from rlsuite.training.session import Session, session

_HEADLINES = {"train/return": "return", "evaluation/score": "evaluation"}
_FINAL_EPISODES = 100
_VIDEO_SECONDS = 20.0
_FINAL_EPISODES_ATARI = 10  # an Atari episode takes up to half an hour of play


def train(agent: str, config: RunConfig) -> int:
    """Train a new run; returns the exit status: 0, or 130 where it was asked to stop.

    Raises:
        ValueError: the configuration does not fit.
        TrainingError, ExperienceError: training could not go on; the last good checkpoint is kept.
    """
    return _sit(create(agent, config), None)


def resume_run(folder: Path, checkpoint: str = "last", total_env_steps: int | None = None) -> int:
    """Go on with a run where its checkpoint left it; see ``train``.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    run = open_run(folder)
    if total_env_steps is not None:
        run = dataclasses.replace(run, config=dataclasses.replace(run.config, total_env_steps=total_env_steps))
    state = run.checkpoints.load_last() if checkpoint == "last" else load(run.checkpoints.folder / checkpoint)
    return _sit(run, state)


def _sit(run: Run, state: dict[str, Any] | None) -> int:
    config = run.config
    resume_at = None if state is None else Clock(**state["clock"])
    reports = session(
        run.folder,
        f"{run.agent} on {config.env}",
        config.total_env_steps,
        {**_HEADLINES, **find_spec(run.agent).headline},
        run.seeds,
        wandb=config.wandb,
        wandb_project=config.wandb_project,
        wandb_group=config.wandb_group,
        resume_at=resume_at,
    )
    with reports as sitting:
        trainer = build_trainer(run, sitting.tracker, sitting.console.tick)
        try:
            if state is not None:
                trainer.load_state_dict(to_device(state, run.device))
            outcome = trainer.run()
        finally:
            trainer.crew.close()
        if outcome.status == "interrupted":
            sitting.status = "interrupted"
            print(f"stopped; go on with: python scripts/train.py --resume {run.folder}")
            return 130
        _conclude(run, sitting, outcome.clock)
        sitting.status = "finished"
    return 0


def _conclude(run: Run, sitting: Session, clock: Clock) -> None:
    """What a finished run leaves behind besides its metrics and checkpoints."""
    episodes = _FINAL_EPISODES_ATARI if is_atari(run.config.env) else _FINAL_EPISODES
    # Who asks for a return wants the agents that reached it, each of them at its own time.
    report = evaluate_run(run, episodes, "last" if run.config.target_return is None else "best")
    series = read_metrics(run.folder / "metrics.jsonl").get("evaluation/score")
    if series is not None:
        curve = Curve(run.folder.name, series.env_steps, series.values)
        learning_curve(
            run.folder / "learning_curve.png",
            [curve],
            y_label="evaluation return",
            title=f"{run.agent} on {run.config.env}",
        )
    shown = ("mean", "iqm", "ci95", "per_seed_mean", "episodes", "protocol", "checkpoint", "human_normalised")
    sitting.tracker.summary({name: report[name] for name in shown if name in report})
    if run.config.video:
        try:
            video = record(run, run.folder / "videos" / "final.mp4", max_seconds=_VIDEO_SECONDS)
        except (RenderError, ExperienceError, OSError) as error:
            print(f"no video: {error}")  # the training is not lost to a missing screen
        else:
            sitting.tracker.video(clock, "final", video)
