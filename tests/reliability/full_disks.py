"""Runs whose disk fills up."""

import itertools
import random
import shutil
import subprocess
import time
from pathlib import Path

from plans import NAME, PLANS, differences
from trials import Fault, Skipped, Trials, faults_of

from rlsuite.training.checkpoint import CheckpointError, Checkpoints

PROMISE = "A full disk loses no earlier checkpoint, is said in a line, and the run goes on once there is room."
HOW = (
    "runs on a tmpfs of 4 MB that is filled up to some last bytes at a random frame; the newest checkpoint is loaded, "
    "room is made, and the resumed run compared with one that never stopped. Needs the right to mount."
)
_MEGABYTES = 4
_NAMES = ("dqn", "reinforce", "supervised", "ddpg on tensors")


def trials(draw: random.Random, folder: Path) -> Trials:
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "reliability", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise Skipped("no right to mount a tmpfs")
    try:
        yield from _on(disk, draw, folder)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def _on(disk: Path, draw: random.Random, folder: Path) -> Trials:
    seconds: dict[str, float] = {}
    for number in itertools.count():
        name = _NAMES[number % len(_NAMES)]
        plan, whole = PLANS[name], folder / f"whole {name}"
        if name not in seconds:
            started = time.monotonic()
            yield faults_of(plan.finish(whole), "uninterrupted", (0,))
            seconds[name] = time.monotonic() - started
        frame, room = draw.uniform(0.0, seconds[name]), draw.choice((0, 100, 4_096, 20_000, 100_000))
        story = f"after {frame:.2f} s there are {room} bytes left"
        running = plan.go_on(disk)
        ended = running.ended_within(frame)
        filled = ended is None
        if ended is None:
            _fill(disk, room)
            ended = running.wait()
        faults = faults_of(ended, story, (0, 1))
        checkpoints = Checkpoints(disk / "runs" / NAME / "checkpoint")
        try:
            if filled and checkpoints.exists("last"):
                checkpoints.load("last")
        except CheckpointError as error:
            faults.append(Fault("difference", f"{plan.start}\n{story}\n{error}"))
        (disk / "filling").unlink(missing_ok=True)
        faults += faults_of(plan.finish(disk), f"{story}, then there is room again", (0,))
        differing = differences(whole, disk)
        if differing and not faults:
            faults.append(Fault("difference", "\n".join([plan.start, story, *differing])))
        yield faults
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _fill(disk: Path, room: int) -> None:
    """Take the disk's space up to the last ``room`` bytes."""
    try:
        with (disk / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))
    except OSError:
        with (disk / "filling").open("r+b") as file:
            file.seek(0, 2)
            file.truncate(max(file.tell() - room, 0))
