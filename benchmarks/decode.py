"""Step time of Tonearm's decoder and of transformers' generate(), measured alternately.

    python -m benchmarks.decode --out docs            # performance.json, .md and .png
    python -m benchmarks.decode --only pocket         # cases of other checkpoints are kept

The floor of a step is the time to read its data once: every decoder weight (at the width of its
precision) and the cache up to the middle of the clip, at the read bandwidth measured between the
runs. Codes only: the codec is the same for both. generate() runs in float32 with SDPA, without
hooks unless it steers.
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

import tonearm
from benchmarks.checkpoints import checkpoint
from benchmarks.page import add_results
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import ReferenceEngine
from tonearm.musicgen.sampling import Sampling
from tonearm.progress import Progress
from tonearm.steering import Steer, Steering, SteeringVector, VectorInfo
from tonearm.steering.resolve import resolve


@dataclass(frozen=True)
class Case:
    """One measurement.

    `precision` is that of the decoder; generate() computes in float32. The timed `seconds` follow
    an audio prompt of `prompt_seconds`.
    """

    checkpoint: str
    rows: int
    seconds: float
    vectors: int = 0
    precision: str = "float32"
    prompt_seconds: float = 0.0
    repeats: int = 3


CASES = [
    *(Case("pocket", 1, 10, vectors=vectors) for vectors in (0, 1, 8)),
    *(Case("pocket", rows, 10) for rows in (4, 16, 32)),
    *(Case("pocket", rows, 10, precision="int8") for rows in (1, 32)),
    Case("musicgen-small", 1, 5),
    *(Case("musicgen-small", 1, 0.4, vectors=vectors) for vectors in (1, 8)),
    *(Case("musicgen-small", rows, 0.4) for rows in (4, 16)),
    *(
        Case("musicgen-small", rows, seconds, precision=precision)
        for precision in ("bfloat16", "int8")
        for rows, seconds in ((1, 0.6), (16, 0.4))
    ),
    *(Case("musicgen-melody", 1, 0.2, precision=name) for name in ("float32", "bfloat16", "int8")),
    *(Case("musicgen-medium", 1, 0.2, precision=name) for name in ("float32", "int8")),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="+", help="checkpoints")
    parser.add_argument(
        "--missing", action="store_true", help="only cases that performance.json lacks"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = arguments.out / "performance.json"
    known = json.loads(store.read_text()) if store.exists() else {}
    names = list(dict.fromkeys(case.checkpoint for case in CASES))
    results = {name: known.get("cases", {}).get(name, []) for name in names}
    origin = measured_on()
    for name in arguments.only or names:
        results[name] = results[name] if arguments.missing else []
        present = [{key: one[key] for key in asdict(CASES[0])} for one in results[name]]
        cases = [case for case in CASES if case.checkpoint == name and asdict(case) not in present]
        for case in measure_all(name, cases) if cases else ():
            results[name].append(case)
            print(json.dumps(case), flush=True)
            add_results(arguments.out, "cases", results, origin)


def measure_all(name: str, cases: list[Case]) -> Iterator[dict]:
    """Yield the results of each case.

    One decoder is in memory at a time, beside the weights of generate().
    """
    loaded, decoder, precision = checkpoint(name), None, ""
    for case in sorted(cases, key=lambda case: case.precision != "float32"):
        if case.precision != precision:
            decoder = None
            gc.collect()
            decoder, precision = Decoder(in_precision(loaded, case.precision)), case.precision
        yield measure(loaded, decoder, case)


def in_precision(loaded: Checkpoint, precision: str) -> Checkpoint:
    """Return the same weights at a precision for the decoder to pack; bfloat16 ones are copied."""
    if precision == "float32":
        return loaded
    if precision == "int8":
        return dataclasses.replace(loaded, int8=True)
    return checkpoint(loaded.shape.name.removeprefix("random "), precision)


def measure(c: Checkpoint, decoder: Decoder, case: Case) -> dict:
    """Return medians over the repeats of each engine, and the ratios between them."""
    request = request_for(c, case.rows, case.seconds, case.vectors, case.prompt_seconds)

    def decode(request: DecodeRequest, progress: Progress) -> torch.Tensor:
        decoding = Decoding(decoder, request)
        for frames in decoding:
            progress(frames, request.frames)
        return decoding.codes

    engines = {"generate": ReferenceEngine(c).decode, "decoder": decode}
    short = request_for(c, case.rows, 0.2, case.vectors)
    for engine in engines.values():
        engine(short, lambda *_: None)  # warm-up
    steps: dict[str, list[float]] = {name: [] for name in engines}  # milliseconds a step
    codes, bandwidths = {}, []
    for _ in range(case.repeats):
        for name, engine in engines.items():
            bandwidths.append(read_bandwidth())
            stamps = [time.perf_counter()]
            codes[name] = engine(
                request, lambda *_, stamps=stamps: stamps.append(time.perf_counter())
            )
            # the first one reads the prompt too
            steps[name].append(1000 * (stamps[-1] - stamps[1]) / (len(stamps) - 2))
    step = {name: statistics.median(taken) for name, taken in steps.items()}
    bandwidth = statistics.median(bandwidths)
    floor = 1000 * bytes_per_step(c, decoder, request) / bandwidth
    return asdict(case) | {
        "generate_ms": round(step["generate"], 2),
        "decoder_ms": round(step["decoder"], 2),
        "floor_ms": round(floor, 2),
        "faster": round(step["generate"] / step["decoder"], 2),
        "of_floor": round(step["decoder"] / floor, 2),
        "real_time": round(case.rows * 1000 / c.shape.frame_rate / step["decoder"], 2),
        "gb_per_s": round(bandwidth / 1e9, 1),
        "same_codes": bool(torch.equal(*codes.values())),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def measured_on(device: torch.device = torch.device("cpu")) -> dict:
    """Return this machine and pocket's fingerprint, for the performance page."""
    cpu = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return {
        "machine": f"{gpu}{cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "pocket": tonearm.load(device="cpu").shape.fingerprint,
    }


def bytes_per_step(c: Checkpoint, decoder: Decoder, request: DecodeRequest) -> int:
    """Return the bytes of weights, and of the cache at the middle of the timed section."""
    # not read in every step
    unread = ("embed_tokens", "encoder_attn.k_proj", "encoder_attn.v_proj")
    width = {"float32": 4, "bfloat16": 2, "int8": 1}[decoder.checkpoint.precision]
    weights = sum(
        p.numel()
        for name, p in c.model.decoder.named_parameters()
        if not any(part in name for part in unread)
    )
    positions = request.conditioning.prefix + (request.prompt_frames + request.frames) // 2
    cache = (
        2
        * c.shape.layer_count
        * len(request.conditioning.states)
        * positions
        * c.shape.width
        * decoder.dtype.itemsize
    )
    return width * weights + cache


def request_for(
    c: Checkpoint, rows: int, seconds: float, vectors: int, prompt_seconds: float = 0.0
) -> DecodeRequest:
    """Build a decode request.

    Args:
        c: checkpoint.
        rows: number of rows.
        seconds: new audio.
        vectors: number of vectors in every layer.
        prompt_seconds: audio prompt of random codes.

    Returns:
        The request.
    """
    prompt_frames = round(prompt_seconds * c.shape.frame_rate)
    frames = prompt_frames + max(1, round(seconds * c.shape.frame_rate))
    steers = tuple(
        Steer(vector=str(i), strength=0.1, strategy="all-to-all") for i in range(vectors)
    )
    info = VectorInfo(
        name="v",
        checkpoint=c.shape.name,
        fingerprint=c.shape.fingerprint,
        width=c.shape.width,
        layer_count=c.shape.layer_count,
    )
    generator = torch.Generator().manual_seed(0)
    vectors_by_name = {
        str(i): SteeringVector(
            {
                k: torch.randn(c.shape.width, generator=generator)
                for k in range(c.shape.layer_count)
            },
            info,
        )
        for i in range(vectors)
    }
    prompts = [f"a folk tune {'with flute ' * (i % 3)}" for i in range(rows)]
    plan = resolve([Steering(steers=steers)] * rows, vectors_by_name, c.shape, frames, c.device)
    codes = (
        torch.randint(0, c.bos, (rows, c.shape.codebooks, prompt_frames), generator=generator)
        if prompt_frames
        else None
    )
    return DecodeRequest(
        condition(c, prompts, guided=True),
        frames,
        [Sampling()] * rows,
        list(range(rows)),
        plan,
        prompt_codes=codes,
    )


def read_bandwidth(gib: float = 0.5) -> float:
    """Return the bytes per second that all threads together read.

    Best of three sums over a buffer larger than the caches.
    """
    buffer = torch.ones(int(gib * 2**28))
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        buffer.sum()
        taken.append(time.perf_counter() - began)
    return buffer.numel() * 4 / min(taken)


if __name__ == "__main__":
    main()
