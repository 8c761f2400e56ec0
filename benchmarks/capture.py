"""Throughput of capture from audio against a plain forward pass of transformers with hooks.

    python -m benchmarks.capture                                  # pocket, 4 segments of 10 s
    python -m benchmarks.capture --checkpoint musicgen-small --seconds 2

Both read the same codes at the residual stream of every layer, alternately, and keep the position
`last`. The codec encodes for both alike and is timed apart: `with_codec` is the ratio of whole
times. Rows must agree, or the run fails. Each figure is a median over the repeats.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.checkpoints import checkpoint
from benchmarks.decode import measured_on
from tonearm.activations.audio import AudioSpec
from tonearm.activations.audio_pooling import SpanPool
from tonearm.audio import Clip
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.codec import encode_audio
from tonearm.musicgen.conditioning import Conditioning, condition
from tonearm.musicgen.engine import DecoderEngine, forced_tokens

TOLERANCE = 1e-3  # of a row, relative to the largest value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="pocket")
    parser.add_argument("--segments", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = measure(
        checkpoint(arguments.checkpoint), arguments.segments, arguments.seconds, arguments.repeats
    )
    print(json.dumps(found | {"machine": measured_on()["machine"]}))


def measure(c: Checkpoint, segments: int, seconds: float, repeats: int) -> dict:
    """Return medians of seconds per batch, ratios within a repeat, and segments per second."""
    spec = AudioSpec(segment_seconds=seconds).resolved(c)
    (span,) = spec.positions(c.shape).spans
    size = spec.format(c.shape).samples
    clips = [
        Clip(
            0.2 * np.random.default_rng(i).standard_normal((c.shape.channels, size)),
            c.shape.sample_rate,
        )
        for i in range(segments)
    ]
    conditioning = condition(c, [None] * segments, guided=False)
    engine = DecoderEngine(c)
    passes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "transformers": lambda codes: by_transformers(c, conditioning, codes, span.start),
        "tonearm": lambda codes: by_tonearm(engine, conditioning, codes, span),
    }
    times: dict[str, list[float]] = {name: [] for name in (*passes, "codec")}
    rows: dict[str, torch.Tensor] = {}
    for _ in range(1 + repeats):
        began = time.perf_counter()
        codes = torch.stack([encode_audio(c, clip) for clip in clips])
        times["codec"].append(time.perf_counter() - began)
        for name, run in passes.items():
            began = time.perf_counter()
            rows[name] = run(codes)
            times[name].append(time.perf_counter() - began)
    theirs, ours = rows["transformers"], rows["tonearm"]
    if (ours - theirs).abs().max() > TOLERANCE * theirs.abs().max():
        raise SystemExit("the rows of both passes differ")
    # The first repeat warms up.
    codec, plain, fast = (times[name][1:] for name in ("codec", "transformers", "tonearm"))
    return {
        "checkpoint": c.shape.public_name,
        "segments": segments,
        "seconds": spec.segment_seconds,
        "repeats": repeats,
        "codec_s": round(statistics.median(codec), 3),
        "transformers_s": round(statistics.median(plain), 3),
        "tonearm_s": round(statistics.median(fast), 3),
        "faster": round(statistics.median(a / b for a, b in zip(plain, fast, strict=True)), 2),
        "with_codec": round(
            statistics.median(
                (e + a) / (e + b) for e, a, b in zip(codec, plain, fast, strict=True)
            ),
            2,
        ),
        "segments_per_s": round(
            segments / statistics.median(map(sum, zip(codec, fast, strict=True))), 2
        ),
    }


def by_tonearm(
    engine: DecoderEngine, conditioning: Conditioning, codes: torch.Tensor, span: range
) -> torch.Tensor:
    """Rows [B, L, D] of the decoder's taps."""
    layers = range(engine.checkpoint.shape.layer_count)
    pools = [SpanPool(conditioning, [span]) for _ in layers]
    engine.read(conditioning, {("residual", layer): [pools[layer]] for layer in layers}, codes)
    return torch.stack([pool.rows[:, 0] for pool in pools], dim=1)


@torch.no_grad()
def by_transformers(
    c: Checkpoint, conditioning: Conditioning, codes: torch.Tensor, position: int
) -> torch.Tensor:
    """Rows [B, L, D] of hooks on a forward pass."""
    kept: list[torch.Tensor] = []

    def keep(_module: object, _args: object, output: torch.Tensor | tuple) -> None:
        states = output[0] if isinstance(output, tuple) else output
        kept.append(states[:, conditioning.prefix + position].clone())

    handles = [layer.register_forward_hook(keep) for layer in c.layers]
    ids = forced_tokens(c, conditioning, codes).flatten(0, 1)
    try:
        if conditioning.prefix:
            c.decoder(input_ids=ids, encoder_hidden_states=conditioning.states, use_cache=False)
        else:
            c.model(
                encoder_outputs=(conditioning.states,),
                attention_mask=conditioning.mask,
                decoder_input_ids=ids,
                use_cache=False,
            )
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(kept, dim=1)


if __name__ == "__main__":
    main()
