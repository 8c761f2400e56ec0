"""How soon a stream sounds, and how soon a turned slider is heard, on pocket.

    python -m benchmarks.streaming --out docs         # adds to performance.json, and writes performance.md again

A player asks for a chunk 15 ms before it has to sound, as a sound card's callback does with a buffer of that length. First sound: from `model.stream(...)` to the
first chunk. Slider to sample: from `turn` to the moment at which the first sample of the frame that it acted on sounds, turned at 20 moments spread over the clip.
"""

import argparse
import json
import statistics
import threading
import time
from pathlib import Path

import torch

import tonearm
from benchmarks.page import add_results

TURNS = 20
CHUNKS = (0.04, 0.1, 0.2)
BUFFER = 0.015


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    model = tonearm.load(device="cpu")
    model.generate("a folk tune", seconds=1, seed=0)  # packs the weights
    found = [measure(model, chunk) for chunk in CHUNKS]
    for entry in found:
        print(json.dumps(entry), flush=True)
    add_results(arguments.out, "streaming", found)


def measure(model: tonearm.Model, chunk_seconds: float) -> dict:
    first_sounds = []
    for seed in range(5):
        began = time.perf_counter()
        next(iter(model.stream("a folk tune with flute", seconds=10, seed=seed, chunk_seconds=chunk_seconds)))
        first_sounds.append(time.perf_counter() - began)
    stream = model.stream(
        "a folk tune with flute", steer={"brightness": 0}, seconds=10, seed=1, chunk_seconds=chunk_seconds
    )
    turned: list[tuple[float, tonearm.generation.stream.Future[int]]] = []  # type: ignore[name-defined]

    def turn() -> None:
        for number in range(TURNS):
            time.sleep(8.0 / TURNS + 0.013)
            turned.append((time.perf_counter(), stream.turn("brightness", 0.02 * (number % 2))))

    slider = threading.Thread(target=turn)
    heard: list[tuple[float, float]] = []  # second of the clip at which a chunk begins, and when it sounds
    late = 0.0
    for chunk in stream:
        now = time.perf_counter()
        if not heard:
            slider.start()
        due = heard[-1][1] + chunk.start - heard[-1][0] if heard else now
        heard.append((chunk.start, max(now, due)))
        late = max(late, now - due)
        next_due = heard[-1][1] + chunk.samples.shape[1] / chunk.sample_rate
        time.sleep(max(0.0, next_due - BUFFER - time.perf_counter()))
    slider.join()
    rate = model.checkpoint.frame_rate
    waits = []
    for at, future in turned:
        if not future.exception():
            second = future.result() / rate
            start, sounds = max(one for one in heard if one[0] <= second)
            waits.append(sounds + second - start - at)
    return {
        "chunk_seconds": chunk_seconds, "first_sound_ms": round(1000 * statistics.median(first_sounds)),
        "slider_ms": round(1000 * statistics.median(waits)), "slider_worst_ms": round(1000 * max(waits)), "turns": len(waits),
        "latest_chunk_ms": round(1000 * late), "threads": torch.get_num_threads(),
    }  # fmt: skip


if __name__ == "__main__":
    main()
