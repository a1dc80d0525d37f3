"""Keep freed memory in the process for reuse, so that no page faults follow."""

import ctypes

# From <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_FROM_THE_HEAP_BYTES = 1 << 25  # the C library's maximum, 32 MiB; larger blocks are mapped one by one
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library to keep up to 1 GiB of freed memory; return whether it did (False elsewhere than on Linux).

    An update frees the same few megabytes that the next one allocates. By default they go back to the system, which
    must clear and map them again page by page.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, other C libraries
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_THE_HEAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
