"""Memory that is freed stays with the process, to be handed out again."""

import ctypes

# From <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_FROM_THE_HEAP_BYTES = 1 << 25  # the most it takes: 32 MiB; larger blocks are mapped one by one
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library to keep up to 1 GiB of what is freed; returns whether it did (elsewhere than on Linux: no).

    An update frees the same few megabytes that the next one allocates. By default they go back to the system, which
    must clear and map them again page by page: with 16 networks of 120-84 that took two fifths of an update.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, other C libraries
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_THE_HEAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
