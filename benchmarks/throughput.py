"""Takes per hour of a study run, and its dependence on codec batches, measuring and batch rows.

    python -m benchmarks.throughput --out docs        # pocket; about 5 minutes on two CPU cores
    python -m benchmarks.throughput --out docs --device cuda --dtype bfloat16 \\
        --checkpoint musicgen-melody --seconds 10 --takes 256 --rows 1 16 64 128

In every repeat a study of plain takes (`tonearm.studies.run`) is made once under each condition, in
turn and in a new store. The base has the largest of `--rows` in a batch, one worker that measures,
and the codec's own choice of rows. The ratios are takes per hour over takes per hour, each within
one repeat; their median is reported, with the smallest and the largest:

    codec    audio of up to 32 rows decoded together, over one row at a time
    worker   takes measured in a worker beside decoding, over in this process
    rows     a batch of more rows over one of fewer, for each pair of neighbours in `--rows`

A short stage of each run is not timed: the worker starts and loads its evaluators in it.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import torch

from benchmarks.checkpoints import SHAPES, checkpoint
from benchmarks.decode import measured_on
from benchmarks.page import add_results
from tonearm import TakeRequest
from tonearm.model import Model
from tonearm.musicgen import codec
from tonearm.musicgen.codec import CUDA_ROWS, ONE_AT_A_TIME, CodecLimit
from tonearm.musicgen.variants import POCKET
from tonearm.studies.measuring import CLIPS_PER_JOB
from tonearm.studies.plan import Study, Trial
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store

GROUPS = ("signal", "beats")
PROMPT = "a folk tune with flute"
CODEC_BYTES = 2**33  # of rows that are decoded together where the codec's own choice is one row
RELEASED_FILTERS = 64  # of the codec


@dataclass(frozen=True)
class Condition:
    """Rows of a batch, processes that measure (0: this one), and rows that the codec decodes."""

    rows: int
    workers: int
    codec: CodecLimit


@dataclass(frozen=True)
class Comparison:
    """Two conditions whose takes per hour are divided, and the names of both."""

    compared: str
    baseline: str
    conditions: tuple[Condition, Condition]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--checkpoint", choices=(POCKET, *SHAPES), default=POCKET)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rows", type=int, nargs="+", default=(1, 16, 48), help="of a batch")
    parser.add_argument("--takes", type=int, default=96, help="of a timed run")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a take")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    model = Model(
        checkpoint(arguments.checkpoint, arguments.dtype, device, RELEASED_FILTERS), consume=True
    )
    rows = sorted(set(arguments.rows))
    comparisons = comparisons_of(rows, codec.codec_limit(device))
    rates = measure(model, comparisons, arguments.takes, arguments.seconds, arguments.repeats)
    results = {
        "device": device.type,
        "checkpoint": arguments.checkpoint,
        "precision": arguments.dtype,
        "takes": arguments.takes,
        "seconds": arguments.seconds,
        "repeats": arguments.repeats,
        "groups": GROUPS,
        "rows": rows[-1],
        "comparisons": [summary(one, rates) for one in comparisons],
    }
    for entry in results["comparisons"]:
        print(json.dumps(entry), flush=True)
    section = "throughput" if device.type == "cpu" else f"throughput_{device.type}"
    add_results(arguments.out, section, results, measured_on(device))


def comparisons_of(rows: Sequence[int], own: CodecLimit) -> list[Comparison]:
    """The comparisons of rows in ascending order, for a device with the codec's own limit."""
    together = own if own.rows > 1 else CodecLimit(CUDA_ROWS, CODEC_BYTES)
    base = Condition(rows[-1], 1, own)
    return [
        Comparison(
            f"up to {together.rows} rows decoded to audio together",
            "one at a time",
            (Condition(rows[-1], 1, together), Condition(rows[-1], 1, ONE_AT_A_TIME)),
        ),
        Comparison(
            "measured in a worker, beside decoding",
            "measured in the process that decodes",
            (base, Condition(rows[-1], 0, own)),
        ),
        *(
            Comparison(
                f"{more} row{'s' if more > 1 else ''} per batch",
                f"{fewer} row{'s' if fewer > 1 else ''} per batch",
                (Condition(more, 1, own), Condition(fewer, 1, own)),
            )
            for fewer, more in pairwise(rows)
        ),
    ]


def measure(
    model: Model, comparisons: Sequence[Comparison], takes: int, seconds: float, repeats: int
) -> dict[Condition, list[float]]:
    """Takes per hour of each condition, one value per repeat."""
    conditions = dict.fromkeys(each for one in comparisons for each in one.conditions)
    rates: dict[Condition, list[float]] = {condition: [] for condition in conditions}
    for _ in range(repeats):
        for condition in conditions:
            rates[condition].append(takes_per_hour(model, condition, takes, seconds))
    return rates


def summary(comparison: Comparison, rates: dict[Condition, list[float]]) -> dict:
    """Median takes per hour of both conditions, and median and range of their ratio."""
    compared, baseline = (rates[condition] for condition in comparison.conditions)
    ratios = [a / b for a, b in zip(compared, baseline, strict=True)]
    return {
        "compared": comparison.compared,
        "baseline": comparison.baseline,
        "compared_per_hour": round(statistics.median(compared)),
        "baseline_per_hour": round(statistics.median(baseline)),
        "ratio": round(statistics.median(ratios), 2),
        "lowest": round(min(ratios), 2),
        "highest": round(max(ratios), 2),
    }


def takes_per_hour(model: Model, condition: Condition, takes: int, seconds: float) -> float:
    """Run a study of this many takes under a condition."""
    stages = {
        "warm-up": lambda found: trials(CLIPS_PER_JOB, seconds, seed=takes),
        "timed": lambda found: trials(takes, seconds, seed=0),
    }
    settings = Settings(workers=condition.workers, batch_size=condition.rows)
    clock = StageClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder)) as store,
        codec_limited_to(condition.codec),
    ):
        records = run(Study("throughput", stages, {}), model, store, settings, clock)
    assert len(records) == CLIPS_PER_JOB + takes
    return 3600 * takes / clock.seconds


def trials(count: int, seconds: float, seed: int) -> list[Trial]:
    """Plain takes with consecutive seeds; of one prompt, so that batches are full."""
    return [
        Trial(
            TakeRequest(PROMPT, seed + index, seconds=seconds),
            {"take": index},
            GROUPS,
        )
        for index in range(count)
    ]


@contextmanager
def codec_limited_to(limit: CodecLimit) -> Iterator[None]:
    """Let the codec decode that many rows together."""
    with mock.patch.object(codec, "codec_limit", lambda device: limit):
        yield


class StageClock:
    """A progress function that keeps the duration of the last stage, in seconds."""

    def __init__(self) -> None:
        self.began = self.seconds = 0.0

    def __call__(self, done: int, count: int) -> None:
        now = time.perf_counter()
        if not done:
            self.began = now
        self.seconds = now - self.began


if __name__ == "__main__":
    main()
