"""What Python and the C library do with memory that is free, set for a process that answers requests for days."""

import ctypes
import gc

OBJECTS_BETWEEN_COLLECTIONS = 20_000
KEPT_BYTES = 64 * 1024**2
"""Free memory at the end of the heap that is not given back: some of the largest bodies."""
LARGEST_ON_HEAP_BYTES = 32 * 1024**2
"""What is larger gets pages of its own; more than this the C library does not take [bytes]."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


def spare_the_collector() -> None:
    """Let the garbage collector look for cycles among what is made from now on only, and after more of it.

    Modules and classes stay, and looking through all of them takes longer than many requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def keep_freed() -> None:
    """Use memory of former bodies for the next ones, where the C library is glibc.

    By itself it gives back what a large body took and asks for it again, page by page, at the next one: some twenty
    page faults for a request of half a megabyte, each of which can take longer than a window in the graph.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, LARGEST_ON_HEAP_BYTES)
