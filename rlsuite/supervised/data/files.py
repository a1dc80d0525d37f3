"""Files of data sets: found on this machine, or downloaded once and checked against their known checksum."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class DataFile:
    """A file of a data set, which is the same bytes everywhere."""

    path: str  # below a data folder: "mnist/train-images-idx3-ubyte.gz"
    sha256: str
    urls: Sequence[str]


def folders() -> list[Path]:
    """Return the folders to search for data: ``$RLSUITE_DATA``, ``data``, ``shared/data`` beside the project, cache."""
    named = [Path(os.environ["RLSUITE_DATA"])] if "RLSUITE_DATA" in os.environ else []
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rlsuite"
    return [*named, Path("data"), Path(__file__).parents[4] / "shared" / "data", cache]


def at_hand(file: DataFile) -> bool:
    """Whether the file is on this machine, whole or not."""
    return any((folder / file.path).is_file() for folder in folders())


def find(file: DataFile) -> Path:
    """The place of a file on this machine; downloads it where it is missing.

    Raises:
        ValueError: it is neither here nor to be had, with what was tried and where to put it by hand.
    """
    damaged = None
    for folder in folders():
        path = folder / file.path
        if path.is_file():
            if _sha256(path) == file.sha256:
                return path
            damaged = path
    target = folders()[-1] / file.path
    if damaged is not None and damaged != target:
        raise ValueError(f"{damaged} is truncated or altered (its checksum differs): remove it, and run this again")
    return _download(file, target)


def _download(file: DataFile, target: Path) -> Path:
    """Download a file beside its place and move it there once its checksum is right; goes on with a part of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    reason = "there is no address for it"
    for url in file.urls:
        for _ in range(2):  # the second time without the part of a download that turned out wrong
            try:
                _fetch(url, part)
            except (urllib.error.URLError, OSError) as error:
                reason = f"{url}: {getattr(error, 'reason', error)}"
                break
            if _sha256(part) == file.sha256:
                part.replace(target)
                return target
            reason = f"{url}: its checksum is not the known one"
            part.unlink()
    raise ValueError(f"{file.path} is not on this machine and could not be downloaded ({reason}); put it at {target}")


def _fetch(url: str, part: Path) -> None:
    """Append what ``part`` lacks of a file, with a progress bar."""
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is no more of it
            return
        raise
    columns = TextColumn("downloading {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with answer, part.open("ab" if begun and answer.status == 206 else "wb") as file, Progress(*columns) as progress:
        total = None
        with suppress(KeyError, TypeError, ValueError):
            total = int(answer.headers["Content-Length"])
        task = progress.add_task(part.stem, total=total)
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
