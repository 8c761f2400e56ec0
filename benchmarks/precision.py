"""Quality cost of lower precision, for predictions and for takes.

    python -m benchmarks.precision --out docs         # updates performance.json and .md

Compared with float32, over every position and codebook of the same codes, without guidance:
Kullback-Leibler divergence of the next code's distribution, share of positions where the most
likely code changes, and (pocket, on its own takes) the loss in nats. Takes of pocket with equal
seeds are compared by spectral centroid and onset rate.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

import tonearm
from benchmarks.checkpoints import checkpoint
from benchmarks.decode import measured_on
from benchmarks.page import add_results
from tonearm.datasets import prompts
from tonearm.measures import measure_onset_rate, measure_spectral_centroid
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.delay import delay

ROWS, SECONDS = 16, 5.0
PRECISIONS = ("bfloat16", "int8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    texts = list(prompts.held_out()[:ROWS])
    takes = {
        name: [model.generate(text, seconds=SECONDS, seed=i) for i, text in enumerate(texts)]
        for name, model in (
            (name, tonearm.load(device="cpu", dtype=name)) for name in ("float32", *PRECISIONS)
        )
    }
    codes = torch.stack([torch.from_numpy(take.codes) for take in takes["float32"]])
    of_pocket = compare("pocket", codes, texts)
    for name in PRECISIONS:
        of_pocket[name] |= {
            f"{quantity}_ratio": round(
                float(np.exp(np.mean(np.log(values(takes[name]) / values(takes["float32"]))))), 3
            )
            for quantity, values in (("spectral_centroid", centroids), ("onset", onsets))
        }
    random_codes = torch.randint(0, 2048, (4, 4, 50), generator=torch.Generator().manual_seed(0))
    results = {
        "pocket": of_pocket,
        "musicgen-small": compare("musicgen-small", random_codes, texts[:4]),
    }
    print(json.dumps(results, indent=1))
    add_results(arguments.out, "precision", results, measured_on())


def compare(name: str, codes: torch.Tensor, texts: list[str]) -> dict:
    """Return divergence, changed top codes and loss of each precision against float32."""
    reference = next_code(checkpoint(name), codes, texts)
    results = {"float32": {"loss": round(loss(reference, codes), 4)}}
    for precision in PRECISIONS:
        loaded = checkpoint(name, "float32" if precision == "int8" else precision)
        log_p = next_code(dataclasses.replace(loaded, int8=precision == "int8"), codes, texts)
        results[precision] = {
            "divergence": float(
                f"{float((reference.exp() * (reference - log_p)).sum(-1).mean()):.2g}"
            ),
            "top_code_changed": round(
                float((reference.argmax(-1) != log_p.argmax(-1)).float().mean()), 4
            ),
            "loss": round(loss(log_p, codes), 4),
        }
    return results


@torch.inference_mode()
def next_code(c: Checkpoint, codes: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Return log-probabilities [B, K, T, V] of each code given the earlier ones."""
    tokens = delay(codes, c.bos)
    state = Decoder(c).begin(condition(c, texts, guided=False), tokens.shape[-1])
    # [B, K, P - 1, V]
    logits = torch.stack(
        [state.forward(tokens[..., at : at + 1], {}) for at in range(tokens.shape[-1] - 1)], dim=2
    )
    frames = codes.shape[-1]
    return torch.stack(
        [logits[:, k, k : k + frames] for k in range(c.shape.codebooks)], dim=1
    ).log_softmax(-1)


def loss(log_p: torch.Tensor, codes: torch.Tensor) -> float:
    return float(-log_p.gather(-1, codes[..., None]).mean())


def centroids(takes: list[tonearm.Take]) -> np.ndarray:
    return np.array([measure_spectral_centroid(take.clip).value for take in takes])


def onsets(takes: list[tonearm.Take]) -> np.ndarray:
    return np.array([max(0.1, measure_onset_rate(take.clip).value or 0) for take in takes])


if __name__ == "__main__":
    main()
