"""Time of `tonearm.measures.describe` on 10-s takes of pocket.

    python -m benchmarks.describe

The takes are generated once; the first description, which imports librosa, is not timed. The times
of two versions of Tonearm compare on one machine, in alternating runs.
"""

import argparse
import statistics
import time

import torch

import tonearm
from tonearm.measures import describe

PROMPTS = (
    "a folk tune with flute",
    "a fast jazz piece with piano",
    "slow dark ambient with strings",
    "a bright latin song",
)
SECONDS = 10
REPEATS = 5


def milliseconds(repeats: int = REPEATS) -> list[float]:
    """Time each description of each take."""
    model = tonearm.load(device="cpu")
    clips = [
        model.generate(prompt, seconds=SECONDS, seed=seed).clip
        for seed, prompt in enumerate(PROMPTS)
    ]
    describe(clips[0])
    times = []
    for _ in range(repeats):
        for clip in clips:
            began = time.perf_counter()
            describe(clip)
            times.append(1000 * (time.perf_counter() - began))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    times = milliseconds()
    low, high = min(times), max(times)
    print(
        f"describe, {SECONDS}-s takes: median {statistics.median(times):.0f} ms "
        f"({low:.0f} to {high:.0f}, n = {len(times)})"
    )


if __name__ == "__main__":
    main()
