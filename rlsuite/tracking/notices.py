"""Single lines to people, on standard error, about what a run can do without."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from textwrap import shorten


def say(line: str) -> None:
    """Print a line to standard error, if that is possible."""
    with suppress(Exception):
        print(line, file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    return shorten(str(error), width=200, placeholder=" ...") or type(error).__name__


@contextmanager
def without(what: str) -> Iterator[None]:
    """Do something that a run can do without, such as a figure: should it fail, a line says so and the run goes on."""
    try:
        yield
    except Exception as error:
        say(f"no {what}: {reason(error)}")
