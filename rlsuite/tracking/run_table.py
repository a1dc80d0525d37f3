"""Print the progress of many runs: one live table in a terminal, elsewhere a line for each change."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import rich.console
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rlsuite.tracking.progress import Progress
from rlsuite.tracking.tail import Tail
from rlsuite.tracking.text import duration_text, number_text, rate_text

_HEADLINES = {"train/return": "return", "evaluation/score": "evaluation"}
_STYLES = {"running": "bold", "finished": "green", "failed": "red", "stopped": "yellow", "waiting": "dim"}
_ORDER = ("running", "failed", "stopped", "waiting", "finished")  # what people look for first
_STATE_WIDTH = max(map(len, _STYLES))
_COLUMNS = {"done": 5, "return": 7, "evaluation": 10, "steps/s": 7, "left": 7}
_GAP = 2
_SUMMARY_SECONDS = 30.0


@dataclass
class _Row:
    name: str
    tail: Tail
    progress: Progress
    state: str

    def read(self) -> None:
        for clock, values in self.tail.new():
            if clock.env_steps < self.progress.clock.env_steps:  # the run went back to a checkpoint
                self.progress = Progress(self.progress.total, _HEADLINES, self.progress.num_seeds)
            self.progress.move(clock)
            self.progress.take(values)


class RunTable:
    """One row a run: its state, how far it is, its newest returns, its speed and the time left.

    Args:
        title: of all runs.
        output: where to print; by default standard output.
    """

    def __init__(self, title: str, output: rich.console.Console | None = None) -> None:
        self._title = title
        self._rows: dict[str, _Row] = {}
        self._output = output or rich.console.Console(highlight=False)
        fancy = self._output.is_terminal and not self._output.is_dumb_terminal and "utf" in self._output.encoding
        self._live = Live(console=self._output, auto_refresh=False) if fancy else None
        self._next_summary = 0.0

    def add(self, name: str, metrics: Path, total_env_steps: int, seeds: int, state: str) -> None:
        """Show a run, whose metrics are in a file."""
        self._rows[name] = _Row(name, Tail(metrics), Progress(total_env_steps, _HEADLINES, seeds), state)

    def set(self, name: str, state: str, why: str = "") -> None:
        """Show another state of a run, and say ``why`` above the table."""
        self._rows[name].state = state
        if self._live is None or why:
            self.say(f"{name}: {state}{f', {why}' if why else ''}")

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self._output.print(Text(line), soft_wrap=True)

    def show(self) -> None:
        """Read what the runs have written, and draw."""
        for row in self._rows.values():
            if row.state != "waiting":
                row.read()
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        elif time.monotonic() >= self._next_summary:
            self._next_summary = time.monotonic() + _SUMMARY_SECONDS
            self.say(self._summary())

    def __enter__(self) -> "RunTable":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._next_summary = 0.0
        self.show()
        if self._live is not None:
            self._live.stop()

    def _summary(self) -> str:
        counts = Counter(row.state for row in self._rows.values())
        states = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
        done = np.mean([_fraction(row) for row in self._rows.values()])
        return f"{self._title}: {len(self._rows)} runs, {states}, {100 * done:.0f} % of env steps"

    def _table(self) -> Group:
        whole = self._output.width - len("^C")  # which the terminal adds at the end of the last line
        table = Table(box=None, width=whole, padding=(0, 0, 0, _GAP), pad_edge=False)
        table.add_column("run", ratio=1, no_wrap=True)
        table.add_column("state", no_wrap=True, width=_STATE_WIDTH)
        for name, width in _COLUMNS.items():
            table.add_column(name, justify="right", no_wrap=True, width=width)
        ordered = sorted(self._rows.values(), key=lambda row: _ORDER.index(row.state))
        width = whole - sum(one + _GAP for one in (_STATE_WIDTH, *_COLUMNS.values()))
        room = max(3, self._output.height - 5)
        for row in ordered[:room]:
            table.add_row(_cut(row.name, width), *self._cells(row), style="dim" if row.state == "waiting" else None)
        more = [Text(f"and {len(ordered) - room} more", style="dim")] if len(ordered) > room else []
        return Group(Text(self._summary(), style="bold"), table, *more)

    def _cells(self, row: _Row) -> list[str | Text]:
        progress, is_running = row.progress, row.state == "running"
        values = [progress.latest.get(name) for name in _HEADLINES]
        return [
            Text(row.state, style=_STYLES[row.state]),
            f"{100 * _fraction(row):.0f} %",
            *("-" if value is None else number_text(float(value.mean())) for value in values),
            rate_text(progress.per_second("env_steps")) if is_running else "",
            duration_text(progress.seconds_left) if is_running else "",
        ]


def _fraction(row: _Row) -> float:
    return 1.0 if row.state == "finished" else row.progress.fraction


def _cut(name: str, width: int) -> str:
    """A name without its middle where it is too long: names of a sweep differ at their ends."""
    if len(name) <= width:
        return name
    end = max(1, 2 * width // 3)
    return f"{name[: max(0, width - end - 1)]}…{name[-end:]}"
