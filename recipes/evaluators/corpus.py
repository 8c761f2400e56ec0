"""Stage 1: features of each clip, rendered and decoded by pocket's codec, for both evaluators.

    corpus/<kind>-<split>-0000.clap.npy    float16 [clips, 2, T, 128], log-mel in dB (performances)
    corpus/<kind>-<split>-0000.beats.npy   float16 [clips, 2, T, 128], Beat This!'s spectrogram
    corpus/<kind>-<split>-0000.jsonl       labels, beats and downbeats

`kind` is performances, pieces or grooves. The second axis is (rendered, decoded). Audio is not
stored. Files of a shard get their names only when complete, the labels last.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch

from recipes.evaluators.features import clap_features
from recipes.evaluators.grooves import groove
from recipes.evaluators.performances import perform, play_as_composed
from recipes.evaluators.render import SAMPLE_RATE, render, through_codec
from recipes.evaluators.scores import Score
from recipes.evaluators.settings import Settings
from tonearm import assets
from tonearm.audio import Clip
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.evaluators.beat_this import spectrogram
from tonearm.files.atomic import atomic_write

# Disjoint from the seeds of pocket's corpus.
FIRST_SEED = {"train": 100_000_000, "held-out": 110_000_000, "test": 120_000_000}
KINDS = {"performances": perform, "pieces": play_as_composed, "grooves": groove}  # composers
CODEC_BATCH = 8


def compose(kind: str, split: str, seed: int, frames: int) -> Score:
    """Compose the score of a seed; splits other than train use held-out material."""
    return KINDS[kind](seed, frames, held_out=split != "train")


def load_codec():
    """Load pocket's EnCodec."""
    from transformers import MusicgenMelodyForConditionalGeneration

    return (
        MusicgenMelodyForConditionalGeneration.from_pretrained(assets.POCKET)
        .float()
        .eval()
        .audio_encoder
    )


def make_shard(folder: Path, settings: Settings, kind: str, split: str, index: int) -> None:
    """Make one shard, unless it is present."""
    stem = folder / f"{kind}-{split}-{index:04d}"
    if stem.with_suffix(".jsonl").exists():
        return
    # A fresh synthesizer, so that a shard is the same each time.
    renderer, codec = Renderer(sample_rate=SAMPLE_RATE), load_codec()
    first = FIRST_SEED[split] + index * settings.clips_per_shard
    scores = [
        compose(kind, split, first + i, settings.frames) for i in range(settings.clips_per_shard)
    ]
    features: dict[str, list[np.ndarray]] = {"beats": []} | (
        {"clap": []} if kind == "performances" else {}
    )
    for start in range(0, len(scores), CODEC_BATCH):
        clips = [
            render(renderer, score, settings.frames)
            for score in scores[start : start + CODEC_BATCH]
        ]
        for copies in zip(clips, through_codec(codec, clips), strict=True):
            for evaluator, rows in features.items():
                rows.append(
                    np.stack([_features(evaluator, clip) for clip in copies]).astype(np.float16)
                )
    for evaluator, rows in features.items():
        with (
            atomic_write(stem.with_suffix(f".{evaluator}.npy")) as temporary,
            temporary.open("wb") as file,
        ):
            np.save(file, np.stack(rows))
    truths = [
        score.labels | {"beats": score.beats, "downbeats": score.downbeats} for score in scores
    ]
    with atomic_write(stem.with_suffix(".jsonl")) as temporary:
        temporary.write_text("".join(json.dumps(truth) + "\n" for truth in truths))
    print(f"{kind}, {split}, shard {index}: {len(scores)} clips", flush=True)


def _features(evaluator: str, clip: Clip) -> np.ndarray:
    return clap_features(clip) if evaluator == "clap" else spectrogram(clip).numpy()


def make_corpus(folder: Path, settings: Settings, processes: int) -> None:
    """Make all missing shards."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = [(kind, "held-out", index) for kind in KINDS for index in range(settings.held_out)]
    train = [(kind, "train", index) for kind in KINDS for index in range(getattr(settings, kind))]
    # kinds, splits, indices
    shards = zip(*held_out, *sorted(train, key=itemgetter(2)), strict=True)
    make = partial(make_shard, folder, settings)
    if processes == 1:
        list(map(make, *shards))
        return
    with ProcessPoolExecutor(processes, initializer=_limit_to_one_core) as pool:
        list(pool.map(make, *shards))


def _limit_to_one_core() -> None:
    """Set up a worker process that shares the machine with others."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def load(
    folder: Path, kind: str, split: str, evaluator: str
) -> tuple[list[np.ndarray], list[dict]]:
    """Return memory-mapped features, one array per shard, and the labels of every clip.

    Both have the same order.
    """
    stems = sorted(path.with_suffix("") for path in folder.glob(f"{kind}-{split}-*.jsonl"))
    arrays = [np.load(stem.with_suffix(f".{evaluator}.npy"), mmap_mode="r") for stem in stems]
    truths = [
        json.loads(line)
        for stem in stems
        for line in stem.with_suffix(".jsonl").read_text().splitlines()
    ]
    return arrays, truths
