"""Measure pocket and write the numbers into its model card.

    python -m recipes.pocket.card --out build/pocket

On held-out pieces, seeds and captions: what the codec keeps, and how far generated clips obey tempo, brightness, "N bpm" and genre words.
Genre is judged by a linear classifier on MFCC statistics, trained on codec-decoded corpus audio only.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tonearm
from recipes.pocket import words
from recipes.pocket.compose import BEAT_FRAMES, FRAME_RATE
from recipes.pocket.corpus import load_audio, load_labels
from recipes.pocket.encode import codes_path
from tonearm.audio import Clip
from tonearm.measures import describe, measure_brightness, measure_tempo
from tonearm.model import Model
from tonearm.musicgen.conditioning import decode_codes
from tonearm.rows import Row
from tonearm.take import Take

CARD = Path(tonearm.__file__).parent / "pocket" / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
FIRST_SEED = 50_000
TRAINING_PIECES = 700
CODEC_PIECES = 60
Rows = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/pocket"))
    parser.add_argument("--takes", type=int, default=35, help="a condition")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(device="cpu")
    rows = codec_rows(model, arguments.out) + word_rows(model, arguments.takes) + bpm_rows(model, arguments.takes)
    rows += genre_rows(model, arguments.out, arguments.takes) + speed_rows(model)
    table = ["| measured | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    text = CARD.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    CARD.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}", encoding="utf-8")
    print("\n".join(table))


def codec_rows(model: Model, out: Path) -> Rows:
    """Original against decoded, on held-out pieces."""
    audio = load_audio(out / "corpus", "held-out", 0)[:CODEC_PIECES].astype(np.float32) / 32768
    codes = np.load(codes_path(out, "held-out", 0))[:CODEC_PIECES].astype(np.int64)
    kept, errors, chroma = [], [], []
    for samples, piece in zip(audio, codes, strict=True):
        original, decoded = (
            Clip(samples, model.checkpoint.sample_rate),
            decode_codes(model.checkpoint, torch.from_numpy(piece)),
        )
        before, after = measure_tempo(original).bpm, measure_tempo(decoded).bpm
        kept.append(bool(before and after and abs(after / before - 1) < 0.04))
        errors.append(abs((measure_brightness(decoded).value or 0) / (measure_brightness(original).value or 1) - 1))
        pair = [librosa.feature.chroma_cqt(y=clip.mono, sr=clip.sample_rate) for clip in (original, decoded)]
        chroma.append(float(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]))
    n = f"n = {CODEC_PIECES} held-out pieces"
    return [
        (f"codec: tempo read alike (within 4 %) before and after, {n}", f"{np.mean(kept):.0%}"),
        (f"codec: median error of the spectral centroid, {n}", f"{np.median(errors):.1%}"),
        (f"codec: mean correlation of chroma, {n}", f"{np.mean(chroma):.2f}"),
    ]


def word_rows(model: Model, takes: int) -> Rows:
    """What words do: the same scenes and seeds with each word before them."""
    described = {}
    for word in ("", "fast", "slow", "bright", "dark"):
        described[word] = [describe(take.clip) for take in generate(model, [scene(i, word) for i in range(takes)])]

    def mean(word: str, measure: str) -> float:
        values = [getattr(d, measure).bpm if measure == "tempo" else getattr(d, measure).value for d in described[word]]
        return statistics.fmean(value for value in values if value is not None)

    fast, slow, bright, dark = (
        mean(word, key)
        for word, key in (("fast", "tempo"), ("slow", "tempo"), ("bright", "brightness"), ("dark", "brightness"))
    )
    everything = [d for group in described.values() for d in group]
    steadiness = [d.tempo.steadiness for d in everything if d.tempo.steadiness is not None]
    faulty = sum(bool(d.faults) for d in everything)
    n = f"n = {takes} each"
    return [
        (f'mean BPM read, "fast" / "slow" prompts, {n}', f"{fast:.0f} / {slow:.0f} (ratio {fast / slow:.2f})"),
        (f'mean centroid, "bright" / "dark" prompts, {n}', f"{bright:.0f} / {dark:.0f} Hz (ratio {bright / dark:.2f})"),
        (f"no word: BPM read, centroid, {n}", f"{mean('', 'tempo'):.0f}, {mean('', 'brightness'):.0f} Hz"),
        (
            f"clips with a beat that the tracker finds, n = {len(everything)}",
            f"{len(steadiness) / len(everything):.0%}",
        ),
        (
            f"median steadiness of that beat (1 is a metronome), n = {len(steadiness)}",
            f"{statistics.median(steadiness):.2f}",
        ),
        (f"silent, clipped or DC-shifted clips, n = {len(everything)}", f"{faulty}"),
    ]


def bpm_rows(model: Model, takes: int) -> Rows:
    """Prompts that ask for a tempo in numbers, from those of the corpus."""
    asked = [60 * FRAME_RATE / n for frames in BEAT_FRAMES.values() for n in frames]
    targets = [round(asked[i % len(asked)]) for i in range(takes)]
    made = generate(model, [f"{scene(i, '')} at {bpm} bpm" for i, bpm in enumerate(targets)])
    read = [measure_tempo(take.clip).bpm for take in made]
    ratios = [found / bpm for found, bpm in zip(read, targets, strict=True) if found]
    strict = sum(abs(ratio - 1) < 0.08 for ratio in ratios) / takes
    folded = sum(min(abs(ratio * f - 1) for f in (0.5, 1, 2)) < 0.08 for ratio in ratios) / takes
    return [
        (f'tempo within 8 % of an asked "N bpm", strict / octave-folded, n = {takes}', f"{strict:.0%} / {folded:.0%}")
    ]


def genre_rows(model: Model, out: Path, takes: int) -> Rows:
    labels = [
        piece["genre"] for piece in load_labels(out / "corpus", "train", 0) + load_labels(out / "corpus", "train", 1)
    ]
    codes = np.concatenate([np.load(codes_path(out, "train", i)) for i in (0, 1)])[:TRAINING_PIECES].astype(np.int64)
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
    judge.fit(
        [features(decode_codes(model.checkpoint, torch.from_numpy(piece))) for piece in codes], labels[:TRAINING_PIECES]
    )
    held_out = np.load(codes_path(out, "held-out", 0))[:200].astype(np.int64)
    truth = [piece["genre"] for piece in load_labels(out / "corpus", "held-out", 0)][:200]
    on_corpus = judge.score(
        [features(decode_codes(model.checkpoint, torch.from_numpy(piece))) for piece in held_out], truth
    )
    genres = list(words.GENRE)
    asked = [genres[i % len(genres)] for i in range(2 * takes)]
    leads = list(words.LEAD)
    made = generate(model, [f"a {genre} track with {leads[i % len(leads)]}" for i, genre in enumerate(asked)])
    found = judge.score([features(take.clip) for take in made], asked)
    return [
        (
            f"genre named right by a linear classifier on MFCC: decoded held-out corpus, n = 200 (chance {1 / len(genres):.0%})",
            f"{on_corpus:.0%}",
        ),
        (f"the same classifier on clips generated from the genre's word, n = {len(asked)}", f"{found:.0%}"),
    ]


def speed_rows(model: Model) -> Rows:
    times = []
    for seed in range(3):
        began = time.perf_counter()
        model.generate("a folk tune with flute", seconds=10, seed=seed)
        times.append(time.perf_counter() - began)
    return [
        (
            f"seconds for one 10-s clip, guidance on, {torch.get_num_threads()} threads, {platform.machine()} CPU",
            f"{statistics.median(times):.1f}",
        )
    ]


def scene(index: int, word: str) -> str:
    """A caption with its genre, form and lead drawn by index; held out by its seeds, not by its words."""
    rng = np.random.default_rng((7, index))
    genre, lead = rng.choice([s[0] for s in words.GENRE.values()]), rng.choice([s[0] for s in words.LEAD.values()])
    form = rng.choice(words.FORM[:8])
    return f"a {word + ' ' if word else ''}{genre} {form} with {lead}"


def generate(model: Model, texts: Sequence[str], seconds: float = 10.0) -> list[Take]:
    return list(
        model.takes([Row(text, FIRST_SEED + i, seconds=seconds) for i, text in enumerate(texts)], batch_size=25)
    )


def features(clip: Clip) -> np.ndarray:
    """Mean and deviation of 20 MFCCs and of their differences, [80]."""
    mfcc = librosa.feature.mfcc(y=clip.mono, sr=clip.sample_rate, n_mfcc=20, hop_length=256)
    delta = librosa.feature.delta(mfcc)
    return np.concatenate([mfcc.mean(1), mfcc.std(1), delta.std(1), np.abs(delta).mean(1)])


if __name__ == "__main__":
    main()
