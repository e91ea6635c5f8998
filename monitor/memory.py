"""What the C library does with a worker's memory: keep it in one place, and give back what is free."""

from __future__ import annotations

import ctypes

#: Parameters of mallopt(3) and what they are set to: one arena for all threads, as they wait for Python's lock anyway and
#: each would keep what it once needed; and large blocks, such as what was fetched, go back at once, whatever was freed before.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = (-8, 1), (-3, 128 * 1024), (-1, 128 * 1024)


def keep_small() -> bool:
    """Ask the C library to; whether it is one that can (glibc). Before threads are started."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all([bool(mallopt(*each)) for each in (_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD)])
