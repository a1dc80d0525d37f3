"""Training a run from start to end: the loop, then an evaluation, a learning curve and a video."""

import dataclasses
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from agents.options import RunConfig
from agents.runs.action_spaces import require_acts_in
from agents.runs.building import build_trainer, build_worker, build_workers
from agents.runs.deciding import final_episodes
from agents.runs.evaluating import evaluate_run
from agents.runs.registry import agent_spec
from agents.runs.run import Run, Spaces, decided, git_commit, make_folder, of_rank, open_run, plan, spaces_of
from agents.runs.sources import require_room_for
from agents.runs.watching import record
from rlsuite import ranks
from rlsuite.experience import ExperienceError
from rlsuite.option_groups import nested
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.lease import require_lease
from rlsuite.tracking.notices import without
from rlsuite.tracking.plots import Curve, learning_curve
from rlsuite.tracking.record import Clock
from rlsuite.tracking.session import Session, session
from rlsuite.training.checkpoint import CheckpointError, Name, clock, logged_until, to_device
from rlsuite.training.evaluation import EvaluationStopped
from rlsuite.training.ranked import follow, has_begun
from rlsuite.training.signals import StopRequest
from rlsuite.training.trainer import Outcome, Workers

_HEADLINES = {"train/return": "return", "evaluation/score": "evaluation"}
_VIDEO_SECONDS = 20.0


class Ended(NamedTuple):
    """The outcome of a session of training."""

    run: Run
    finished: bool  # False where it was asked to stop


def train(agent: str, config: RunConfig) -> Ended:
    """Train a new run until it is finished, or asked to stop by Ctrl-C or SIGTERM.

    Raises:
        ValueError: the configuration does not fit.
        TrainingError, ExperienceError: training could not go on; the last good checkpoint is kept.
    """
    with ranks.joined(), ExitStack() as at_work:
        if has_begun(Path(config.runs), config.name):
            return resume_run(Path(config.runs) / str(config.name))
        run = plan(agent, config)
        spaces = spaces_of(run)
        require_acts_in(run.agent, spaces.action)
        require_room_for(run, spaces)
        if ranks.rank():
            return _follow(run)
        # Errors in the configuration are raised before any file is written.
        workers = build_workers(run)
        at_work.callback(workers.close)
        run = make_folder(run, spaces)
        with run_folder.locked(run.folder):
            return _train(run, spaces, workers, at_work, None)


def resume_run(
    folder: Path,
    checkpoint: Name = "last",
    total_env_steps: int | None = None,
    device: str | None = None,
    workers: int | None = None,
    take_over: bool = False,
) -> Ended:
    """Go on with a run where its checkpoint left it, or from the start where it has none; see ``train``.

    Args:
        total_env_steps: where the run is to end from now on; kept in its ``config.json``.
        device, workers: to use instead of the run's own, this time; ``decided`` in ``config.json`` then names them.
        take_over: although another process trains there, which then writes nothing more.

    Raises:
        CheckpointError: the checkpoint is damaged, or missing of a run that has results.
    """
    named = {"total_env_steps": total_env_steps, "device": device, "workers": workers}
    changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}

    def opened() -> Run:
        run = open_run(folder)
        return of_rank(dataclasses.replace(run, config=dataclasses.replace(run.config, **changes)))

    run = opened()
    if ranks.rank():
        with ranks.joined():
            return _follow(run)
    with ranks.joined(), run_folder.locked(folder, take_over), ExitStack() as at_work:
        run = opened()  # another session may have extended it until now
        state = _load(run, checkpoint)
        now = 0 if state is None else clock(state).env_steps
        if total_env_steps is not None and total_env_steps < now:
            raise ValueError(f"--total-env-steps {total_env_steps:,} is behind {run.folder}, which is at {now:,}")
        if workers is not None and workers > (run.config.shards or 1):
            raise ValueError(f"--workers {workers} is more than the {run.config.shards or 1} shards of {folder}")
        spaces = spaces_of(run)
        spaces.require_those_of(run)
        require_room_for(run, spaces)
        group = build_workers(run)
        at_work.callback(group.close)
        return _train(run, spaces, group, at_work, state, checkpoint)


def _follow(run: Run) -> Ended:
    """Train as rank 0 says, which alone writes into the run's folder."""
    follow(build_worker(run))
    return Ended(run, finished=True)


def _load(run: Run, checkpoint: Name) -> dict[str, Any] | None:
    if run.checkpoints.is_empty:
        if (run.folder / "evaluation.json").exists():
            raise CheckpointError(f"{run.folder} has results, but its checkpoint is gone: it cannot go on from there")
        if run.checkpoints.exists("best") or run.checkpoints.kept:
            raise CheckpointError(f"{run.folder} holds a trained agent, and nothing that its training could go on from")
        print(f"{run.folder} has no checkpoint yet: it starts over")
        (run.folder / "metrics.jsonl").unlink(missing_ok=True)
        return None
    return run.checkpoints.load(checkpoint)


def _update_document(run: Run, spaces: Spaces, env_steps: int) -> None:
    """Write to ``config.json`` what this session does otherwise than the one before: code, options, decisions, end."""
    stored_document = run_folder.read(run.folder)
    document = stored_document | {"decided": decided(run, spaces)}
    before_commit, commit = document.get("commit"), git_commit()
    if commit and before_commit and commit != before_commit:
        print(f"{run.folder} was trained by commit {before_commit[:7]}, and goes on with {commit[:7]}")
        document |= {"commit": commit, "earlier_commits": [*document.get("earlier_commits", []), before_commit]}
    if document.get("config_digest", (now := run_folder.digest(document.get("config")))) != now:
        print(f"the options in {run.folder}/config.json were changed by hand: the run goes on with what they are now")
        document["edited_at_env_steps"] = [*document.get("edited_at_env_steps", []), env_steps]
    stored = open_run(run.folder).config
    before, total = stored.total_env_steps, run.config.total_env_steps
    if total != before:
        document["config"] = nested(dataclasses.replace(stored, total_env_steps=total))
        _extend(document, run, env_steps, before)
    document["config_digest"] = run_folder.digest(document["config"])
    if document != stored_document:
        run_folder.write(run.folder, document)


def _extend(document: dict[str, Any], run: Run, env_steps: int, before: int) -> None:
    """Note a changed number of env steps in ``document``, and print what follows from it."""
    total = run.config.total_env_steps
    time_now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    extension = {"time": time_now, "at_env_steps": env_steps, "from_env_steps": before, "to_env_steps": total}
    earlier = document.get("extensions")
    document["extensions"] = [*(earlier if isinstance(earlier, list) else []), extension]
    print(
        f"{run.folder} now ends at {total:,} env steps instead of {before:,}; what changes over the run, such as a "
        f"falling learning rate, goes on as at env step {env_steps:,} of a run of {total:,}"
    )


def _train(
    run: Run,
    spaces: Spaces,
    workers: Workers,
    at_work: ExitStack,
    state: dict[str, Any] | None,
    checkpoint: Name = "last",
) -> Ended:
    """Train with workers, which ``at_work`` closes, and finish the run."""
    config = run.config
    resume_at = None if state is None else clock(state)
    reports = session(
        run.folder,
        f"{run.agent_name} on {config.env}",
        config.total_env_steps,
        {**_HEADLINES, **agent_spec(run.agent).headline},
        run.seeds,
        wandb=config.wandb,
        wandb_project=config.wandb_project,
        wandb_group=config.wandb_group,
        resume_at=resume_at,
        logged_until=None if state is None else logged_until(state),
    )
    with reports as opened:
        trainer = build_trainer(run, opened.tracker, opened.console.tick, workers)
        trainer.go_on(None if state is None else to_device(state, run.device), checkpoint)
        _update_document(run, spaces, 0 if resume_at is None else resume_at.env_steps)
        outcome: Outcome | None = None
        with suppress(EvaluationStopped):
            outcome = trainer.run()
        at_work.close()  # environments of the training; the number of copies may be limited
        if outcome is None or outcome.status == "interrupted":
            opened.status = "interrupted"
            return Ended(run, finished=False)
        try:
            with StopRequest():
                _finish(run, opened, outcome.clock)
        except EvaluationStopped:  # it is made again where the run goes on
            opened.status = "interrupted"
            return Ended(run, finished=False)
        opened.status = "finished"
    return Ended(run, finished=True)


def _finish(run: Run, opened: Session, clock: Clock) -> None:
    """Evaluate a finished run, and add its learning curve, video and summary to its folder."""
    episodes = final_episodes(run.config)
    # With a target return, each seed's best checkpoint is the one that reached it.
    checkpoint: Name = "last" if run.config.target_return is None else "best"
    report = evaluate_run(run, episodes, checkpoint) if episodes else {}
    series = read_metrics(run.folder / "metrics.jsonl").get("evaluation/score")
    require_lease(run.folder)
    if series is not None:
        curve = Curve(run.folder.name, series.env_steps, series.values)
        with without("learning curve"):
            learning_curve(
                run.folder / "learning_curve.png",
                [curve],
                y_label="evaluation return",
                title=f"{run.agent_name} on {run.config.env}",
            )
    cut = ("unfinished_episodes", "cut_at_env_steps")
    interval = ("ci95", "ci95_over")
    shown = ("mean", "iqm", *interval, "per_seed_mean", "episodes", *cut, "protocol", "checkpoint", "human_normalised")
    opened.tracker.summary({name: report[name] for name in shown if name in report})
    if run.config.video:
        try:
            video = record(run, run.folder / "videos" / "final.mp4", max_seconds=_VIDEO_SECONDS)
        except Exception as error:  # a missing screen, encoder or renderer must not fail the training
            why = str(error) if isinstance(error, ValueError | ExperienceError | OSError) else repr(error)
            print(f"no video: {why}")
        else:
            opened.tracker.video(clock, "final", video)
