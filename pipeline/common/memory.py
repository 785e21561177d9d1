"""Memory that a long job gives back."""

import ctypes
import os

# Of glibc's malloc.h.
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGE = 2 * 2**20
HEAPS = 2


def steady() -> None:
    """Have glibc give memory back to the system when it is freed.

    By itself it raises, with each large block that is freed, the size from which blocks get
    pages of their own, up to 32 MiB. Feature maps, batches of pixels and what the local runner
    shuffles then share their pages with small blocks that stay, and a job grows with its images.
    It also keeps up to eight heaps a core, each with holes of its own. Where the C library is
    another, or the environment decides, this does nothing.
    """
    if os.environ.keys() & {"MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_ARENA_MAX, HEAPS)
