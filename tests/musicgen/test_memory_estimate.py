"""What a decoding is said to take against what it takes."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm.musicgen import memory_estimate
from tonearm.musicgen.memory_estimate import BatchShape, decoding_bytes, last_true, rows_that_fit

# One process, so that the peak is this decoding's: first a small one, which has everything loaded, then the one that counts.
# Every larger block is mapped for itself and given back when freed; else the peak holds what the allocator kept, another amount each time.
EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
MEASURE = """
import json, sys
import torch
torch.set_num_threads(1)
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.memory_estimate import BatchShape, decoding_bytes
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.sampling import Sampling

folder, rows, known, steps = sys.argv[1], *map(int, sys.argv[2:])
checkpoint = load_checkpoint(folder, "cpu")
from tonearm.musicgen.decoder import Decoder
decoder = Decoder(checkpoint)

def decode(rows, known):
    codes = torch.randint(0, 64, (rows, checkpoint.shape.codebooks, known))
    conditioning = condition(checkpoint, ["a folk tune"] * rows, guided=True)
    frames = known + steps
    for _ in Decoding(decoder, DecodeRequest(conditioning, frames, [Sampling()] * rows, list(range(rows)), {}, codes)):
        pass
    wave = BatchShape(rows, True, frames, frames, known, conditioning.text_ids.shape[1])
    return decoding_bytes(checkpoint, wave)

def peak():  # not getrusage's, which a process inherits from the one that started it
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

decode(1, 2)
before = peak()
said = decode(rows, known)
print(json.dumps({"said": said, "took": peak() - before}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize(("rows", "known"), [(32, 1000), (6, 6000)])
def test_the_estimate_is_near_the_measured_peak_and_leaves_the_allocator_a_third(folder_of, variant, rows, known):
    arguments = [sys.executable, "-c", MEASURE, str(folder_of(variant)), str(rows), str(known), "4"]
    measured = subprocess.run(arguments, capture_output=True, text=True, check=True, env={**os.environ, **EXACT})
    found = json.loads(measured.stdout)
    assert found["took"] > 80e6  # enough to be told from what else a process does
    assert 1.3 < found["said"] / found["took"] < 1.6


WAVE = BatchShape(rows=4, guided=True, frames=100, window=750)


@settings(deadline=None)
@given(
    rows=st.integers(1, 200), frames=st.integers(4, 3000), known=st.integers(0, 100), more=st.integers(1, 50),
    guided=st.booleans(),
)  # fmt: skip
def test_more_of_anything_takes_no_less(model_of, rows, frames, known, more, guided):
    for model in (model_of("small"), model_of("melody")):
        wave = BatchShape(rows, guided, frames, 750, known)
        size = decoding_bytes(model.checkpoint, wave)
        for bigger in (
            replace(wave, rows=rows + more), replace(wave, frames=frames + more), replace(wave, guided=True),
            replace(wave, known_frames=known + more), replace(wave, vectors=more), replace(wave, window=750 + more),
        ):  # fmt: skip
            assert decoding_bytes(model.checkpoint, bigger) >= size


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_last_number_that_holds_is_found(last, high):
    assert last_true(lambda n: n <= last, 1, high) == min(last, high)


def test_left_to_itself_it_takes_half_of_what_is_free_and_64_rows_at_most(small, monkeypatch):
    wave = replace(WAVE, rows=500)
    monkeypatch.setattr(
        memory_estimate, "free_bytes", lambda _: 2 * decoding_bytes(small.checkpoint, replace(wave, rows=9))
    )
    assert rows_that_fit(small.checkpoint, wave) == 9
    monkeypatch.setattr(memory_estimate, "free_bytes", lambda _: 10**15)
    assert rows_that_fit(small.checkpoint, wave) == 64


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    assert memory_estimate.free_bytes(torch.device("cpu")) > 2**20
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    assert memory_estimate._container_bytes(tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert (
        memory_estimate._container_bytes(tmp_path)
        == memory_estimate._container_bytes(tmp_path / "nowhere")
        == float("inf")
    )
    monkeypatch.setattr(memory_estimate, "_container_bytes", lambda: 7)
    assert memory_estimate.free_bytes(torch.device("cpu")) == 7
