"""Print the progress of a run: a live panel in a terminal, elsewhere a line at intervals."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
import rich.console
from rich.live import Live
from rich.text import Text

from rlsuite.tracking.notices import reason, say
from rlsuite.tracking.panel import progress_panel
from rlsuite.tracking.progress import Progress
from rlsuite.tracking.record import Axis, Clock, Status, Values
from rlsuite.tracking.text import count_text, duration_text, number_text, range_text, rate_text

_REDRAW_SECONDS = 0.25
_LINE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0
_FEW_SEEDS = 10
_RESULT_LABELS = {
    "per_seed_mean": "score of each seed",
    "iqm": "IQM",
    "ci95": "95 % interval of the IQM",
    "ci95_over": "interval over",
}

P = ParamSpec("P")


class _Output(rich.console.Console):
    def on_broken_pipe(self) -> None:
        """Raise what the caller has caught, where rich would end the program."""
        raise


def _harmless(show: Callable[Concatenate["Console", P], None]) -> Callable[Concatenate["Console", P], None]:
    """Make a method report its first failure in a line, and swallow the others."""

    @functools.wraps(show)
    def attempt(console: "Console", *arguments: P.args, **options: P.kwargs) -> None:
        try:
            show(console, *arguments, **options)
        except Exception as error:
            if not console.complained:
                say(f"the progress display does not work ({reason(error)}); the run goes on")
            console.complained = True

    return attempt


class Console:
    """Shows how a run is getting on. Besides what every writer takes in, ``tick`` keeps it moving between logs.

    Nothing that goes wrong here, such as a terminal that is gone, is passed on.

    Args:
        title: what is trained on what, such as ``dqn on CartPole-v1``.
        total: where the run ends, counted in ``axis``; env steps are those of one seed.
        headlines: the metrics to show and what to call them, such as ``{"train/return": "return"}``.
        num_seeds: S.
        axis: what ``total`` counts.
        folder: where the run's files are.
        output: where to print; by default standard output.
    """

    def __init__(
        self,
        title: str,
        total: int,
        headlines: Mapping[str, str],
        num_seeds: int = 1,
        axis: Axis = "env_steps",
        folder: Path | None = None,
        output: rich.console.Console | None = None,
    ) -> None:
        self._title = title if num_seeds == 1 else f"{title}, {num_seeds} seeds"
        self._folder = "" if folder is None else str(folder)
        self._progress = Progress(total, headlines, num_seeds, axis)
        self._output = output or _Output(highlight=False)
        self.complained = False
        # The panel needs a cursor that can go up, and characters beyond ASCII.
        fancy = self._output.is_terminal and not self._output.is_dumb_terminal and "utf" in self._output.encoding
        self._live = Live(console=self._output, auto_refresh=False) if fancy else None
        self._next_show_seconds = -1.0  # nothing has been shown yet

    @_harmless
    def tick(self, clock: Clock) -> None:
        """Say where the run stands. Costs next to nothing unless it is time to show something."""
        if clock.wall_seconds >= self._next_show_seconds:
            self._progress.move(clock)
            self._show()

    @_harmless
    def log(self, clock: Clock, values: Values) -> None:
        self._progress.move(clock)
        self._progress.take(values)
        evaluated = any(name.startswith("evaluation/") for name in values)
        if clock.wall_seconds >= self._next_show_seconds or (evaluated and self._live is None):
            self._show()

    @_harmless
    def video(self, clock: Clock, name: str, path: Path) -> None:
        if self._live is None:
            self._print(f"video  {path}")

    @_harmless
    def summary(self, values: Mapping[str, Any]) -> None:
        """Print the results, each under its name; the names of an evaluation report are put into words."""
        self._stop()
        clock = self._progress.clock
        rows = [(_result_label(name), _result_text(name, value)) for name, value in values.items()]
        place = self._progress.place.lstrip()
        if "updates" not in place:
            place += f", {count_text(clock.updates)} updates"
        rows.append(("trained for", place))
        rows.append(("wall time", duration_text(clock.wall_seconds)))
        rows += [("files", self._folder)] if self._folder else []
        column = max(len(label) for label, _ in rows)
        self._output.print(Text(f"\n  {self._title}", style="bold"))
        for label, text in rows:
            self._output.print(Text.assemble((f"  {label:<{column}}  ", "dim"), text), soft_wrap=True)

    def sync(self) -> None:
        """Nothing here is ever missed."""

    @_harmless
    def close(self, status: Status) -> None:
        self._stop()
        if status != "finished":
            self._print(f"{status} at {self._progress.place.lstrip()}")

    def _show(self) -> None:
        elapsed = self._progress.clock.wall_seconds
        if self._live is not None:
            self._next_show_seconds = elapsed + _REDRAW_SECONDS
            self._live.start()  # does nothing once it is started
            self._redraw()
            return
        if self._next_show_seconds < 0:
            self._print(f"{self._title}  {self._folder}".rstrip())
        # Hours of training should not leave thousands of lines behind.
        self._next_show_seconds = elapsed + min(max(_LINE_SECONDS, elapsed / 50), _LONGEST_PAUSE_SECONDS)
        self._print(self._line())

    def _redraw(self) -> None:
        assert self._live is not None
        panel = progress_panel(self._progress, self._title, self._folder, self._output.width)
        self._live.update(panel, refresh=True)

    def _stop(self) -> None:
        """Leave the panel as it is and give the terminal back."""
        if self._live is not None and self._live.is_started:
            self._redraw()
            self._live.stop()

    def _line(self) -> str:
        progress = self._progress
        parts = [f"{100 * progress.fraction:3.0f} %  {progress.place}"]
        for name, label in progress.headlines.items():
            values = progress.latest.get(name, np.array([np.nan]))
            parts.append(f"{label} {number_text(values.mean()):>7}")
        parts.append(f"{rate_text(progress.per_second(progress.axis)):>5}/s")
        parts.append(f"left {duration_text(progress.seconds_left)}")
        return "  ".join(parts)

    def _print(self, line: str) -> None:
        self._output.print(Text(line), soft_wrap=True)


def _result_label(name: str) -> str:
    return _RESULT_LABELS.get(name, name.replace("_", " "))


def _result_text(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool | str | Path | Mapping):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if name == "ci95":
        return range_text(value)
    numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if numbers.size > _FEW_SEEDS:
        return f"{range_text(numbers)} ({numbers.size} seeds)"
    return "  ".join(number_text(number) for number in numbers)
