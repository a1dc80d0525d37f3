"""One-line notices on standard error about optional parts of a run that failed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from textwrap import shorten


def say(line: str) -> None:
    """Print a line to standard error, if that is possible."""
    with suppress(Exception):
        print(line, file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """Return an error's message in one short line, or its type if it has none."""
    return shorten(str(error), width=200, placeholder=" ...") or type(error).__name__


@contextmanager
def without(what: str) -> Iterator[None]:
    """Run an optional part, such as a figure; if it fails, print a line and go on."""
    try:
        yield
    except Exception as error:
        say(f"no {what}: {reason(error)}")
