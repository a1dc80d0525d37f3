"""Weights & Biases: a copy of the metrics in the cloud that may fail at any time without costing the run anything."""

import json
import netrc
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import numpy as np

from rlsuite.tracking.record import Axis, Clock, Status, Values
from rlsuite.tracking.statistics import iqm

if TYPE_CHECKING:
    import wandb

Mode = Literal["auto", "online", "offline", "disabled"]

_EXIT_CODES = {"finished": 0, "interrupted": 130, "failed": 1}  # W&B shows all but 0 as failed


class WandbWriter:
    """Logs a run to Weights & Biases.

    ``auto`` means online where W&B has a key (``WANDB_API_KEY``, netrc or its settings file), offline where not, and
    what ``WANDB_MODE`` or ``wandb offline`` say before either. It never asks for a key. Where the server does not
    answer, the run is kept offline, to be uploaded with ``wandb sync``; whatever goes wrong later is reported in one
    line, and training goes on.

    The seeds of a run share one W&B run, which shows the IQM over seeds of every metric as ``NAME``, with
    ``NAME/seed_min`` and ``NAME/seed_max``. With a ``group``, every seed has a W&B run of its own in that group.

    A resumed run goes on in the same W&B run: its id is kept in ``wandb.json``. Rows carry the env steps (or updates)
    as W&B's step, so what a resumed run reports a second time is recognised and dropped online. Offline, each session
    leaves one folder ``wandb/offline-run-*``; ``wandb sync`` uploads them in order into the one run.

    Args:
        folder: the run's folder. W&B's files go to ``wandb/`` in it.
        name: how the run is called in W&B.
        config: everything that was chosen for the run, nested, in JSON values.
        seeds: the S seeds, in the order of the values that are logged.
        mode: where to log, see above; ``disabled`` does nothing at all.
        project: the W&B project; by default ``WANDB_PROJECT``, else ``rlsuite``.
        group: one W&B run a seed, in the group of this name.
        axis: the count that curves are drawn over.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        seeds: Sequence[int] = (0,),
        mode: Mode = "auto",
        project: str | None = None,
        group: str | None = None,
        axis: Axis = "env_steps",
    ) -> None:
        self._folder = folder
        self._config = dict(config)
        self._project = project or os.environ.get("WANDB_PROJECT", "rlsuite")
        self._group = group
        self._axis: Axis = axis
        self._names = [name] if group is None else [f"{name}-seed{seed}" for seed in seeds]
        self._complained = False
        self._runs: list[wandb.Run] = []
        if mode != "disabled":
            with self._tolerate("could not start"):
                self._runs = self._start(mode)

    def log(self, clock: Clock, values: Values) -> None:
        for index, run in enumerate(self._runs):
            row: dict[str, float] = {}
            for name, value in values.items():
                row |= over_seeds(name, value if self._group is None else _of_seed(value, index))
            with self._tolerate("did not take a row of metrics"):
                run.log(row | vars(clock), step=getattr(clock, self._axis))

    def video(self, clock: Clock, name: str, path: Path) -> None:
        """Upload a video file; with a group, to the run of the first seed."""
        for run in self._runs[:1]:
            with self._tolerate(f"did not take the video {path}"):
                import wandb

                video = wandb.Video(str(path), format=path.suffix[1:])  # type: ignore[arg-type]
                run.log({name: video} | vars(clock), step=getattr(clock, self._axis))

    def summary(self, values: Mapping[str, Any]) -> None:
        for index, run in enumerate(self._runs):
            with self._tolerate("did not take the summary"):
                run.summary.update({name: self._result(value, index) for name, value in values.items()})

    def close(self, status: Status) -> None:
        """Wait a while for what is still to be uploaded; the rest stays on disk."""

        def finish(run: "wandb.Run") -> None:
            with self._tolerate("did not get everything in time", f"To upload the rest: {self._sync_command('run-*')}"):
                run.finish(exit_code=_EXIT_CODES[status])

        if self._runs:
            with ThreadPoolExecutor(len(self._runs)) as pool:
                list(pool.map(finish, self._runs))
            self._runs = []
        if self._complained:
            # W&B's own process may be gone, and would be missed noisily when Python exits.
            with suppress(Exception):
                import wandb

                wandb.teardown()

    def _start(self, mode: Mode) -> "list[wandb.Run]":
        match _resolve(mode):
            case "disabled":
                return []
            case "online":
                return self._open_online()
            case "offline":
                return self._open("offline")

    def _open_online(self) -> "list[wandb.Run]":
        import wandb

        try:
            runs = self._open("online")
        except Exception as error:
            advice = f"To upload it later: {self._sync_command('offline-run-*')}"
            _say(f"W&B cannot be used now, so this run is kept offline ({_reason(error)}). {advice}")
            # The failed attempt occupies the run's id until W&B's own process is gone.
            wandb.teardown()
            _quiet_settings()
            return self._open("offline")
        _say(f"W&B: {runs[0].url if self._group is None else f'{runs[0].project_url}/groups/{self._group}'}")
        return runs

    def _open(self, mode: Literal["online", "offline"]) -> "list[wandb.Run]":
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        runs = []
        for index, (name, run_id) in enumerate(zip(self._names, self._run_ids(), strict=True)):
            settings = wandb.Settings(
                silent=True,
                console="off",
                allow_val_change=True,
                api_key=_api_key(wandb.setup().settings),  # given to it, so that it never asks
                init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", 6)),
                finish_timeout=float(os.environ.get("WANDB_FINISH_TIMEOUT", 30)),
                finish_timeout_raises=True,
                x_disable_stats=index > 0,  # the machine is the same for all
            )
            run = wandb.init(
                mode=mode,
                project=self._project,
                group=self._group,
                name=name,
                id=run_id,
                resume="allow",
                reinit="create_new",
                dir=self._folder,
                config=self._config,
                settings=settings,
            )
            for clock_field in ("env_steps", "updates", "wall_seconds"):
                run.define_metric(clock_field, hidden=True)
            run.define_metric("*", step_metric=self._axis)
            runs.append(run)
        return runs

    def _run_ids(self) -> list[str]:
        """The ids of this run's W&B runs: those it had before, where it is resumed."""
        path = self._folder / "wandb.json"
        try:
            run_ids = json.loads(path.read_text())["run_ids"]
            if len(run_ids) == len(self._names):
                return run_ids
        except (OSError, ValueError, KeyError):
            pass
        run_ids = [secrets.token_hex(4) for _ in self._names]
        path.write_text(json.dumps({"run_ids": run_ids}) + "\n")
        return run_ids

    def _result(self, value: Any, index: int) -> Any:
        if isinstance(value, np.ndarray):
            return value.tolist() if self._group is None else _of_seed(value, index)
        return str(value) if isinstance(value, Path) else value

    def _sync_command(self, folders: str) -> str:
        return f"wandb sync {self._folder / 'wandb' / folders}"

    @contextmanager
    def _tolerate(self, complaint: str, advice: str = "Its metrics are in metrics.jsonl.") -> Iterator[None]:
        """Report the first failure in one line and swallow the others: W&B must never cost a run."""
        try:
            yield
        except Exception as error:
            first, self._complained = not self._complained, True
            if first:
                _say(f"W&B {complaint} ({_reason(error)}). The run goes on. {advice}")


def over_seeds(name: str, value: float | np.ndarray) -> dict[str, float]:
    """The rows of one metric: a single value as it is, values [S] of many seeds as IQM and range.

    Seeds without a finite value are left out; where none has one there are no rows.
    """
    scores = np.atleast_1d(np.asarray(value, dtype=np.float64))
    finite = scores[np.isfinite(scores)]
    if finite.size == 0:
        return {}
    if scores.size == 1:
        return {name: float(finite[0])}
    return {name: float(iqm(finite)), f"{name}/seed_min": float(finite.min()), f"{name}/seed_max": float(finite.max())}


def _of_seed(value: float | np.ndarray, index: int) -> float:
    return float(value if np.ndim(value) == 0 or np.size(value) == 1 else np.asarray(value)[index])


def _resolve(mode: Mode) -> Literal["online", "offline", "disabled"]:
    settings = _quiet_settings()
    asked = settings.mode if mode == "auto" else mode
    if asked in ("disabled", "offline"):
        return asked
    if asked != "dryrun" and (_api_key(settings) or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")):
        return "online"
    if mode == "online":
        _say("W&B has no key here, so this run is kept offline. 'wandb login' changes that for the next one.")
    return "offline"


def _api_key(settings: "wandb.Settings") -> str | None:
    """The key from the environment or W&B's settings, else from the netrc file, as W&B looks for it."""
    if settings.api_key:
        return settings.api_key
    for path in (os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"):
        try:
            entry = netrc.netrc(str(path)).authenticators(urlsplit(settings.base_url).netloc) if path else None
        except (OSError, netrc.NetrcParseError):
            continue
        if entry is not None:
            return entry[2]
    return None


def _quiet_settings() -> "wandb.Settings":
    """W&B's settings from the environment and its files, after it has been told to be quiet."""
    import wandb  # takes a second

    return wandb.setup(settings=wandb.Settings(silent=True, console="off")).settings


def _reason(error: Exception) -> str:
    return shorten(str(error), width=200, placeholder=" ...") or type(error).__name__


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
