"""Watch the agent of a run and its diagnostics in a window, or record a video if there is no screen.

    rlsuite watch runs/NAME
    rlsuite watch runs/NAME --record out.mp4 --episodes 3

In the window, space pauses, the right arrow goes one step, + and - change the speed, Esc or Q closes.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    record: Path | None = None
    """Write a video instead, .mp4 or .gif; without a screen it goes to the run's folder."""
    episodes: int | None = None
    """Number of episodes; by default 1 in a video, unlimited in a window."""
    checkpoint: Literal["best", "last", "previous"] = "best"
    """best: each seed's best evaluation during training; last: as training ended."""
    seed: int | None = None
    """Seed of the run to watch; by default its first."""
    fps: float | None = None
    """Frames (env steps) a second; by default the environment's real time."""
    max_seconds: float = 60.0
    """Longest part of an episode in a video, in seconds of video."""
    device: str | None = None
    """Device to compute on; by default the run's own."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    for name in ("episodes", "fps", "max_seconds"):
        number = getattr(options, name)
        if number is not None and not number > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, not {number}")

    from agents.runs.run import open_run
    from agents.runs.watching import record, watch
    from rlsuite.tracking.window import NoScreenError, has_screen

    run = open_run(options.run)
    if options.device is not None:
        run = dataclasses.replace(run, config=dataclasses.replace(run.config, device=options.device))
    path, episodes = options.record, options.episodes
    how: dict[str, Any] = {"checkpoint": options.checkpoint, "seed": options.seed, "frames_per_second": options.fps}
    if path is None and has_screen():
        try:
            watch(run, episodes=episodes, **how)
            return 0
        except NoScreenError as error:
            print(f"no window can be opened ({error}); recording a video instead")
    elif path is None:
        print("there is no screen here; recording a video instead")
    path = path or run.folder / "videos" / f"watch-{options.checkpoint}.mp4"
    record(run, path, episodes=episodes or 1, max_seconds=options.max_seconds, **how)
    print(f"wrote {path}")
    return 0
