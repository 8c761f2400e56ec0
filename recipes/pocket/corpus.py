"""Stage 1: shards of rendered audio with labels and melodies.

    corpus/<split>-0000.npy      int16 [500, samples]
    corpus/<split>-0000.jsonl    labels
    corpus/<split>-0000.melody   uint8 [500, MELODY_FRAMES], strongest pitch class per chroma frame

A shard is rendered by a new synthesizer, so its content does not depend on other shards. It gets
its name only when complete. Held-out pieces have separate seeds.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAMES_PER_CLIP, LEAD, Piece, compose
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.files.atomic import atomic_write
from tonearm.musicgen.melody import chromagram

PIECES_PER_SHARD = 500
MELODY_FRAMES = 79  # 10 s of chroma as melody checkpoints read it, 128 ms per frame
FIRST_SEED = {"train": 0, "held-out": 10_000_000}


def render_shard(folder: Path, split: str, index: int) -> None:
    """Render one shard, unless it is present."""
    audio_path, label_path = shard_paths(folder, split, index)
    melody_path = audio_path.with_suffix(".melody")
    if audio_path.exists() and label_path.exists() and melody_path.exists():
        return
    renderer = Renderer()
    first = FIRST_SEED[split] + index * PIECES_PER_SHARD
    pieces = [compose(seed) for seed in range(first, first + PIECES_PER_SHARD)]
    audio = np.stack([as_int16(renderer.render(piece)) for piece in pieces])
    with atomic_write(label_path) as temporary:
        temporary.write_text("".join(json.dumps(piece.labels()) + "\n" for piece in pieces))
    for path, array in (
        (melody_path, np.stack([melody(renderer, piece) for piece in pieces])),
        (audio_path, audio),
    ):
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    print(f"{split} shard {index}: {PIECES_PER_SHARD} pieces", flush=True)


def melody_clip(renderer: Renderer, piece: Piece) -> Clip:
    """Render the lead alone."""
    lead = [note for note in piece.notes if note.channel == LEAD]
    return Clip(renderer.play(lead, piece.programs, FRAMES_PER_CLIP), renderer.sample_rate)


def melody(renderer: Renderer, piece: Piece) -> np.ndarray:
    """Return the lead as melody input, uint8 [MELODY_FRAMES]."""
    return (
        chromagram(melody_clip(renderer, piece))[:MELODY_FRAMES].argmax(-1).numpy().astype(np.uint8)
    )


def shard_paths(folder: Path, split: str, index: int) -> tuple[Path, Path]:
    stem = folder / f"{split}-{index:04d}"
    return stem.with_suffix(".npy"), stem.with_suffix(".jsonl")


def render_corpus(folder: Path, split: str, shards: int, processes: int) -> None:
    """Render the missing shards of a split.

    Args:
        folder: folder of the shards.
        split: train or held-out.
        shards: number of shards.
        processes: number of worker processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(partial(render_shard, folder, split), range(shards)))


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Convert samples from float to int16; values beyond [-1, 1] are clipped."""
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def as_float(samples: np.ndarray) -> np.ndarray:
    """Convert samples from int16 to float32."""
    return samples.astype(np.float32) / 32768


def load_audio(folder: Path, split: str, index: int) -> np.ndarray:
    """Return int16 [500, samples], memory-mapped."""
    return np.load(shard_paths(folder, split, index)[0], mmap_mode="r")


def load_melodies(folder: Path, split: str, index: int) -> np.ndarray:
    """Return uint8 [500, MELODY_FRAMES]."""
    return np.load(shard_paths(folder, split, index)[0].with_suffix(".melody"))


def load_labels(folder: Path, split: str, index: int) -> list[dict]:
    return [
        json.loads(line) for line in shard_paths(folder, split, index)[1].read_text().splitlines()
    ]


def shards_present(folder: Path, split: str) -> list[int]:
    return sorted(int(path.stem.rsplit("-", 1)[1]) for path in folder.glob(f"{split}-*.npy"))
