"""Memory settings of a process that plays for hours: garbage collection, glibc and oneDNN."""

import ctypes
import gc
import os
import sys
from typing import Any

# Size in bytes from which a freed block is returned to the system. The codec's pieces of a stream of
# pocket are smaller; with 4 MiB their pages are allocated anew for every piece, which costs 20 % of
# the speed.
LARGE_BLOCK = 6 * 2**20
KEPT = 16 * 2**20  # bytes of free memory that an arena keeps at its end
# Compiled convolutions that are kept, each for one length of audio: those that oneDNN keeps in all,
# and those that torch's own layer over it (ideep) keeps of each kind in each thread. The variables
# are read at the first convolution. A stream needs about a hundred; a take of a new length adds about
# thirty.
COMPILED = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256", "LRU_CACHE_CAPACITY": "16"}

# parameters of mallopt, in glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def limit_memory() -> None:
    """Limit the memory of a process that makes music for hours, before it loads a model."""
    return_large_blocks()
    limit_compiled_convolutions()


def return_large_blocks() -> bool:
    """Return large blocks to the system as soon as they are freed.

    By default, glibc keeps blocks of up to 32 MiB after the first one of that size was freed, in an
    arena for each thread, and fragments them. After 15 forks of the music a studio held 1108 MiB by
    default, and 932 MiB with blocks of 6 MiB returned, at the same speed.

    Returns:
        Whether the C library has this setting; others than glibc stay as they are.
    """
    mallopt = _function_of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK) and mallopt(_M_TRIM_THRESHOLD, KEPT))


def return_free_memory() -> bool:
    """Return the free memory within all arenas to the system; it takes 10 to 25 ms.

    The pieces between blocks in use are 80 MiB and more after some takes of other lengths.

    Returns:
        Whether there was any.
    """
    malloc_trim = _function_of_glibc("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(ctypes.c_size_t(0)))


def _function_of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def limit_compiled_convolutions() -> None:
    """Limit the compiled convolutions that oneDNN and torch keep, unless the environment has limits.

    Both limits are 1024 by default. After takes of 200 lengths a process of pocket held 803 MiB with
    that of oneDNN, and 652 MiB with this limit. Transposed convolutions of 3000 lengths in one thread,
    from 64 to 32 channels, added 103 MiB with that of torch, and 48 MiB with a limit of 64. A twin
    stream of pocket is as fast with a limit of 1 as with 1024. No convolution may have been computed
    before.
    """
    for variable, limit in COMPILED.items():
        os.environ.setdefault(variable, limit)


def exclude_from_collections() -> None:
    """Exclude all existing objects from later garbage collections.

    A full collection takes 0.3 s and more once torch, transformers and librosa are imported, and
    stops every thread of Python meanwhile. Later ones are short and frequent: Python starts a full
    collection once the number of objects has grown by a quarter since the last one, and the second
    `collect` here makes that number small. Without it, garbage that holds tensors would wait for
    140,000 new objects.
    """
    gc.collect()
    gc.freeze()
    gc.collect()
