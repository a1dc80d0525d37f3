"""Warnings to the user. Imports no torch."""

import functools
import logging


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, once in this process: several environments or agents may have the same to say."""
    logging.getLogger("rlsuite").warning(message)
