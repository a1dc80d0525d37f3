"""The content of one page: a viewer at a pace, or a run's figures, with the commands of the person before it."""

import math
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from agents.runs.browser.curve import LearningCurve
from agents.runs.browser.messages import of_frame, text, with_picture
from agents.runs.run import Run, shown
from agents.runs.viewer import PAUSE_SECONDS, Viewer
from rlsuite.experience import ExperienceError
from rlsuite.training.checkpoint import CheckpointError, Name

Send = Callable[[str | bytes], None]
Command = dict[str, Any] | None  # None: the page is gone

NEWEST = "newest"
"""The choice of whatever checkpoint a training run wrote last, as it is written."""

_SLOWEST, _FASTEST = 1 / 8, 16
_SHOWN_A_SECOND = 50  # pictures at most; at higher speeds some env steps are not shown
_NEWS_SECONDS = 1.0
_RETRY_SECONDS = 2.0

# Simulators and what draws them were not made for several threads at once.
_stage = threading.Lock()


class Session:
    """Runs a viewer for one page until it is gone.

    Args:
        run: the run.
        checkpoint: ``best``, ``last``, ``previous`` or ``newest``.
        seed: one of the run's; the first unless given.
        frames_per_second: at speed 1; the environment's real time unless given.
        send: sends a message to the page, and returns once it is on its way.
    """

    def __init__(
        self, run: Run, checkpoint: str, seed: int | None, frames_per_second: float | None, send: Send
    ) -> None:
        self.run, self.checkpoint, self.seed = run, checkpoint, seed
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._frames_per_second, self._send = frames_per_second, send
        self._waiting: list[str | bytes] = []  # to be sent once the stage is free for other pages
        self._viewer: Viewer | None = None
        self._playing, self._speed = True, 1.0
        self._person: list[float] | None = None  # the action of the person who has taken over
        self._person_acted: list[float] | None = None  # in the last env step
        self._epsilon = self._temperature = 0.0
        self._due = time.monotonic()  # the next env step
        self._next_news = self._next_try = 0.0
        self._curve = LearningCurve(run.folder / "metrics.jsonl")
        self._loaded: Any = None  # which file
        self._shown = (0, 0)  # number of the episode, and how many of its thoughts the page has

    def show(self) -> None:
        """Show until the page is gone."""
        try:
            while True:
                self._tell_news()
                try:
                    command = self.commands.get(timeout=self._seconds_left())
                except queue.Empty:
                    command = {}
                if command is None:
                    return
                try:
                    with _stage:
                        self._obey(command)
                        self._go_on()
                except (ValueError, TypeError, OSError, CheckpointError, ExperienceError) as error:
                    self._stumble(error)
                for message in self._waiting:
                    self._send(message)
                self._waiting.clear()
        finally:
            if self._viewer is not None:
                with _stage:
                    self._viewer.close()

    def _stumble(self, error: Exception) -> None:
        """Tell of an error; only a checkpoint that is not there yet is worth another try without being asked."""
        if self._viewer is not None:
            self._playing = False
        elif not isinstance(error, CheckpointError):
            self._next_try = math.inf
        self._tell({"kind": "problem", "text": str(error)})

    def _seconds_left(self) -> float:
        now = time.monotonic()
        if self._viewer is None:
            return max(0.0, min(self._next_try - now, _NEWS_SECONDS))
        return max(0.0, min(self._due - now, _NEWS_SECONDS)) if self._playing else _NEWS_SECONDS

    def _go_on(self) -> None:
        """Open what is to be watched, or take the env steps that are due."""
        if self._viewer is None:
            if time.monotonic() >= self._next_try:
                self._open()
        elif self._playing and time.monotonic() >= self._due:
            rate = self._viewer.frames_per_second * self._speed
            env_steps = max(1, round(rate / _SHOWN_A_SECOND))
            for _ in range(env_steps):
                self._advance(self._viewer, self._person)
                if self._viewer.episode.ending:
                    break
            pause = PAUSE_SECONDS if self._viewer.episode.ending else 0.0
            self._due = max(self._due + env_steps / rate, time.monotonic() - 1.0 / rate) + pause
            self._show(self._viewer)

    def _open(self) -> None:
        self._next_try = time.monotonic() + _RETRY_SECONDS
        if self.checkpoint != NEWEST:
            self.checkpoint = shown(self.run, self._name)
        loaded = self._file()
        viewer = Viewer(self.run, self._name, self.seed, self._frames_per_second)
        self._viewer, self._loaded, self._shown = viewer, loaded, (0, 0)
        self.seed = viewer.seed
        self._deviate()
        self._person = self._person_acted = None
        actions = viewer.actions
        self._tell(
            {
                "kind": "run",
                "heading": f"{self.run.agent_name} on {self.run.config.env}",
                "name": self.run.folder.name,
                "seeds": self.run.seeds,
                "seed": self.seed,
                "checkpoints": [name for name in get_args(Name) if self.run.checkpoints.exists(name)] + [NEWEST],
                "checkpoint": self.checkpoint,
                "framesPerSecond": viewer.frames_per_second,
                "actions": {
                    "names": viewer.names,
                    "isChoice": actions.is_choice,
                    "isWhole": actions.is_whole,
                    "low": actions.low,
                    "high": actions.high,
                },
            }
        )
        self._due = time.monotonic()
        self._show(viewer)

    def _close(self) -> None:
        """Close what is watched, so that the next turn opens another."""
        if self._viewer is not None:
            self._viewer.close()
        self._viewer, self._next_try = None, 0.0

    def _advance(self, viewer: Viewer, action: list[float] | None) -> None:
        if viewer.episode.ending:
            self._reload(viewer)
            action = None
        viewer.advance(action)
        self._person_acted = action

    def _reload(self, viewer: Viewer) -> None:
        """Take the newest agent between two episodes, if that is what is watched."""
        if self.checkpoint == NEWEST and (found := self._file()) != self._loaded:
            viewer.load(self._name)
            self._loaded = found

    @property
    def _name(self) -> Name:
        return "last" if self.checkpoint == NEWEST else self.checkpoint  # type: ignore[return-value]

    def _file(self) -> tuple[int, float] | None:
        try:
            found = (self.run.checkpoints.folder / self._name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime

    def _obey(self, command: dict[str, Any]) -> None:
        """Do what a person asks for.

        Raises:
            ValueError: it is nothing that can be done.
        """
        viewer = self._viewer
        match command:
            case {"do": "play"}:
                self._playing, self._due = True, time.monotonic()
            case {"do": "pause"}:
                self._playing = False
            case {"do": "step"} if viewer is not None:
                self._playing = False
                self._advance(viewer, command.get("action", self._person))
            case {"do": "speed", "value": float() | int() as speed}:
                self._speed = min(max(float(speed), _SLOWEST), _FASTEST)
            case {"do": "watch", "checkpoint": str() as checkpoint, "seed": int() as seed}:
                if checkpoint not in (*get_args(Name), NEWEST):
                    raise ValueError(f"there is no checkpoint {checkpoint!r}")
                self.checkpoint, self.seed = checkpoint, seed
                self._close()
                return
            case {"do": "episode"} if viewer is not None:
                self._reload(viewer)
                viewer.restart()
                self._person_acted = None
            case {"do": "epsilon", "value": float() | int() as epsilon}:
                self._epsilon = float(epsilon)
                self._deviate()
                return
            case {"do": "temperature", "value": float() | int() as temperature}:
                self._temperature = max(0.0, float(temperature))
                self._deviate()
                return
            case {"do": "take over", "action": list() | None as action}:
                self._person = action
            case {"do": _}:
                if viewer is not None:
                    raise ValueError(f"{command} is no command")
        if command and viewer is not None:
            self._show(viewer)

    def _deviate(self) -> None:
        if self._viewer is not None:
            self._viewer.deviation.epsilon, self._viewer.deviation.temperature = self._epsilon, self._temperature

    def _show(self, viewer: Viewer) -> None:
        episode, (number, had) = viewer.episode, self._shown
        thoughts = episode.env_steps + (not episode.ending)
        fresh = thoughts - had if number == episode.number else thoughts
        self._shown = episode.number, thoughts
        frame = viewer.frame()
        state = {
            "kind": "frame",
            "episode": episode.number,
            "envStep": episode.env_steps,
            "playing": self._playing,
            "speed": self._speed,
            "takenOver": self._person is not None,
            "personActed": self._person_acted,
        }
        self._waiting.append(with_picture(state | of_frame(frame, fresh), frame.picture))

    def _tell(self, message: dict[str, Any]) -> None:
        self._waiting.append(text(message))

    def _tell_news(self) -> None:
        if time.monotonic() >= self._next_news:
            self._next_news = time.monotonic() + _NEWS_SECONDS
            if news := self._curve.news():
                self._tell(news)
            if loaded := self._loaded:
                self._tell({"kind": "saved", "secondsAgo": max(0.0, time.time() - loaded[1])})


class FigureSession:
    """Shows the figures of a run that has no environment: of an economy or a supervised experiment."""

    def __init__(self, folder: Path, heading: str, send: Send) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._folder, self._heading, self._send = folder, heading, send
        self._curve = LearningCurve(folder / "metrics.jsonl")

    def show(self) -> None:
        """Show until the page is gone."""
        command: Command = {}
        told = None
        while command is not None:
            figures = [[path.name, path.stat().st_mtime] for path in sorted(self._folder.glob("*.png"))]
            if figures != told:
                head = {"kind": "figures", "heading": self._heading, "name": self._folder.name}
                self._send(text(head | {"figures": figures}))
                told = figures
            if news := self._curve.news():
                self._send(text(news))
            try:
                command = self.commands.get(timeout=_NEWS_SECONDS)
            except queue.Empty:
                command = {}
