"""Time and memory to prepare and pack requests, on random weights of musicgen-small's shape.

    python -m benchmarks.prepare                      # 250 to 20,000 requests
    python -m benchmarks.prepare --out docs           # updates performance.json and .md

Every request has a prompt of its own; half of them are steered all-to-all by one of 8 vectors at
one of 50 strengths. `generate_batch` checks, tokenises and packs all requests before it decodes;
its iterator is not consumed, so nothing is decoded. Memory is the largest growth of the resident
set, sampled every 2 ms. Each number of requests is measured in a process of its own.
"""

import argparse
import gc
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import torch

from benchmarks.checkpoints import checkpoint
from benchmarks.decode import measured_on
from benchmarks.page import add_results
from tonearm import Steer, Steering, SteeringVector, TakeRequest
from tonearm.backend import ModelShape
from tonearm.model import Model
from tonearm.steering import VectorInfo

COUNTS = (250, 500, 1000, 20_000)
VECTORS, STRENGTHS = 8, 50
MEMORY_GIB = 8.0
SAMPLE_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--out", type=Path, help="folder of performance.json")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # measured in this process
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    results = []
    for count in arguments.counts:
        command = [sys.executable, "-m", "benchmarks.prepare", "--one", str(count)]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(run.stdout))
        print(run.stdout.strip(), flush=True)
    if arguments.out:
        add_results(arguments.out, "preparation", results, measured_on())


def measure(count: int) -> dict:
    """Return seconds, memory, tokenizer calls and batches for `count` requests."""
    c = checkpoint("musicgen-small")
    c.tokenizer = CountingTokenizer(c.tokenizer)
    model = Model(c, consume=True)
    vectors = vectors_for(model.shape)
    model.generate_batch(requests_for(2), vectors=vectors, memory_gib=MEMORY_GIB)  # warm-up
    requests = requests_for(count)
    gc.collect()
    c.tokenizer.calls = 0
    with PeakMemory() as memory:
        began = time.perf_counter()
        takes = model.generate_batch(
            requests, vectors=vectors, order="completion", memory_gib=MEMORY_GIB
        )
        seconds = time.perf_counter() - began
    del takes
    return {
        "requests": count,
        "seconds": round(seconds, 3),
        "memory_mib": round(memory.growth / 2**20, 1),
        "tokenizer_calls": c.tokenizer.calls,
    }


def requests_for(count: int) -> list[TakeRequest]:
    """Build requests of 2 to 21 seconds, every second one steered."""
    steerings = [
        Steering(steers=(Steer(vector=str(v), strength=s / 100, strategy="all-to-all"),))
        for v in range(VECTORS)
        for s in range(1, STRENGTHS + 1)
    ]
    return [
        TakeRequest(
            f"a folk tune {'with flute ' * (i % 8)}number {i}",
            seed=i,
            steering=steerings[i // 2 % len(steerings)] if i % 2 else Steering(),
            seconds=2.0 + i % 20,
        )
        for i in range(count)
    ]


def vectors_for(shape: ModelShape) -> dict[str, SteeringVector]:
    """Build random vectors with a direction in every layer."""
    generator = torch.Generator().manual_seed(0)
    info = VectorInfo(
        name="v",
        checkpoint=shape.name,
        fingerprint=shape.fingerprint,
        width=shape.width,
        layer_count=shape.layer_count,
    )
    return {
        str(index): SteeringVector(
            {
                layer: torch.randn(shape.width, generator=generator)
                for layer in range(shape.layer_count)
            },
            info,
        )
        for index in range(VECTORS)
    }


class CountingTokenizer:
    """A tokenizer that counts its calls."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.tokenizer(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)


class PeakMemory:
    """Largest growth of this process's resident set within a with-block, in bytes."""

    def __enter__(self) -> "PeakMemory":
        self._process, self._ended = psutil.Process(), threading.Event()
        self._before = self._peak = self._process.memory_info().rss
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        self._peak = max(self._peak, self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        return self._peak - self._before


if __name__ == "__main__":
    main()
