"""What becomes of a worker's memory: the C library keeps it in one place and gives back what is free; cycles are sought seldom."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

#: Parameters of mallopt(3) and what they are set to: one arena for all threads, as they wait for Python's lock anyway and
#: each would keep what it once needed; and large blocks, such as what was fetched, go back at once, whatever was freed before.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = (-8, 1), (-3, 128 * 1024), (-1, 128 * 1024)
#: Allocations between garbage collections: a chunk makes tens of thousands of objects, and none of them in cycles.
_GC_THRESHOLD: Final = (50_000, 20, 50)


def collect_seldom() -> None:
    """Have this process look for objects in cycles as seldom as suits one that works on chunks."""
    gc.set_threshold(*_GC_THRESHOLD)


def keep_small() -> bool:
    """Ask the C library to; whether it is one that can (glibc). Before threads are started."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all([bool(mallopt(*each)) for each in (_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD)])
