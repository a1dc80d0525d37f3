"""Reads back what W&B wrote to disk: ``.wandb`` files are LevelDB logs of protocol buffers."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

_BLOCK_BYTES = 32_768
_FILE_HEADER_BYTES = 7
_CHUNK_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _LAST = 1, 4


@dataclass
class StoredRun:
    """One session of one W&B run."""

    run_id: str = ""
    name: str = ""
    group: str = ""
    project: str = ""
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)


def read_sessions(folder: Path, pattern: str = "*run-*") -> list[StoredRun]:
    """Every session below a run's ``wandb`` folder, oldest first."""
    wandb.teardown()  # its process writes the end of the files when it stops
    paths = sorted(folder.glob(f"{pattern}/*.wandb"), key=lambda path: path.stat().st_mtime)
    return [_read_session(path) for path in paths]


def _read_session(path: Path) -> StoredRun:
    stored = StoredRun()
    for raw in _messages(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(raw)
        match record.WhichOneof("record_type"):
            case "run":
                run = record.run
                stored.run_id, stored.name, stored.group = run.run_id, run.display_name, run.run_group
                stored.project = run.project
                stored.config |= _items(run.config.update)
            case "config":
                stored.config |= _items(record.config.update)
            case "history":
                stored.rows.append(_items(record.history.item))
            case "summary":
                stored.summary |= _items(record.summary.update)
            case "metric":
                metric = record.metric
                stored.step_metrics[metric.name or metric.glob_name] = metric.step_metric
            case "exit":
                stored.exit_code = record.exit.exit_code
    return stored


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _messages(data: bytes) -> Iterator[bytes]:
    position, message = _FILE_HEADER_BYTES, b""
    while position + _CHUNK_HEADER.size <= len(data):
        if _BLOCK_BYTES - position % _BLOCK_BYTES < _CHUNK_HEADER.size:
            position += _BLOCK_BYTES - position % _BLOCK_BYTES
            continue
        _, length, kind = _CHUNK_HEADER.unpack_from(data, position)
        position += _CHUNK_HEADER.size
        message += data[position : position + length]
        position += length
        if kind in (_FULL, _LAST):
            yield message
            message = b""
