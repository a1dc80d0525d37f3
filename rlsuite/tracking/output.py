"""Standard output and standard error that survive a closed pipe or a full disk."""

import errno
import io
import logging
import os
import sys
from typing import Any

# A full disk may have room again; a reader that has gone (a closed pipe, a lost terminal) does not come back.
_TEMPORARY = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN)


class _Tolerant(io.FileIO):
    """Swallows what cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError as error:
            written = None
            if error.errno not in _TEMPORARY:
                _to_nowhere(self.fileno())  # for C libraries and child processes too
        return memoryview(data).nbytes if written is None else written


def tolerate_closed_output() -> None:
    """Keep this process running when its output cannot be written.

    Everything that prints is covered: ``print``, rich, logging, warnings, C libraries, child processes started later,
    and Python's own flush when it exits. Characters that the terminal's encoding does not have are escaped. Streams
    that others have replaced (a notebook, a test) are left alone. Calling it again changes nothing.
    """
    logging.raiseExceptions = False  # no traceback for each line of a log file that cannot be written
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:  # started without it: a file opened later would take its number, and what is printed
            _to_nowhere(descriptor)
        stream = getattr(sys, name)
        if descriptor > 0 and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _tolerant(descriptor, stream))


def _tolerant(descriptor: int, stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """A stream that is like the given one, apart from its tolerance."""
    unbuffered, line_buffering, encoding = False, False, "utf-8"
    if stream is not None:
        unbuffered, line_buffering, encoding = stream.write_through, stream.line_buffering, stream.encoding
        try:
            stream.flush()
        except OSError:
            _to_nowhere(descriptor)
    raw: Any = _Tolerant(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=line_buffering,
        write_through=unbuffered,
    )


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
