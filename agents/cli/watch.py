"""Watch the agent of a run and its diagnostics in a window, in the browser, or record a video if there is no screen.

    rlsuite watch runs/NAME
    rlsuite watch runs/NAME --serve
    rlsuite watch runs/NAME --play
    rlsuite watch runs/NAME --record out.mp4 --episodes 3

In the window, space pauses, the right arrow goes one step, + and - change the speed, Esc or Q closes.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    record: Path | None = None
    """Write a video instead, .mp4 or .gif; without a screen it goes to the run's folder."""
    play: bool = False
    """Play a board game against it, in the terminal; --episodes games, which you and it begin in turn."""
    serve: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="[PORT]")] = None
    """Show it in the browser of this machine, at a port, 8765 unless given; 0 takes any that is free."""
    episodes: int | None = None
    """Number of episodes; by default 1 in a video, unlimited in a window."""
    checkpoint: Literal["best", "last", "previous", "newest"] = "best"
    """best: each seed's best evaluation during training; last: as training ended; newest, in the browser: whatever a
    running training saved last, as it goes on."""
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

    if options.serve is not None and not options.play:
        return serve(options, *options.serve)
    if options.checkpoint == "newest":
        raise ValueError("--checkpoint newest is for --serve")
    if options.play:
        return play(options)

    from agents.runs.run import open_run
    from agents.runs.watching import record, watch
    from rlsuite.tracking.window import NoScreenError, has_screen

    run = on_device(open_run(options.run), options.device)
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


def play(options: Options) -> int:
    for name in ("record", "serve", "fps"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is not for --play")

    from agents.runs.playing import play
    from agents.runs.run import open_run

    run = on_device(open_run(options.run), options.device)
    play(run, games=options.episodes or 1, checkpoint=options.checkpoint, seed=options.seed)
    return 0


def on_device(run: Any, device: str | None) -> Any:
    """The run on another device, if one is named."""
    return run if device is None else dataclasses.replace(run, config=dataclasses.replace(run.config, device=device))


def serve(options: Options, port: int = 8765, *others: int) -> int:
    if others:
        raise ValueError(f"--serve takes one port, not {port} and {others[0]}")
    for name in ("record", "episodes"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is not for --serve")

    from agents.runs.browser.server import application
    from agents.runs.browser.session import FigureSession, Session
    from agents.runs.run import open_run, row_of
    from rlsuite.tracking import loopback, run_folder

    document = run_folder.read(options.run)
    if "agent" in document:
        run = on_device(open_run(options.run), options.device)
        row_of(run, options.seed)  # says early that there is no such seed
        what = run, options.checkpoint, options.seed, options.fps
        page = application(options.run, lambda send: Session(*what, send))
    else:
        heading = str(document.get("model") or document.get("experiment"))
        page = application(options.run, lambda send: FigureSession(options.run, heading, send))
    loopback.serve(page, loopback.listen(port), lambda address: print(f"{address}   (Ctrl-C ends)", flush=True))
    return 0
