"""Latency of streams on pocket: first sound, and live changes of a strength.

    python -m benchmarks.streaming --out docs         # updates performance.json and .md

A player requests a chunk 15 ms before it is due, as the callback of a sound card with a buffer of
that length. First sound: from `model.stream(...)` to the first chunk. Control latency: from
`set_strength` until the first sample of the affected frame is played, at 20 times spread over the
clip.
"""

import argparse
import json
import statistics
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import torch

import tonearm
from benchmarks.decode import measured_on
from benchmarks.page import add_results

CHANGES = 20
CHUNKS = (0.04, 0.1, 0.2)
BUFFER = 0.015


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    model = tonearm.load(device="cpu")
    model.generate("a folk tune", seconds=1, seed=0)  # packs the weights
    results = [measure(model, chunk, rewinds) for rewinds in (False, True) for chunk in CHUNKS]
    for entry in results:
        print(json.dumps(entry), flush=True)
    add_results(arguments.out, "streaming", results, measured_on())


def measure(model: tonearm.Model, chunk_seconds: float, rewinds: bool) -> dict:
    first_sounds = []
    for seed in range(5):
        began = time.perf_counter()
        next(
            iter(
                model.stream(
                    "a folk tune with flute", seconds=10, seed=seed, chunk_seconds=chunk_seconds
                )
            )
        )
        first_sounds.append(time.perf_counter() - began)
    stream = model.stream(
        "a folk tune with flute",
        steer={"brightness": "raw:0"},
        seconds=10,
        seed=1,
        chunk_seconds=chunk_seconds,
        rewinds=rewinds,
    )
    changed: list[tuple[float, Future[int]]] = []

    def change() -> None:
        for number in range(CHANGES):
            time.sleep(8.0 / CHANGES + 0.013)
            changed.append(
                (time.perf_counter(), stream.set_strength("brightness", 0.02 * (number % 2)))
            )

    control = threading.Thread(target=change)
    played: list[tuple[float, float]] = []  # start of a chunk in the clip, and time of playback
    late = 0.0
    for chunk in stream:
        now = time.perf_counter()
        if not played:
            control.start()
        due = played[-1][1] + chunk.start - played[-1][0] if played else now
        played.append((chunk.start, max(now, due)))
        late = max(late, now - due)
        next_due = played[-1][1] + chunk.samples.shape[1] / chunk.sample_rate
        time.sleep(max(0.0, next_due - BUFFER - time.perf_counter()))
    control.join()
    rate = model.shape.frame_rate
    waits = []
    for at, future in changed:
        if not future.exception():
            second = future.result() / rate
            start, sounds = max(one for one in played if one[0] <= second)
            waits.append(sounds + second - start - at)
    return {
        "chunk_seconds": chunk_seconds,
        "rewinds": rewinds,
        "first_sound_ms": round(1000 * statistics.median(first_sounds)),
        "control_ms": round(1000 * statistics.median(waits)),
        "control_worst_ms": round(1000 * max(waits)),
        "changes": len(waits),
        "latest_chunk_ms": round(1000 * late),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    main()
