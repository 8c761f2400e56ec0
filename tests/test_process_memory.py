"""Free memory goes back to the system; each case is a process of its own, since it concerns that."""

import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# A block of 30 MiB that is freed teaches glibc to keep blocks of that size; the small blocks between
# the large ones keep the arena from shrinking.
PROGRAM = """
import ctypes, sys
import psutil
from tonearm.process_memory import return_large_blocks

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def filled(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    return block

def resident():
    return psutil.Process().memory_info().rss / 2**20

if sys.argv[1] == "return":
    assert return_large_blocks()
libc.free(filled(30 * 2**20))
before = resident()
large, small = zip(*[(filled(8 * 2**20), filled(2**17 - 64)) for _ in range(25)])
for block in large:
    libc.free(block)
print(resident() - before)
"""


def grown(case: str) -> float:
    """Resident memory in MiB that is left of 200 MiB that were freed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, case], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@glibc
def test_large_blocks_that_were_freed_are_not_kept():
    assert grown("keep") > 100
    assert grown("return") < 10
