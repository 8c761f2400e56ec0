"""Tonearm's decoder beside transformers' generate(), in one process and in turns; ratios of medians, and the ratio to the physical floor.

    python -m benchmarks.decode --out docs            # writes performance.json and performance.md there

The floor of a step is the time to read every decoder weight once, at the read bandwidth that this machine shows in the same run. Codes only: the codec's
decoding is the same for both. generate() runs with SDPA, without hooks unless it steers.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from pathlib import Path

import torch

from benchmarks.checkpoints import checkpoint
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.engine import DecoderEngine, Engine, ReferenceEngine
from tonearm.musicgen.plan import compile_plan
from tonearm.musicgen.request import Request
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Steer, Steering, SteeringVector, VectorInfo

# checkpoint, rows, seconds, vectors
CASES = [
    ("pocket", 1, 10.0, 0), ("pocket", 1, 10.0, 8), ("pocket", 32, 10.0, 0),
    ("musicgen-small", 1, 3.0, 0), ("musicgen-small", 1, 3.0, 8),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="+", help="checkpoints")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results, loaded = [], {}
    for name, rows, seconds, vectors in CASES:
        if arguments.only and name not in arguments.only:
            continue
        if name not in loaded:
            loaded = {name: checkpoint(name)}
        case = measure(loaded[name], rows, seconds, vectors, arguments.repeats)
        results.append(case)
        print(json.dumps(case), flush=True)
    machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads, torch {torch.__version__}"
    (arguments.out / "performance.json").write_text(json.dumps({"machine": machine, "cases": results}, indent=1) + "\n")
    (arguments.out / "performance.md").write_text(page(machine, results, arguments.repeats))


def measure(c: Checkpoint, rows: int, seconds: float, vectors: int, repeats: int) -> dict:
    """Medians over `repeats` turns of each engine, and what follows from them."""
    request = request_for(c, rows, seconds, vectors)
    engines: dict[str, Engine] = {"generate": ReferenceEngine(c), "decoder": DecoderEngine(c)}
    codes = {
        name: engine.decode(request_for(c, rows, 0.4, vectors)) for name, engine in engines.items()
    }  # warm, and packed
    same = bool(torch.equal(*codes.values()))
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(repeats):
        for name, engine in engines.items():
            began = time.perf_counter()
            codes[name] = engine.decode(request)
            times[name].append(time.perf_counter() - began)
    same = same and bool(torch.equal(*codes.values()))
    steps = request.frames + c.delay_frames
    step = {name: 1000 * statistics.median(taken) / steps for name, taken in times.items()}
    once = ("embed_tokens", "encoder_attn.k_proj", "encoder_attn.v_proj")  # not read at every step
    weights = sum(
        p.numel() * p.element_size()
        for name, p in c.model.decoder.named_parameters()
        if not any(part in name for part in once)
    )
    floor = 1000 * weights / read_bandwidth()
    return {
        "checkpoint": c.name, "dtype": str(c.dtype).removeprefix("torch."), "rows": rows, "seconds": seconds, "vectors": vectors,
        "generate_ms": round(step["generate"], 2), "decoder_ms": round(step["decoder"], 2), "floor_ms": round(floor, 2),
        "faster": round(step["generate"] / step["decoder"], 2), "of_floor": round(step["decoder"] / floor, 2),
        "real_time": round(rows * seconds / statistics.median(times["decoder"]), 2), "same_codes": same,
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }  # fmt: skip


def page(machine: str, cases: list[dict], repeats: int) -> str:
    lines = [
        "# Performance", "",
        "This page is written by `python -m benchmarks.decode`.", "",
        f"Machine: {machine}. Milliseconds a step, median of {repeats} runs of each engine in turns in one process, guidance on, codes only. The floor is the time to "
        "read all decoder weights of a step once at the read bandwidth measured beside each case. musicgen checkpoints: random weights of the released shapes. "
        "Real time: seconds of audio per second, over all rows. Where the codes are not the same, the two part at some step: packed products round otherwise in the last bit.", "",
        "| checkpoint | dtype | rows | seconds | vectors | generate() | decoder | faster | floor | decoder / floor | real time | same codes |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for case in cases:
        lines.append(
            f"| {case['checkpoint']} | {case['dtype']} | {case['rows']} | {case['seconds']:g} | {case['vectors']} | {case['generate_ms']} | "
            f"{case['decoder_ms']} | **{case['faster']}x** | {case['floor_ms']} | {case['of_floor']}x | {case['real_time']}x | "
            f"{'yes' if case['same_codes'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def request_for(c: Checkpoint, rows: int, seconds: float, vectors: int) -> Request:
    frames = round(seconds * c.frame_rate)
    steers = tuple(Steer(vector=str(i), strength=0.1, strategy="all-to-all") for i in range(vectors))
    info = VectorInfo(name="v", checkpoint=c.name, fingerprint=c.fingerprint, width=c.width, layer_count=c.layer_count)
    generator = torch.Generator().manual_seed(0)
    shelf = {
        str(i): SteeringVector({k: torch.randn(c.width, generator=generator) for k in range(c.layer_count)}, info)
        for i in range(vectors)
    }
    prompts = [f"a folk tune {'with flute ' * (i % 3)}" for i in range(rows)]
    plan = compile_plan(c, [Steering(steers=steers)] * rows, shelf, frames)
    return Request(condition(c, prompts, guided=True), frames, [Sampling()] * rows, list(range(rows)), plan)


def read_bandwidth(gib: float = 1.0) -> float:
    """Bytes a second that all threads together read, the best of five sums over a buffer beyond every cache."""
    buffer = torch.ones(int(gib * 2**28))
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        buffer.sum()
        taken.append(time.perf_counter() - began)
    return buffer.numel() * 4 / min(taken)


if __name__ == "__main__":
    main()
