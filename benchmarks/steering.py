"""Step time without vectors, with one and with eight in every layer, measured alternately.

python -m benchmarks.steering --out docs          # updates performance.json and .md
"""

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

from benchmarks.checkpoints import checkpoint
from benchmarks.decode import measured_on, request_for
from benchmarks.page import add_results
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder

REPEATS, SECONDS, VECTORS = 9, 0.5, (0, 1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    results = [
        measure(name, int8) for name in ("pocket", "musicgen-small") for int8 in (False, True)
    ]
    for entry in results:
        print(json.dumps(entry), flush=True)
    add_results(arguments.out, "steering", results, measured_on())


def measure(name: str, int8: bool) -> dict:
    """Return medians over the repeats, and of the ratios within a repeat."""
    c = dataclasses.replace(checkpoint(name), int8=int8)
    decoder = Decoder(c)
    requests = {vectors: request_for(c, 1, SECONDS, vectors) for vectors in VECTORS}
    times: dict[int, list[float]] = {vectors: [] for vectors in VECTORS}
    for _ in range(1 + REPEATS):
        for vectors, request in requests.items():
            decoding = Decoding(decoder, request)
            decoding.step()
            began = time.perf_counter()
            steps = sum(1 for _ in decoding)
            times[vectors].append(1000 * (time.perf_counter() - began) / steps)
    median = {vectors: statistics.median(taken[1:]) for vectors, taken in times.items()}
    cost = {
        f"cost_{vectors}": round(
            statistics.median(a / b for a, b in zip(times[vectors][1:], times[0][1:], strict=True))
            - 1,
            4,
        )
        for vectors in VECTORS[1:]
    }
    return {
        "checkpoint": name,
        "precision": c.precision,
        "step_ms": round(median[0], 2),
        "repeats": REPEATS,
    } | cost


if __name__ == "__main__":
    main()
