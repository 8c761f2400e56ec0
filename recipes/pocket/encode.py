"""Stage 3a, audio -> codes: `codes/<split>-0000.npy`, int16 [500, K, T]."""

from pathlib import Path

import numpy as np
import torch
from transformers import EncodecModel

from recipes.pocket.corpus import load_audio, shards_present
from tonearm.files import write_aside


def codes_path(out: Path, split: str, index: int) -> Path:
    return out / "codes" / f"{split}-{index:04d}.npy"


@torch.inference_mode()
def encode_corpus(corpus: Path, out: Path, split: str, device: str = "cpu", batch: int = 10) -> None:
    """Encode every shard of `split` that is not encoded yet."""
    codec = EncodecModel.from_pretrained(out / "codec").to(device).eval()
    (out / "codes").mkdir(parents=True, exist_ok=True)
    for index in shards_present(corpus, split):
        path = codes_path(out, split, index)
        if path.exists():
            continue
        audio = load_audio(corpus, split, index)
        parts = []
        for first in range(0, len(audio), batch):
            samples = torch.from_numpy(audio[first : first + batch].astype(np.float32) / 32768)[:, None]
            codes = codec.encode(samples.to(device), bandwidth=codec.config.target_bandwidths[0]).audio_codes[0]
            parts.append(codes.cpu().numpy().astype(np.int16))
        with write_aside(path) as aside, aside.open("wb") as file:
            np.save(file, np.concatenate(parts))
        print(f"{split} shard {index} encoded", flush=True)
