"""Watching the agent of a run, in a window or as a video."""

from contextlib import closing
from pathlib import Path

from agents.runs.run import Run
from agents.runs.viewer import Viewer
from rlsuite.tracking.video import VideoWriter
from rlsuite.tracking.watch_panel import WatchPanel, pixels
from rlsuite.tracking.window import KEYS, Window
from rlsuite.training.checkpoint import Name


def record(
    run: Run,
    path: Path,
    *,
    episodes: int = 1,
    checkpoint: Name = "best",
    seed: int | None = None,
    frames_per_second: float | None = None,
    max_seconds: float = 60.0,
) -> Path:
    """Write a video of ``episodes`` episodes to ``path``, ``.mp4`` or ``.gif``; returns the path.

    Args:
        checkpoint: ``best``, ``last`` or ``previous``.
        seed: which of the run's seeds plays; the first unless given.
        frames_per_second: the environment's own unless given, so that the video plays in real time.
        max_seconds: of video an episode; the rest of longer ones is left out.

    Raises:
        RenderError: the environment cannot be drawn here; it is a ValueError.
        ValueError: an option does not fit.
        CheckpointError: the checkpoint is missing or damaged.
        ExperienceError: the environment failed.
        OSError: the file could not be written.
    """
    with closing(Viewer(run, checkpoint, seed, frames_per_second)) as viewer:
        panel = WatchPanel()
        max_env_steps = max(1, round(max_seconds * viewer.frames_per_second))
        with VideoWriter(path, viewer.frames_per_second) as video:
            for frame in viewer.frames(episodes, max_env_steps):
                video.write(pixels(panel.draw(frame)))
    return path


def watch(
    run: Run,
    *,
    episodes: int | None = None,
    checkpoint: Name = "best",
    seed: int | None = None,
    frames_per_second: float | None = None,
) -> None:
    """Show ``episodes`` episodes in a window, or endlessly many, until people close it. Options as for ``record``.

    Raises:
        NoScreenError: no window can be opened.
        RenderError, ValueError, CheckpointError, ExperienceError: as ``record``.
    """
    with closing(Viewer(run, checkpoint, seed, frames_per_second)) as viewer:
        panel = WatchPanel()
        window: Window | None = None
        for frame in viewer.frames(episodes):
            surface = panel.draw(frame)
            if window is None:
                title = f"{run.folder.name}: {frame.heading}"
                window = Window(title, surface.get_size(), viewer.frames_per_second)
                print(KEYS)
            if not window.show(surface):
                break
        if window is not None:
            window.close()
