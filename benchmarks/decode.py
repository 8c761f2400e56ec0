"""Tonearm's decoder beside transformers' generate(), in one process and in turns; ratios of medians, and the ratio to the physical floor.

    python -m benchmarks.decode --out docs            # performance.json, performance.md and performance.png, case by case
    python -m benchmarks.decode --only pocket         # the other checkpoints' cases stay as they were measured before

The floor of a step is the time to read, once, what it has to read: every decoder weight (as wide as its precision) and the cache up to the middle of the clip, at
the read bandwidth that the machine shows between the turns. Codes only: the codec's decoding is the same for both. generate() runs in float32 with
SDPA, without hooks unless it steers.
"""

import argparse
import dataclasses
import gc
import json
import platform
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.checkpoints import checkpoint
from benchmarks.page import write_page
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest, OnFrame
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import ReferenceEngine
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Steer, Steering, SteeringVector, VectorInfo
from tonearm.steering.resolve import compile_plan


@dataclass(frozen=True)
class Case:
    """`precision` is the decoder's; generate() computes in float32. `heard` seconds of audio prompt stand before the `seconds` that are timed."""

    checkpoint: str
    rows: int
    seconds: float
    vectors: int = 0
    precision: str = "float32"
    heard: float = 0.0
    repeats: int = 3


CASES = [
    Case("pocket", 1, 10), Case("pocket", 1, 10, vectors=1), Case("pocket", 1, 10, vectors=8), Case("pocket", 4, 10),
    Case("pocket", 16, 10), Case("pocket", 32, 10), Case("pocket", 1, 10, precision="int8"), Case("pocket", 32, 10, precision="int8"),
    Case("musicgen-small", 1, 5), Case("musicgen-small", 1, 0.4, vectors=1), Case("musicgen-small", 1, 0.4, vectors=8), Case("musicgen-small", 4, 0.4), Case("musicgen-small", 16, 0.4),
    Case("musicgen-small", 1, 0.6, precision="bfloat16"), Case("musicgen-small", 16, 0.4, precision="bfloat16"),
    Case("musicgen-small", 1, 0.6, precision="int8"),
    Case("musicgen-small", 16, 0.4, precision="int8"),
    Case("musicgen-melody", 1, 0.2), Case("musicgen-melody", 1, 0.2, precision="bfloat16"), Case("musicgen-melody", 1, 0.2, precision="int8"),
    Case("musicgen-medium", 1, 0.2), Case("musicgen-medium", 1, 0.2, precision="int8"),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="+", help="checkpoints")
    parser.add_argument("--missing", action="store_true", help="only cases that performance.json lacks")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = arguments.out / "performance.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    names = list(dict.fromkeys(case.checkpoint for case in CASES))
    results = {name: known.get("cases", {}).get(name, []) for name in names}
    machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads, torch {torch.__version__}"
    for name in arguments.only or names:
        results[name] = results[name] if arguments.missing else []
        there = [{key: one[key] for key in asdict(CASES[0])} for one in results[name]]
        cases = [case for case in CASES if case.checkpoint == name and asdict(case) not in there]
        for case in measured(name, cases) if cases else ():
            results[name].append(case)
            print(json.dumps(case), flush=True)
            store.write_text(json.dumps(known | {"machine": machine, "cases": results}, indent=1) + "\n")
    write_page(arguments.out)


def measured(name: str, cases: list[Case]) -> Iterator[dict]:
    """Each case's results; the decoder of one precision is in memory at a time, beside generate()'s weights."""
    loaded, decoder, precision = checkpoint(name), None, ""
    for case in sorted(cases, key=lambda case: case.precision != "float32"):
        if case.precision != precision:
            decoder = None
            gc.collect()
            decoder, precision = Decoder(in_precision(loaded, case.precision)), case.precision
        yield measure(loaded, decoder, case)


def in_precision(loaded: Checkpoint, precision: str) -> Checkpoint:
    """The same weights for the decoder to pack; bfloat16's are copied."""
    if precision == "float32":
        return loaded
    if precision == "int8":
        return dataclasses.replace(loaded, int8=True)
    return checkpoint(loaded.name.removeprefix("random "), precision)


def measure(c: Checkpoint, decoder: Decoder, case: Case) -> dict:
    """Medians over the turns of each engine, and what follows from them."""
    request = request_for(c, case.rows, case.seconds, case.vectors, case.heard)

    def decoded(what: DecodeRequest, on_frame: OnFrame) -> torch.Tensor:
        decoding = Decoding(decoder, what)
        for frames in decoding:
            on_frame(frames, what.frames)
        return decoding.codes

    engines = {"generate": ReferenceEngine(c).decode, "decoder": decoded}
    short = request_for(c, case.rows, 0.2, case.vectors)
    for engine in engines.values():
        engine(short, lambda *_: None)  # warm
    steps: dict[str, list[float]] = {name: [] for name in engines}  # milliseconds a step
    codes, bandwidths = {}, []
    for _ in range(case.repeats):
        for name, engine in engines.items():
            bandwidths.append(read_bandwidth())
            stamps = [time.perf_counter()]
            codes[name] = engine(request, lambda *_, stamps=stamps: stamps.append(time.perf_counter()))
            steps[name].append(
                1000 * (stamps[-1] - stamps[1]) / (len(stamps) - 2)
            )  # the first one reads the prompt too
    step = {name: statistics.median(taken) for name, taken in steps.items()}
    bandwidth = statistics.median(bandwidths)
    floor = 1000 * bytes_per_step(c, decoder, request) / bandwidth
    return asdict(case) | {
        "generate_ms": round(step["generate"], 2), "decoder_ms": round(step["decoder"], 2), "floor_ms": round(floor, 2),
        "faster": round(step["generate"] / step["decoder"], 2), "of_floor": round(step["decoder"] / floor, 2),
        "real_time": round(case.rows * 1000 / c.frame_rate / step["decoder"], 2), "gb_per_s": round(bandwidth / 1e9, 1),
        "same_codes": bool(torch.equal(*codes.values())),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }  # fmt: skip


def bytes_per_step(c: Checkpoint, decoder: Decoder, request: DecodeRequest) -> int:
    """Weights, and the cache at the middle of the timed stretch."""
    once = ("embed_tokens", "encoder_attn.k_proj", "encoder_attn.v_proj")  # not read at every step
    wide = {"float32": 4, "bfloat16": 2, "int8": 1}[decoder.checkpoint.precision]
    weights = sum(p.numel() for name, p in c.model.decoder.named_parameters() if not any(part in name for part in once))
    positions = request.conditioning.prefix + (request.prompt_frames + request.frames) // 2
    cache = 2 * c.layer_count * len(request.conditioning.states) * positions * c.width * decoder.dtype.itemsize
    return wide * weights + cache


def request_for(c: Checkpoint, rows: int, seconds: float, vectors: int, heard: float = 0.0) -> DecodeRequest:
    before = round(heard * c.frame_rate)
    frames = before + max(1, round(seconds * c.frame_rate))
    steers = tuple(Steer(vector=str(i), strength=0.1, strategy="all-to-all") for i in range(vectors))
    info = VectorInfo(name="v", checkpoint=c.name, fingerprint=c.fingerprint, width=c.width, layer_count=c.layer_count)
    generator = torch.Generator().manual_seed(0)
    shelf = {
        str(i): SteeringVector({k: torch.randn(c.width, generator=generator) for k in range(c.layer_count)}, info)
        for i in range(vectors)
    }
    prompts = [f"a folk tune {'with flute ' * (i % 3)}" for i in range(rows)]
    plan = compile_plan(c, [Steering(steers=steers)] * rows, shelf, frames)
    codes = torch.randint(0, c.bos, (rows, c.codebooks, before), generator=generator) if before else None
    return DecodeRequest(
        condition(c, prompts, guided=True), frames, [Sampling()] * rows, list(range(rows)), plan, prompt_codes=codes
    )


def read_bandwidth(gib: float = 0.5) -> float:
    """Bytes a second that all threads together read: the best of three sums over a buffer beyond every cache."""
    buffer = torch.ones(int(gib * 2**28))
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        buffer.sum()
        taken.append(time.perf_counter() - began)
    return buffer.numel() * 4 / min(taken)


if __name__ == "__main__":
    main()
