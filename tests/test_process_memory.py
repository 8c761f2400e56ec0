"""Memory settings; each case is a process of its own, whose settings they are."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from tonearm.process_memory import COMPILED

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

# A block of 30 MiB that is freed teaches glibc to keep blocks of that size; the small blocks between
# the large ones keep the arena from shrinking.
BLOCKS = """
import ctypes, sys
import psutil
from tonearm.process_memory import return_free_memory, return_large_blocks

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
if sys.argv[1] == "trim":
    assert return_free_memory()
print(resident() - before)
"""

# One convolution of many lengths of audio, and of the first one again.
LENGTHS = """
import sys
import torch
from tonearm.process_memory import limit_compiled_convolutions

if sys.argv[1] == "limit":
    limit_compiled_convolutions()
torch.set_num_threads(1)
layer = torch.nn.Conv1d(64, 64, 7)
with torch.no_grad():
    for length in (*range(1000, 1300), 1000):
        layer(torch.zeros(1, 64, length))
"""

TRANSPOSED = """
import sys
import psutil
import torch
from tonearm.process_memory import limit_compiled_convolutions, return_free_memory

def resident():
    return_free_memory()
    return psutil.Process().memory_info().rss / 2**20

if sys.argv[1] == "limit":
    limit_compiled_convolutions()
torch.set_num_threads(1)
layer = torch.nn.ConvTranspose1d(64, 32, 8, 4)
with torch.no_grad():
    for length in range(50, 850):
        layer(torch.zeros(1, 64, length))
        if length == 100:
            before = resident()
print(resident() - before)
"""


def printed(program: str, case: str, **environment: str) -> str:
    """Output of a program, without the limits that another test may have set in this process."""
    inherited = {name: value for name, value in os.environ.items() if name not in COMPILED}
    done = subprocess.run(
        [sys.executable, "-c", program, case],
        capture_output=True,
        text=True,
        check=True,
        env={**inherited, **environment},
    )
    return done.stdout


def grown(case: str) -> float:
    """Growth of the resident memory of BLOCKS, in MiB."""
    return float(printed(BLOCKS, case))


def compiled_again(case: str) -> bool:
    """Whether oneDNN, by its own log, compiles the last convolution of LENGTHS once more."""
    log = printed(LENGTHS, case, ONEDNN_VERBOSE="profile_create")
    last = [line for line in log.splitlines() if "create:" in line and ",convolution," in line][-1]
    return "cache_miss" in last


@glibc
def test_large_blocks_that_were_freed_are_not_kept():
    assert grown("keep") > 100
    assert grown("return") < 10
    assert grown("trim") < 10


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_convolutions_of_other_lengths_are_not_all_kept():
    assert not compiled_again("keep")
    assert compiled_again("limit")


@glibc
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_a_thread_keeps_few_compiled_convolutions():
    of_onednn = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16"}
    kept = float(printed(TRANSPOSED, "keep", **of_onednn))
    limited = float(printed(TRANSPOSED, "limit", **of_onednn))
    assert limited < kept / 2
