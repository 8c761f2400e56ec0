"""Estimated against measured memory of a decoding."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm.errors import TonearmError
from tonearm.musicgen import memory_estimate
from tonearm.musicgen.memory_estimate import (
    GIB,
    BatchShape,
    batch_rows_limit,
    decoding_bytes,
    last_true,
    memory_budget,
    rows_that_fit,
)

# In a process of its own: a small decoding loads all libraries, so that the growth of the peak is
# that of the second one. Large blocks are mapped one by one and returned when they are freed.
EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
MEASURE = """
import json, sys
import torch
torch.set_num_threads(1)
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.memory_estimate import BatchShape, decoding_bytes
from tonearm.musicgen.sampling import Sampling

folder, rows, known, steps = sys.argv[1], *map(int, sys.argv[2:])
checkpoint = load_checkpoint(folder, "cpu")
decoder = Decoder(checkpoint)

def decode(rows, known):
    codes = torch.randint(0, 64, (rows, checkpoint.shape.codebooks, known))
    conditioning = condition(checkpoint, ["a folk tune"] * rows, guided=True)
    frames = known + steps
    request = DecodeRequest(conditioning, frames, [Sampling()] * rows, list(range(rows)), (), codes)
    for _ in Decoding(decoder, request):
        pass
    batch = BatchShape(rows, True, frames, frames, known, conditioning.text_ids.shape[1])
    return decoding_bytes(checkpoint, batch)

def peak():  # the peak of getrusage is inherited from the parent process
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

decode(1, 2)
before = peak()
estimated = decode(rows, known)
print(json.dumps({"estimated": estimated, "measured": peak() - before}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("variant", "rows", "known"),
    [
        ("small", 32, 1000),
        pytest.param("melody", 32, 1000, marks=pytest.mark.slow),
        pytest.param("small", 6, 6000, marks=pytest.mark.slow),
        pytest.param("melody", 6, 6000, marks=pytest.mark.slow),
    ],
)
def test_the_estimate_exceeds_the_measured_peak_by_30_to_60_percent(
    folder_of, variant, rows, known
):
    command = [sys.executable, "-c", MEASURE, str(folder_of(variant)), str(rows), str(known), "4"]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **EXACT}
    )
    found = json.loads(run.stdout)
    assert found["measured"] > 80e6  # far above the noise of the process
    assert 1.3 < found["estimated"] / found["measured"] < 1.6


BATCH = BatchShape(rows=4, guided=True, frames=100, window=750)


@settings(deadline=None)
@given(
    rows=st.integers(1, 200),
    frames=st.integers(4, 3000),
    known=st.integers(0, 100),
    more=st.integers(1, 50),
    guided=st.booleans(),
)
def test_the_estimate_grows_with_every_quantity(loaded_model, rows, frames, known, more, guided):
    for model in (loaded_model("small"), loaded_model("melody")):
        batch = BatchShape(rows, guided, frames, 750, known)
        size = decoding_bytes(model.checkpoint, batch)
        for bigger in (
            replace(batch, rows=rows + more),
            replace(batch, frames=frames + more),
            replace(batch, guided=True),
            replace(batch, known_frames=known + more),
            replace(batch, vectors=more),
            replace(batch, window=750 + more),
            replace(batch, text_tokens=16 + more),
        ):
            assert decoding_bytes(model.checkpoint, bigger) >= size


def test_sizes_are_those_of_captured_steps(small, melody):
    """Equal within a multiple of positions and tokens, larger beyond it."""
    for model in (small, melody):
        delay = model.shape.delay_frames
        prefix = model.shape.prefix_positions if model is melody else 0
        frames = 32 * 4 - delay - 1 - (prefix + 16 if model is melody else 0)
        batch = replace(BATCH, frames=frames, text_tokens=16)
        size = decoding_bytes(model.checkpoint, batch)
        one_less = decoding_bytes(model.checkpoint, replace(batch, frames=frames - 1))
        one_more = decoding_bytes(model.checkpoint, replace(batch, frames=frames + 1))
        cache = 2 * model.shape.layer_count * 8 * model.shape.width * 4
        assert one_more - size >= 32 * cache > 2 * (size - one_less)
    fewer, more = (decoding_bytes(small.checkpoint, replace(BATCH, text_tokens=n)) for n in (3, 17))
    same = decoding_bytes(small.checkpoint, replace(BATCH, text_tokens=16))
    assert more - same > same - fewer


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_last_number_that_holds_is_found(last, high):
    assert last_true(lambda n: n <= last, 1, high) == min(last, high)


def test_rows_that_fit_fill_the_budget(small):
    batch = replace(BATCH, rows=500)
    nine = decoding_bytes(small.checkpoint, replace(batch, rows=9))
    assert rows_that_fit(small.checkpoint, batch, nine) == 9
    assert rows_that_fit(small.checkpoint, batch, nine - 1) == 8
    assert rows_that_fit(small.checkpoint, batch, 10**15) == 500
    with pytest.raises(TonearmError, match=r"GiB beside the weights, the limit is 0\.00"):
        rows_that_fit(small.checkpoint, batch, 1000)


def test_memory_alone_limits_the_rows_on_cuda():
    assert batch_rows_limit(torch.device("cuda")) is None
    assert batch_rows_limit(torch.device("cpu")) == 64


def test_the_default_budget_is_half_of_the_free_memory(small, monkeypatch):
    monkeypatch.setattr(memory_estimate, "free_bytes", lambda _: 12 * GIB)
    assert memory_budget(small.checkpoint) == 6 * GIB
    assert memory_budget(small.checkpoint, 1.5) == 1.5 * GIB
    for impossible in (0, -1, float("nan")):
        with pytest.raises(TonearmError, match="GiB of memory is not possible"):
            memory_budget(small.checkpoint, impossible)


def test_memory_that_torch_caches_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 30)
    assert memory_estimate.free_bytes(torch.device("cuda")) == 140


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    assert memory_estimate.free_bytes(torch.device("cpu")) > 2**20
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    assert memory_estimate._container_bytes(tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    for unlimited in (tmp_path, tmp_path / "absent"):
        assert memory_estimate._container_bytes(unlimited) == float("inf")
    monkeypatch.setattr(memory_estimate, "_container_bytes", lambda: 7)
    assert memory_estimate.free_bytes(torch.device("cpu")) == 7
