"""Checkpoints: nested dictionaries of tensors and JSON values, on disk without pickle, whole or not at all.

A checkpoint is a folder with ``tensors.safetensors`` and ``state.json``; the latter holds the plain values, the layout
and a checksum of the former. It is written beside its final place and renamed into it, so that a crash or a full disk
leaves the earlier one as it was. Loading a checkpoint never runs code from it.
"""

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 3


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message says why, in one line."""


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


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each with memory of its own, as safetensors wants them: copies only where some is shared."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        shared = storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes
        seen.add(storage.data_ptr())
        apart[name] = tensor.clone() if shared else tensor
    return apart


def _join(values: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    state = json.loads(json.dumps(values))
    for path, tensor in tensors.items():
        *folders, name = path.split("/")
        place = state
        for folder in folders:
            place = place[folder]
        place[name] = tensor
    return state


def _checksum(path: Path) -> str:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return f"crc32:{value:08x}"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``folder``, replacing what is there only once everything is on disk.

    Raises:
        OSError: the disk is full or not writable; what was in ``folder`` is untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(folder.name + ".partial")
    replaced = folder.with_name(folder.name + ".replaced")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)
    partial.mkdir()
    try:
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {}
        _split(state, "", tensors, values)
        save_file(_apart(tensors), partial / "tensors.safetensors")
        document = {"format": FORMAT, "checksum": _checksum(partial / "tensors.safetensors"), "values": values}
        (partial / "state.json").write_text(json.dumps(document))
        for file in partial.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    except SafetensorError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OSError(f"could not write {folder}: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


def load(folder: Path) -> dict[str, Any]:
    """The state that ``save`` wrote to ``folder``.

    Raises:
        CheckpointError: the folder is missing, half written, damaged, or of another format.
    """
    if not (folder / "state.json").is_file() or not (folder / "tensors.safetensors").is_file():
        raise CheckpointError(f"{folder} holds no complete checkpoint")
    try:
        document = json.loads((folder / "state.json").read_text())
        found = document["format"]
        values, checksum = document["values"], document["checksum"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'state.json'} is damaged or not a checkpoint of rlsuite") from error
    if found != FORMAT:
        raise CheckpointError(f"{folder} has format {found}, this version reads {FORMAT}")
    if _checksum(folder / "tensors.safetensors") != checksum:
        raise CheckpointError(f"{folder / 'tensors.safetensors'} is damaged: its checksum does not match")
    return _join(values, load_file(folder / "tensors.safetensors"))


class Checkpoints:
    """The checkpoints of one run: ``last`` to go on from, ``previous`` should it be damaged, ``best`` to show.

    ``last`` and ``previous`` hold everything; ``best`` holds the learner with the best evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_last(self, state: dict[str, Any]) -> None:
        last, previous, fresh = (self.folder / name for name in ("last", "previous", "next"))
        save(fresh, state)
        if last.exists():
            shutil.rmtree(previous, ignore_errors=True)
            last.rename(previous)
        fresh.rename(last)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to go on from, not even something damaged."""
        return not any((self.folder / name).exists() for name in ("last", "previous", "next"))

    def save_best(self, state: dict[str, Any]) -> None:
        save(self.folder / "best", state)

    def load_last(self) -> dict[str, Any]:
        """The state to go on from.

        Raises:
            CheckpointError: it cannot be used; the message offers ``previous`` where that one is whole.
        """
        try:
            return load(self.folder / "last")
        except CheckpointError as error:
            try:
                load(self.folder / "previous")
            except CheckpointError:
                raise error from None
            raise CheckpointError(f"{error}; the one before it is whole: add --checkpoint previous to use it") from None


def to_device(state: Any, device: torch.device | str) -> Any:
    """Every tensor of a nested state moved to ``device``."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {name: to_device(entry, device) for name, entry in state.items()}
    return state
