"""Checkpoints: nested dictionaries of tensors and JSON values, on disk without pickle, whole or not at all.

A checkpoint is one file in the safetensors format: the tensors, and in its header the plain values as JSON and a
checksum of both. It is written beside its final place and renamed into it, so that a crash or a full disk leaves the
earlier one as it was, and a concurrent reader sees one of the two. Loading a checkpoint never runs code from it.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import torch
from safetensors import safe_open
from torch import Tensor

from rlsuite.experience import ExperienceError
from rlsuite.state import check, map_tensors
from rlsuite.tracking.lease import partial, require_lease
from rlsuite.tracking.record import Clock

FORMAT = 5

Name = Literal["last", "previous", "best"]

_KEPT = "at-"
_TRIES = 20
_DEEPEST = 32  # dictionaries in dictionaries
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message says why, in one line."""


class _MissingError(CheckpointError):
    """There is no checkpoint of that name."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``path``, and replace an earlier file only after all data is on disk.

    Raises:
        OSError: the disk is full or not writable; an earlier file at ``path`` is unchanged.
        SupersededError: another session has taken over the run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    require_lease(path)
    unfinished = partial(path)
    try:
        with open(unfinished, "wb") as file:
            _write(file, state)
            file.flush()
            os.fsync(file.fileno())
        require_lease(path)  # writing may have taken long
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load(path: Path) -> dict[str, Any]:
    """The state that ``save`` wrote to ``path``. Its tensors are read from the file as they are used.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    # It is opened more than once, and a trainer may put another one in its place meanwhile.
    for _ in range(_TRIES):
        before = _identity(path)
        try:
            return _read(path)
        except CheckpointError:
            if _identity(path) == before:
                raise
    return _read(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """The identity of the file at a path."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise CheckpointError(f"{path} was written by an earlier version, whose checkpoints were folders")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise _MissingError(f"{path} holds no complete checkpoint: there is no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise
    except Exception:  # any error of safetensors
        raise CheckpointError(f"{path} is damaged, or no checkpoint of rlsuite") from None
    if header.keys() != {"rlsuite", "checksum", "values"}:
        raise CheckpointError(f"{path} is no checkpoint of rlsuite")
    if header["rlsuite"] != str(FORMAT):
        raise CheckpointError(f"{path} has format {header['rlsuite'][:20]}, this version reads {FORMAT}")
    if header["checksum"] != _checksum(header["values"], tensors):
        raise CheckpointError(f"{path} is damaged: its checksum does not match")
    try:
        return _join(json.loads(header["values"]), tensors)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} does not hold what it should: {error}") from None


def _split(state: dict[str, Any], prefix: str, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    for name, entry in state.items():
        if "/" in name:
            raise ValueError(f"a state name may not contain '/': {name!r}")
        if isinstance(entry, Tensor):
            tensors[prefix + name] = entry.detach().cpu().contiguous()
        elif isinstance(entry, dict):
            values[name] = {}
            _split(entry, f"{prefix}{name}/", tensors, values[name])
        else:
            values[name] = entry


def _join(values: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    _check_depth(values, _DEEPEST)
    for path, tensor in tensors.items():
        *folders, name = path.split("/")
        place = values
        for folder in folders:
            place = place.get(folder) if isinstance(place, dict) else None
        if not isinstance(place, dict) or name in place:
            raise ValueError(f"a tensor has no place, {path[:80]!r}")
        place[name] = tensor
    return values


def _check_depth(values: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"values are nested deeper than {_DEEPEST}")
    for entry in values.values() if isinstance(values, dict) else values if isinstance(values, list) else ():
        _check_depth(entry, depth - 1)


def _write(file: BinaryIO, state: dict[str, Any]) -> None:
    """The safetensors format: eight bytes of length, a header in JSON, and the tensors' bytes.

    Written here because the library first copies all tensors, many gigabytes for a replay, and makes the file
    unreadable to other users.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    _split(state, "", tensors, values)
    text = json.dumps(values)
    header: dict[str, Any] = {
        "__metadata__": {"rlsuite": str(FORMAT), "checksum": _checksum(text, tensors), "values": text}
    }
    ordered = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))  # wide ones first: all lie aligned
    end = 0
    for name in ordered:
        begin, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": _DTYPES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, end],
        }
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little"))
    file.write(encoded)
    for name in ordered:
        file.write(_bytes(tensors[name]))


def _checksum(values: str, tensors: Mapping[str, Tensor]) -> str:
    """Return a checksum of all that a checkpoint holds, to detect damage (not forgery)."""
    value = zlib.crc32(values.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), value)
        value = zlib.crc32(_bytes(tensor), value)
    return f"crc32:{value:08x}"


def _bytes(tensor: Tensor) -> Any:
    """A buffer on the tensor's memory."""
    flat = tensor.reshape(-1)
    # A tensor of one element is contiguous with any stride, but a view as bytes needs a stride of one.
    flat = flat if flat.stride(0) == 1 else flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy()


def _sync_folder(folder: Path) -> None:
    """Let renames in a folder reach the disk, where the system has a way to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_whole(path: Path) -> bool:
    try:
        load(path)
    except CheckpointError:
        return False
    return True


class Checkpoints:
    """The checkpoints of one run: ``last`` to go on from, ``previous`` should it be damaged, ``best`` to show.

    ``last`` and ``previous`` hold everything; ``best`` holds the learner with the best evaluation. Between two renames
    the newest state is in ``next`` and there is no ``last``: a crash there is finished by the next save, and until then
    who loads ``last`` gets ``next``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_tidy = False  # as far as this object knows
        self._goes_back = False  # whether the run goes on from ``previous``, and has saved nothing since

    def save_last(self, state: dict[str, Any]) -> None:
        """Keep ``state`` as ``last`` and the one before it as ``previous``, unless that is damaged.

        Raises:
            OSError: see ``save``.
        """
        if not self._is_tidy and not self._goes_back:
            self._tidy()
        save(self.folder / "next", state)
        if self._goes_back:
            self._rename("previous", "last")
            self._goes_back = False
        self._rename_next()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to go on from, not even something damaged."""
        return not any((self.folder / name).exists() for name in ("last", "previous", "next"))

    def save_best(self, state: dict[str, Any]) -> None:
        save(self.folder / "best", state)

    def keep(self, state: dict[str, Any], progress: int) -> None:
        """Save a learner to be shown, beside others, as it was at a step of the run."""
        save(self.folder / f"{_KEPT}{progress}", state)

    @property
    def kept(self) -> list[str]:
        """The names of what ``keep`` saved, in order."""
        found = (path.name.removeprefix(_KEPT) for path in self.folder.glob(f"{_KEPT}*"))
        return [f"{_KEPT}{number}" for number in sorted(int(name) for name in found if name.isdecimal())]

    def load(self, name: str = "last") -> dict[str, Any]:
        """The state of that name.

        Raises:
            CheckpointError: it cannot be used; the message names one that is whole, where there is one.
            ValueError: there is no such name.
        """
        names = [*get_args(Name), *self.kept]
        if name not in names:
            raise ValueError(f"there is no checkpoint {name!r}: there are {', '.join(names)}")
        try:
            return self._load(name)
        except CheckpointError as error:
            others = {"last": ("next", "last"), "previous": ("previous",)}
            for other, places in others.items():
                if other != name and any(_is_whole(self.folder / place) for place in places):
                    raise CheckpointError(f"{error}; {other} is whole: add --checkpoint {other} to use it") from None
            raise

    def go_back(self) -> None:
        """Go on from ``previous``: the next save drops ``last``, the run's later part, and keeps ``previous``."""
        self._goes_back = True

    def exists(self, name: str) -> bool:
        names = ("next", "last") if name == "last" else (name,)
        return any(self.folder.joinpath(one).exists() for one in names)

    def _load(self, name: str) -> dict[str, Any]:
        if name != "last":
            return load(self.folder / name)
        # A trainer may rename ``next`` to ``last`` during the search, so both names are tried several times.
        for place in ("next", "last") * 20:
            with contextlib.suppress(_MissingError):
                return load(self.folder / place)
        return load(self.folder / "last")

    def _tidy(self) -> None:
        """Finish a save that a crash interrupted, without replacing a whole checkpoint by a damaged one."""
        require_lease(self.folder)
        for name in ("next", "last"):
            if self.folder.joinpath(name).is_file() and not _is_whole(self.folder / name):
                (self.folder / name).unlink()
        for unfinished in self.folder.glob("*.partial"):
            unfinished.unlink()
        if self.folder.joinpath("next").exists():
            self._rename_next()
        self._is_tidy = True

    def _rename_next(self) -> None:
        if (self.folder / "last").exists():
            self._rename("last", "previous")
        self._rename("next", "last")

    def _rename(self, name: str, new: str) -> None:
        require_lease(self.folder)
        os.replace(self.folder / name, self.folder / new)
        _sync_folder(self.folder)


def clock(state: dict[str, Any]) -> Clock:
    """Return the clock of a saved run.

    Raises:
        CheckpointError: the state is not one to go on from.
    """
    if "clock" not in state:
        raise CheckpointError("this checkpoint holds a learner to be shown, not a run to go on with")
    return _clock(state["clock"], "clock")


def logged_until(state: dict[str, Any]) -> Clock | None:
    """The clock of the last line of metrics that belongs to ``state``; None if it is not stored.

    Raises:
        CheckpointError: the stored value is not a clock.
    """
    return _clock(state["logged_until"], "logged_until") if "logged_until" in state else None


def _clock(saved: Any, name: str) -> Clock:
    with fitting("the checkpoint"):
        check(vars(Clock(0, 0, 0.0)), saved, name)
    return Clock(**saved)


@contextlib.contextmanager
def fitting(what: str, *passing: type[Exception]) -> Iterator[None]:
    """Turn any error in loading a state into one that says that the state does not fit.

    Args:
        what: is taken over, for the message.
        passing: errors with another cause.

    Raises:
        CheckpointError: something went wrong.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (CheckpointError, ExperienceError, OSError, *passing)):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        raise CheckpointError(f"{what} does not fit this run: {reason}") from error


def to_device(state: Any, device: torch.device | str) -> Any:
    """Every tensor of a nested state moved to ``device``."""
    return map_tensors(lambda tensor: tensor.to(device), state)
