"""Weights & Biases: a copy of the metrics in the cloud. Its failures never affect the run."""

import json
import netrc
import os
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import numpy as np

from rlsuite.tracking import wandb_process
from rlsuite.tracking.notices import reason, say
from rlsuite.tracking.record import Axis, Clock, Status, Values
from rlsuite.tracking.statistics import iqm

if TYPE_CHECKING:
    import wandb

T = TypeVar("T")
Mode = Literal["auto", "online", "offline", "disabled"]

# Time limits of waits for W&B.
_START_SECONDS = 60.0
_INIT_SECONDS, _FINISH_SECONDS = 6.0, 30.0  # of its server
_ANSWER_SECONDS = 10.0
_PATIENCE_SECONDS = 3.0  # until a message says what is waited for

_EXIT_CODES = {"finished": 0, "interrupted": 130, "failed": 1}  # W&B shows all but 0 as failed


class WandbWriter:
    """Logs a run to Weights & Biases.

    ``auto`` means online where W&B has a key (``WANDB_API_KEY``, netrc or its settings file), offline where not, and
    what ``WANDB_MODE`` or ``wandb offline`` say before either. It never asks for a key. Where the server does not
    answer, the run is kept offline, to be uploaded with ``wandb sync``; whatever goes wrong later is reported in one
    line, and training goes on. Where W&B's own process does not answer, W&B is left out from there on. Without the
    package ``wandb`` there is a line that says so.

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
            limit = _START_SECONDS + len(self._names) * _seconds("WANDB_INIT_TIMEOUT", _INIT_SECONDS)
            self._runs = self._ask("could not start", lambda: self._start(mode), limit) or []

    def log(self, clock: Clock, values: Values) -> None:
        def pass_on() -> None:
            for index, run in enumerate(self._runs):
                row: dict[str, float] = {}
                for name, value in values.items():
                    row |= over_seeds(_accepted(name), value if self._group is None else _of_seed(value, index))
                run.log(row | vars(clock), step=getattr(clock, self._axis))

        if self._runs:
            self._ask("did not take a row of metrics", pass_on)

    def video(self, clock: Clock, name: str, path: Path) -> None:
        """Upload a video file; with a group, to the run of the first seed."""

        def pass_on() -> None:
            import wandb

            video = wandb.Video(str(path), format=path.suffix[1:])  # type: ignore[arg-type]
            self._runs[0].log({_accepted(name): video} | vars(clock), step=getattr(clock, self._axis))

        if self._runs:
            self._ask(f"did not take the video {path}", pass_on)

    def summary(self, values: Mapping[str, Any]) -> None:
        def pass_on() -> None:
            for index, run in enumerate(self._runs):
                run.summary.update({_accepted(name): self._result(value, index) for name, value in values.items()})

        if self._runs:
            self._ask("did not take the summary", pass_on)

    def sync(self) -> None:
        """Nothing here is ever missed."""

    def close(self, status: Status) -> None:
        """Wait a while for what is still to be uploaded; the rest stays on disk. Ctrl-C ends the wait."""
        if not self._runs:
            return

        def finish() -> None:
            for ending in [
                wandb_process.begin(partial(run.finish, exit_code=_EXIT_CODES[status])) for run in self._runs
            ]:
                ending.result()

        limit = _seconds("WANDB_FINISH_TIMEOUT", _FINISH_SECONDS) + _ANSWER_SECONDS
        advice = f"To upload the rest: {_sync_command(self._runs)}"
        note = Timer(_PATIENCE_SECONDS, say, [f"Waiting for W&B, for {limit:.0f} s at most; Ctrl-C ends the wait."])
        note.daemon = True
        note.start()
        try:
            self._ask("did not get everything in time", finish, limit, advice)
        except KeyboardInterrupt:  # the metrics are saved already
            say(f"W&B was not waited for. {advice}")
        finally:
            note.cancel()
        if self._complained:
            wandb_process.leave()  # its process may still wait for its server
        self._runs = []

    def _ask(
        self,
        complaint: str,
        call: Callable[[], T],
        seconds: float | None = None,
        advice: str = "Its metrics are in metrics.jsonl.",
    ) -> T | None:
        """Let W&B do something. It must not cost a run: there is a time limit, and one line for the first failure.

        Raises:
            KeyboardInterrupt: Ctrl-C during the wait. W&B is not used after it.
        """
        try:
            return wandb_process.within(seconds or _ANSWER_SECONDS, call)
        except ModuleNotFoundError as error:
            self._complain(f"W&B is left out: there is no package {error.name!r} here ('pip install wandb').")
        except Exception as error:
            self._complain(f"W&B {complaint} ({reason(error)}). The run goes on. {advice}")
            if isinstance(error, wandb_process.Hangs):
                self._leave_out()
        except KeyboardInterrupt:
            self._leave_out()
            raise
        return None

    def _complain(self, line: str) -> None:
        if not self._complained:
            say(line)
        self._complained = True

    def _leave_out(self) -> None:
        self._runs = []
        wandb_process.kill()

    def _start(self, mode: Mode) -> "list[wandb.Run]":
        try:
            match _resolve(mode):
                case "disabled":
                    return []
                case "online":
                    return self._open_online()
                case "offline":
                    return self._open("offline")
        finally:
            wandb_process.guard_exit()

    def _open_online(self) -> "list[wandb.Run]":
        import wandb

        try:
            runs = self._open("online")
        except Exception as error:
            if self._complained:
                raise  # nobody waits for this start any more
            # The failed attempt occupies the run's id until W&B's own process is gone.
            wandb.teardown()
            _quiet_settings()
            runs = self._open("offline")
            advice = f"To upload it later: {_sync_command(runs)}"
            say(f"W&B cannot be used now, so this run is kept offline ({reason(error)}). {advice}")
            return runs
        say(f"W&B: {runs[0].url if self._group is None else f'{runs[0].project_url}/groups/{self._group}'}")
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
                api_key=_api_key(wandb.setup().settings),  # passed on, so that W&B never asks for it
                init_timeout=_seconds("WANDB_INIT_TIMEOUT", _INIT_SECONDS),
                finish_timeout=_seconds("WANDB_FINISH_TIMEOUT", _FINISH_SECONDS),
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
    values = np.ravel(value)
    return float(values[index if values.size > 1 else 0])


def _accepted(name: str) -> str:
    """A metric's name as W&B takes it: a backslash ends its process, and what is not UTF-8 the row."""
    return name.encode(errors="replace").decode().replace("\\", "_")


def _sync_command(runs: "Sequence[wandb.Run]") -> str:
    """Return the shell command that uploads these runs later."""
    folders = [Path(run.dir).parent for run in runs]
    if len(folders) == 1:
        return f"wandb sync {shlex.quote(str(folders[0]))}"
    kind = folders[0].name.partition("run-")[0]  # "offline-" or nothing
    return f"wandb sync {shlex.quote(str(folders[0].parent))}/{kind}run-*"


def _seconds(variable: str, default: float) -> float:
    """A time limit from the environment."""
    try:
        return float(os.environ[variable])
    except (KeyError, ValueError):
        return default


def _resolve(mode: Mode) -> Literal["online", "offline", "disabled"]:
    settings = _quiet_settings()
    asked = settings.mode if mode == "auto" else mode
    if asked in ("disabled", "offline"):
        return asked
    if asked != "dryrun" and (_api_key(settings) or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")):
        return "online"
    if mode == "online":
        say("W&B has no key here, so this run is kept offline. 'wandb login' changes that for the next one.")
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
