"""Stage 1, seeds -> shards of audio with labels: `corpus/<split>-0000.npy` (int16 [500, samples]) and `.jsonl`.

A shard is rendered by a fresh synthesizer, so it is the same each time; it appears under its name only when whole.
Held-out pieces have seeds of their own, far from the training ones.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from recipes.pocket.compose import compose
from recipes.pocket.render import Renderer
from tonearm.files import write_aside

PIECES_PER_SHARD = 500
FIRST_SEED = {"train": 0, "held-out": 10_000_000}


def render_shard(folder: Path, split: str, index: int) -> None:
    """Render one shard, unless it is there already."""
    audio_path, label_path = shard_paths(folder, split, index)
    if audio_path.exists() and label_path.exists():
        return
    renderer = Renderer()
    first = FIRST_SEED[split] + index * PIECES_PER_SHARD
    pieces = [compose(seed) for seed in range(first, first + PIECES_PER_SHARD)]
    audio = np.stack([np.round(renderer.render(piece) * 32767).astype(np.int16) for piece in pieces])
    with write_aside(label_path) as aside:
        aside.write_text("".join(json.dumps(piece.labels()) + "\n" for piece in pieces))
    with write_aside(audio_path) as aside, aside.open("wb") as file:
        np.save(file, audio)
    print(f"{split} shard {index}: {PIECES_PER_SHARD} pieces", flush=True)


def shard_paths(folder: Path, split: str, index: int) -> tuple[Path, Path]:
    stem = folder / f"{split}-{index:04d}"
    return stem.with_suffix(".npy"), stem.with_suffix(".jsonl")


def render_corpus(folder: Path, split: str, shards: int, processes: int) -> None:
    """Render `shards` shards of `split`; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(partial(render_shard, folder, split), range(shards)))


def load_audio(folder: Path, split: str, index: int) -> np.ndarray:
    """int16 [500, samples], memory-mapped."""
    return np.load(shard_paths(folder, split, index)[0], mmap_mode="r")


def load_labels(folder: Path, split: str, index: int) -> list[dict]:
    return [json.loads(line) for line in shard_paths(folder, split, index)[1].read_text().splitlines()]


def shards_present(folder: Path, split: str) -> list[int]:
    return sorted(int(path.stem.rsplit("-", 1)[1]) for path in folder.glob(f"{split}-*.npy"))
