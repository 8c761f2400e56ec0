"""Stage 3a: codes of the audio, `codes/<split>-0000.npy`, int16 [500, K, T]."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
from transformers import EncodecModel

from recipes.pocket.corpus import as_float, load_audio, shards_present
from tonearm.files.atomic import atomic_write

BATCH = 10  # pieces


def codes_path(out: Path, split: str, index: int) -> Path:
    return out / "codes" / f"{split}-{index:04d}.npy"


def encode_corpus(
    corpus: Path, out: Path, split: str, device: str = "cpu", processes: int = 1
) -> None:
    """Encode the missing shards of a split.

    Args:
        corpus: folder of the rendered shards.
        out: folder with `codec/`; receives `codes/`.
        split: train or held-out.
        device: torch device.
        processes: number of worker processes.
    """
    (out / "codes").mkdir(parents=True, exist_ok=True)
    missing = [
        index
        for index in shards_present(corpus, split)
        if not codes_path(out, split, index).exists()
    ]
    encode = partial(encode_shard, corpus, out, split, device)
    if processes == 1:
        for index in missing:
            print(f"{split} shard {encode(index)} encoded", flush=True)
        return
    with mp.get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        for index in pool.imap_unordered(encode, missing):
            print(f"{split} shard {index} encoded", flush=True)


@torch.inference_mode()
def encode_shard(corpus: Path, out: Path, split: str, device: str, index: int) -> int:
    """Encode one shard.

    Args:
        corpus: folder of the rendered shards.
        out: folder with `codec/` and `codes/`.
        split: train or held-out.
        device: torch device.
        index: index of the shard.

    Returns:
        The index.
    """
    torch.set_flush_denormal(True)
    codec = EncodecModel.from_pretrained(out / "codec").to(device).eval()
    audio = load_audio(corpus, split, index)
    parts = []
    for first in range(0, len(audio), BATCH):
        samples = torch.from_numpy(as_float(audio[first : first + BATCH]))[:, None]
        # bfloat16 is twice as fast and changes 1 to 3 % of the codes, at near ties. Held-out codes
        # are used for measurements and are computed in float32.
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=split == "train"):
            codes = codec.encode(
                samples.to(device), bandwidth=codec.config.target_bandwidths[0]
            ).audio_codes[0]
        parts.append(codes.cpu().numpy().astype(np.int16))
    with atomic_write(codes_path(out, split, index)) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(parts))
    return index
