"""Measure free memory, and refuse a run's buffers that will not fit before training starts."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

_GIB = 1 << 30
_FILLED = 0.8  # share of the free memory; networks, environments and batches need the rest
_SYSTEM, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device, within the limits of this container; None if unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # cached by torch for reuse
        return torch.cuda.mem_get_info(device)[0] + kept
    found = [free for free in (_free_of_system(), *_free_of_groups()) if free is not None]
    return min(found) if found and device.type == "cpu" else None


def require_room(
    what: str, option: str, entries: int, nbytes: int, filled: float, device: torch.device, parts: int = 1
) -> None:
    """Raise an error if a replay or rollout does not fit into free memory.

    Args:
        what: names it in the message.
        option: the command line's option that sets its ``entries``.
        nbytes: its size when it is full.
        filled: the share of it, from 0 to 1, that the run will fill. On the CPU memory is taken as it is first written.
        device: where it lives.
        parts: equal ones that are allocated apart.

    Raises:
        ValueError: there is less; the message says how much is needed, how much there is, and what would fit.
    """
    needed = round(nbytes * filled) if device.type == "cpu" else nbytes
    free = free_bytes(device)
    if free is None or (needed <= free and (device.type != "cpu" or _is_granted(nbytes // parts))):
        return
    if needed <= free:  # Linux refuses one allocation larger than its whole memory
        needed = nbytes
    fitting = _FILLED * free / (nbytes / entries)
    fitting = math.floor(fitting / (digit := 10 ** max(0, math.floor(math.log10(max(fitting, 1))) - 1))) * digit
    remedy = f"{option} {fitting} fits" if fitting else f"not even a small {option} fits"
    raise ValueError(
        f"{what} needs {needed / _GIB:.1f} GiB of memory for {option} {entries}, and {device} has "
        f"{free / _GIB:.1f} GiB free: {remedy}"
    )


def _is_granted(nbytes: int) -> bool:
    try:
        np.empty(nbytes, np.uint8)  # reserved, and freed at once
    except MemoryError:
        return False
    return True


def _free_of_system() -> int | None:
    for line in _lines(_SYSTEM / "meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _free_of_groups() -> Iterator[int]:
    """Yield the memory left in each control group of this process, by either version of Linux's interface."""
    for line in _lines(_SYSTEM / "self" / "cgroup"):
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = _GROUPS / controllers
        limit, usage, cache = _FILES[controllers]
        folder = root / place.lstrip("/")
        # In a container the place may be one outside of it; then the root is the container's own.
        for group in (folder, *folder.parents):
            if group != root and root not in group.parents:
                break
            most, used = _number(group / limit), _number(group / usage)
            if most is not None and used is not None:
                yield max(0, most - used + _named(group / "memory.stat", cache))


# Of version 2, whose lines name no controller, and of version 1. Files in the page cache go when memory is needed.
_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _number(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None  # "max" is no limit


def _named(file: Path, name: str) -> int:
    return next((int(line.split()[1]) for line in _lines(file) if line.split()[0] == name), 0)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
