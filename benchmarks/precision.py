"""What fewer bits cost in quality: pocket and a random musicgen-small hear codes that pocket made, or random ones, and say what comes next.

    python -m benchmarks.precision --out docs         # adds to performance.json, and writes performance.md again

Against float32, over every position and codebook of the same codes, without guidance: the Kullback-Leibler divergence of the next code's distribution, how often the
likeliest code is another one, and (pocket, on its own takes) the loss in nats. Then, on pocket, whole takes: brightness and onsets of the same seeds.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

import tonearm
from benchmarks.checkpoints import checkpoint
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    texts = list(prompts.held_out()[:ROWS])
    takes = {
        name: [model.generate(text, seconds=SECONDS, seed=i) for i, text in enumerate(texts)]
        for name, model in ((name, tonearm.load(device="cpu", dtype=name)) for name in ("float32", *PRECISIONS))
    }
    codes = torch.stack([torch.from_numpy(take.codes) for take in takes["float32"]])
    found = compare("pocket", codes, texts)
    for name in PRECISIONS:
        found[name] |= {
            f"{what}_ratio": round(float(np.exp(np.mean(np.log(values(takes[name]) / values(takes["float32"]))))), 3)
            for what, values in (("brightness", brightness), ("onset", onsets))
        }
    shaped = torch.randint(0, 2048, (4, 4, 50), generator=torch.Generator().manual_seed(0))
    everything = {"pocket": found, "musicgen-small": compare("musicgen-small", shaped, texts[:4])}
    print(json.dumps(everything, indent=1))
    add_results(arguments.out, "precision", everything)


def compare(name: str, codes: torch.Tensor, texts: list[str]) -> dict:
    whole = next_code(checkpoint(name), codes, texts)
    found = {"float32": {"loss": round(loss(whole, codes), 4)}}
    for precision in PRECISIONS:
        loaded = checkpoint(name, "float32" if precision == "int8" else precision)
        log_p = next_code(dataclasses.replace(loaded, int8=precision == "int8"), codes, texts)
        found[precision] = {
            "divergence": float(f"{float((whole.exp() * (whole - log_p)).sum(-1).mean()):.2g}"),
            "other_likeliest": round(float((whole.argmax(-1) != log_p.argmax(-1)).float().mean()), 4),
            "loss": round(loss(log_p, codes), 4),
        }
    return found


@torch.inference_mode()
def next_code(c: Checkpoint, codes: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Log-probabilities [B, K, T, V] of each code, given those before it."""
    tokens = delay(codes, c.bos)
    state = Decoder(c).begin(condition(c, texts, guided=False), tokens.shape[-1])
    logits = torch.stack(
        [state.forward(tokens[..., at : at + 1], {}) for at in range(tokens.shape[-1] - 1)], dim=2
    )  # [B, K, P - 1, V]
    frames = codes.shape[-1]
    return torch.stack([logits[:, k, k : k + frames] for k in range(c.codebooks)], dim=1).log_softmax(-1)


def loss(log_p: torch.Tensor, codes: torch.Tensor) -> float:
    return float(-log_p.gather(-1, codes[..., None]).mean())


def brightness(takes: list[tonearm.Take]) -> np.ndarray:
    return np.array([measure_spectral_centroid(take.clip).value for take in takes])


def onsets(takes: list[tonearm.Take]) -> np.ndarray:
    return np.array([max(0.1, measure_onset_rate(take.clip).value or 0) for take in takes])


if __name__ == "__main__":
    main()
