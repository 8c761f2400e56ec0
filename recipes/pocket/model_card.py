"""Measure pocket and write the table of its model card.

    python -m recipes.pocket.model_card --out build/pocket

On held-out pieces, seeds and captions: fidelity of the codec, response of takes to tempo,
brightness, genre and lead, and beat regularity in comparison with the corpus. Tempo is estimated by
librosa and by the bundled beat tracker. Genre and lead are predicted by a small convolutional
network (instrument_classifier.py), trained on codec-decoded pieces of the corpus only.
"""

import argparse
import json
import platform
import statistics
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

import tonearm
from recipes.pocket import evaluate, vocabulary
from recipes.pocket.codec_metrics import centroid_error
from recipes.pocket.corpus import as_int16, load_labels, load_melodies, melody_clip
from recipes.pocket.evaluate import TRACKERS, ClipMeasures
from tonearm import assets
from tonearm.datasets.rendering.compose import compose, nearest_beat_frames
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.files.atomic import atomic_write
from tonearm.generation.request import TakeRequest
from tonearm.measures import faults, measure_tempo
from tonearm.model import Model
from tonearm.stats.share import Share

CARD = assets.POCKET / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MEASURED = "card.json"  # rows by part, so that parts can be measured again and a run can resume
CODEC_PIECES, TEMPO_PIECES = 500, 200  # all pieces; fewer for the slow trackers
NOISE_DECIBELS = -40
CORPUS_PIECES = 80
TRAINING_SHARDS = 8
PROMPT_SECONDS = 5.0
LONG_TAKES = 24
Rows = list[tuple[str, str, str]]  # quantity, value, target
PARTS: dict[str, Callable[[Model, argparse.Namespace], Rows]] = {
    "codec": lambda model, a: codec_rows(model, a.out),
    "takes": lambda model, a: take_rows(model, a.out, a.takes, a.processes),
    "labels": lambda model, a: label_rows(model, a.out, 6 * a.takes, a.processes),
    "continuation": lambda model, a: continuation_rows(model, a.out, a.takes),
    "melody": lambda model, a: melody_rows(model, a.out, a.takes),
    "extension": lambda model, a: extension_rows(model),
    "speed": lambda model, a: speed_rows(model),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/pocket"))
    parser.add_argument("--takes", type=int, default=60, help="takes per word")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure; others are kept"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.processes)
    model = tonearm.load(device="cpu")
    measured = load_parts(arguments.out, model)
    for part in arguments.only:
        measured[part] = PARTS[part](model, arguments)
        save_parts(arguments.out, model, measured)
    if missing := [part for part in PARTS if part not in measured]:
        raise SystemExit(
            f"the card is unchanged: not measured on these weights yet: {', '.join(missing)}"
        )
    rows = [row for part in PARTS for row in measured[part]]
    table = [
        "| measured | value | target |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    text = CARD.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with atomic_write(CARD) as temporary:
        temporary.write_text(
            f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}", encoding="utf-8"
        )
    print("\n".join(table))


def load_parts(out: Path, model: Model) -> dict[str, Rows]:
    """Return the rows measured on these weights before, by part."""
    file = out / MEASURED
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return stored.get(model.shape.fingerprint, {})


def save_parts(out: Path, model: Model, measured: dict[str, Rows]) -> None:
    """Store the rows by part, with the fingerprint of the weights."""
    with atomic_write(out / MEASURED) as temporary:
        temporary.write_text(
            json.dumps({model.shape.fingerprint: measured}, indent=1), encoding="utf-8"
        )


def speed_rows(model: Model) -> Rows:
    machine = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    title = f"seconds for one 10-s clip, guidance on, {machine}"
    return [(title, f"{evaluate.seconds_for_a_clip(model):.1f}", "< 3")]


def codec_rows(model: Model, out: Path) -> Rows:
    """Compare original and decoded held-out pieces."""
    tempos: dict[tuple[str, str], list[tuple[float | None, float | None]]] = {}
    errors, chroma = [], []
    for i, (original, decoded) in enumerate(evaluate.held_out_pairs(model, out, CODEC_PIECES)):
        errors.append(centroid_error(original, decoded))
        chroma.append(evaluate.chroma_correlation(original, decoded))
        if i >= TEMPO_PIECES:
            continue
        noisy = evaluate.with_noise(original, NOISE_DECIBELS, seed=i)
        for tracker in TRACKERS:
            loaded = evaluate.tracker(tracker)
            before = measure_tempo(original, loaded).bpm
            for copy, clip in (("decoded", decoded), ("noisy", noisy)):
                tempos.setdefault((tracker, copy), []).append(
                    (before, measure_tempo(clip, loaded).bpm)
                )

    def unchanged(tracker: str, copy: str) -> str:
        shares = [
            np.mean([evaluate.is_same_tempo(*pair, octave) for pair in tempos[tracker, copy]])
            for octave in (False, True)
        ]
        return " / ".join(f"{share:.0%}" for share in shares)

    n = f"n = {CODEC_PIECES} held-out pieces"
    return [
        (
            f"codec: mean correlation of chroma, original and decoded, {n}",
            f"{np.mean(chroma):.2f}",
            ">= 0.9",
        ),
        (
            f"codec: median error of the spectral centroid, {n}",
            f"{np.median(errors):.1%}",
            "<= 5 %",
        ),
        *(
            (
                f"codec: same tempo (within 4 %) before and after / in any octave, "
                f"{tracker}, n = {TEMPO_PIECES}",
                unchanged(tracker, "decoded"),
                "98 %",
            )
            for tracker in TRACKERS
        ),
        *(
            (
                f"control: white noise at {NOISE_DECIBELS} dB instead of the codec, {tracker}",
                unchanged(tracker, "noisy"),
                "",
            )
            for tracker in TRACKERS
        ),
    ]


def take_rows(model: Model, out: Path, takes: int, processes: int) -> Rows:
    """Measure the effect of words and BPM numbers, and the beat of takes.

    Scenes and seeds are the same for all words; the beat is compared with that of the corpus.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`.
        takes: takes per word; twice as many for BPM numbers.
        processes: number of worker processes.

    Returns:
        Rows of the table.
    """
    by_word: dict[str, list[ClipMeasures]] = {}
    for word in ("", "fast", "slow", "bright", "dark"):
        made = evaluate.generate_takes(model, [evaluate.scene(i, word) for i in range(takes)])
        by_word[word] = evaluate.measure_clips([take.clip for take in made], processes)
    numbers = evaluate.prompted_bpms(2 * takes)
    made = evaluate.generate_takes(
        model, [evaluate.scene(i, tail=f"at {bpm} bpm") for i, bpm in enumerate(numbers)]
    )
    with_bpm = evaluate.measure_clips([take.clip for take in made], processes)
    prompted_shares = [
        evaluate.beat_share(take.clip, nearest_beat_frames(bpm))
        for take, bpm in zip(made, numbers, strict=True)
    ]
    corpus = [decoded for _, decoded in evaluate.held_out_pairs(model, out, CORPUS_PIECES)]
    labels = load_labels(out / "corpus", "held-out", 0)[:CORPUS_PIECES]
    corpus_shares = [
        evaluate.beat_share(clip, piece["beat_frames"])
        for clip, piece in zip(corpus, labels, strict=True)
    ]
    own = evaluate.measure_clips(corpus, processes)
    by_tempo = {
        word: [one for one, piece in zip(own, labels, strict=True) if piece["tempo"] == word]
        for word in ("fast", "slow")
    }
    all_takes = [one for group in (*by_word.values(), with_bpm) for one in group]
    rows: Rows = []
    for tracker in TRACKERS:
        read = [one.bpm(tracker) for one in with_bpm]
        strict, folded = (
            evaluate.share_within_tolerance(read, numbers),
            evaluate.share_within_tolerance(read, numbers, (0.5, 1, 2)),
        )
        rows.append(
            (
                f'tempo within 8 % of "N bpm" in the prompt (60 to 180), any octave, {tracker}',
                str(folded),
                "80 %",
            )
        )
        rows.append((f"the same, strict, {tracker}", str(strict), "65 %"))
    for tracker in TRACKERS:
        of_words, of_pieces = (
            [evaluate.mean([one.bpm(tracker) for one in groups[word]]) for word in ("fast", "slow")]
            for groups in (by_word, by_tempo)
        )
        rows.append(
            (
                f'mean BPM of "fast" / "slow", {tracker}, n = {takes} each; '
                f"of fast and slow pieces, decoded corpus "
                f"({len(by_tempo['fast'])}, {len(by_tempo['slow'])})",
                f"{ratio(*of_words)}; {ratio(*of_pieces)}",
                ">= 1.6",
            )
        )
    fast, slow = (
        evaluate.mean([one.onset_rate for one in by_word[word]]) for word in ("fast", "slow")
    )
    rows.append(
        (
            f'onsets per second of "fast" / "slow", n = {takes} each',
            f"{fast:.1f} / {slow:.1f}: {fast / slow:.2f}",
            ">= 1.6",
        )
    )
    bright, dark = (
        evaluate.mean([one.centroid for one in by_word[word]]) for word in ("bright", "dark")
    )
    rows.append(
        (
            f'mean centroid of "bright" / "dark", n = {takes} each',
            f"{bright:.0f} / {dark:.0f} Hz: {bright / dark:.2f}",
            ">= 2.5",
        )
    )
    bpm, centroid = (
        evaluate.mean([one.bpm("bundled") for one in by_word[""]]),
        evaluate.mean([one.centroid for one in by_word[""]]),
    )
    rows.append(
        (
            f"no word: BPM by the bundled tracker, centroid, n = {takes}",
            f"{bpm:.0f}, {centroid:.0f} Hz",
            "",
        )
    )
    for tracker in TRACKERS:
        for name, title in (
            ("beat_regularity", "beat regularity"),
            ("confidence", "beat strength"),
        ):
            ours, theirs = (median_of(group, tracker, name) for group in (all_takes, own))
            rows.append(
                (
                    f"median {title}, {tracker}, takes (n = {len(all_takes)}) / "
                    f"decoded corpus ({len(own)})",
                    comparison(ours, theirs),
                    ">= 80 %",
                )
            )
    rows.append(
        (
            f"median share of onset strength periodic with the prompted beat, "
            f"takes (n = {len(prompted_shares)}) / "
            f"with the piece's beat, decoded corpus ({len(corpus_shares)})",
            comparison(statistics.median(prompted_shares), statistics.median(corpus_shares)),
            ">= 80 %",
        )
    )
    faulty = sum(one.faulty for one in all_takes)
    share = Share.of(faulty, len(all_takes))  # too small for whole per cents
    rows.append(
        (
            "faulty clips (broken audio, held tones, static)",
            f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]: {faulty} of {share.n}",
            "< 1 %",
        )
    )
    return rows


def ratio(fast: float, slow: float) -> str:
    return f"{fast:.0f} / {slow:.0f}: {fast / slow:.2f}"


def comparison(ours: float, theirs: float) -> str:
    return f"{ours:.2f} / {theirs:.2f}: {ours / theirs:.0%}"


def median_of(group: Sequence[ClipMeasures], tracker: str, name: str) -> float:
    values = [getattr(one.tempo[tracker], name) for one in group]
    return statistics.median(value if value is not None else 0.0 for value in values)


def label_rows(model: Model, out: Path, takes: int, processes: int) -> Rows:
    """Measure genre and lead with a classifier trained on the decoded corpus.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`.
        takes: number of takes.
        processes: number of worker processes.

    Returns:
        Rows of the table.
    """
    audio, labels = {}, {}
    for split, shards in (("train", TRAINING_SHARDS), ("held-out", 1)):
        audio[split] = evaluate.decoded_corpus(out, split, range(shards), processes)
        labels[split] = [
            piece for i in range(shards) for piece in load_labels(out / "corpus", split, i)
        ]
    classifier = evaluate.train_instrument_classifier(audio["train"], labels["train"])
    prompted = [
        {"genre": genre, "lead": lead}
        for genre, lead in zip(cycle(vocabulary.GENRE), islice(cycle(vocabulary.LEAD), takes))
    ]
    texts = [
        f"a {vocabulary.GENRE[one['genre']][0]} track with {vocabulary.LEAD[one['lead']][0]}"
        for one in prompted
    ]
    clips = [as_int16(take.clip.mono) for take in evaluate.generate_takes(model, texts)]
    rows: Rows = []
    for label, table, target in (
        ("genre", vocabulary.GENRE, "90 %"),
        ("lead", vocabulary.LEAD, "80 %"),
    ):
        on_corpus = evaluate.classification_accuracy(
            classifier, audio["held-out"], label, [piece[label] for piece in labels["held-out"]]
        )
        on_takes = evaluate.classification_accuracy(
            classifier, clips, label, [one[label] for one in prompted]
        )
        chance = f"{1 / len(table):.0%}"
        rows.append(
            (
                f"{label} accuracy of a network, decoded held-out corpus (chance {chance})",
                str(on_corpus),
                "",
            )
        )
        rows.append(
            (
                f"{label} accuracy of the same network, takes with the word in the prompt",
                str(on_takes),
                target,
            )
        )
    return rows


def continuation_rows(model: Model, out: Path, takes: int) -> Rows:
    """Continue held-out pieces without tempo and key in the prompt, and measure both.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`.
        takes: number of takes.

    Returns:
        Rows of the table.
    """
    labels = load_labels(out / "corpus", "held-out", 0)[:takes]
    pairs = list(evaluate.held_out_pairs(model, out, takes))
    pieces = [original for original, _ in pairs]
    made = model.generate_batch(
        [
            TakeRequest(
                f"a {piece['genre']} track with {piece['lead']}",
                evaluate.FIRST_SEED + i,
                seconds=10 - PROMPT_SECONDS,
                continue_from=evaluate.excerpt(clip, 0, PROMPT_SECONDS),
            )
            for i, (piece, clip) in enumerate(zip(labels, pieces, strict=True))
        ],
        batch_size=32,
    )
    parts = [evaluate.excerpt(take.clip, PROMPT_SECONDS, 10) for take in made]
    played = [evaluate.excerpt(decoded, PROMPT_SECONDS, 10) for _, decoded in pairs]
    true_bpms = [piece["bpm"] for piece in labels]
    rows: Rows = []
    for tracker in TRACKERS:
        continued, own = (
            evaluate.share_within_tolerance(
                [measure_tempo(clip, evaluate.tracker(tracker)).bpm for clip in clips],
                true_bpms,
                (0.5, 1, 2),
            )
            for clips in (parts, played)
        )
        rows.append(
            (
                f"continuation of {PROMPT_SECONDS:g} s of a held-out piece: "
                f"tempo within 8 %, any octave, {tracker} / of the piece itself, decoded",
                f"{continued} / {own.value:.0%}",
                "",
            )
        )
    similarity = [
        np.mean([evaluate.chroma_similarity(a, b) for a, b in zip(parts, others, strict=True)])
        for others in (pieces, pieces[1:] + pieces[:1])
    ]
    return [
        *rows,
        (
            "the same: correlation of the mean chroma with that piece / with another",
            " / ".join(f"{one:.2f}" for one in similarity),
            "",
        ),
    ]


def melody_rows(model: Model, out: Path, takes: int) -> Rows:
    """Use leads of held-out pieces as melodies, with another genre and instrument in the prompt.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`.
        takes: number of takes.

    Returns:
        Rows of the table.
    """
    melodies = load_melodies(out / "corpus", "held-out", 0)[:takes]
    renderer = Renderer()
    clips = [
        melody_clip(renderer, compose(piece["seed"]))
        for piece in load_labels(out / "corpus", "held-out", 0)[:takes]
    ]
    shares = []
    for given in (True, False):
        rows = [
            TakeRequest(
                evaluate.scene(i),
                evaluate.FIRST_SEED + i,
                seconds=10,
                melody=clip if given else None,
            )
            for i, clip in enumerate(clips)
        ]
        made = model.generate_batch(rows, batch_size=32)
        shares.append(
            np.mean([evaluate.melody_share(melodies[i], take.clip) for i, take in enumerate(made)])
        )
    corpus = np.mean(
        [
            evaluate.melody_share(melodies[i], pair[1])
            for i, pair in enumerate(evaluate.held_out_pairs(model, out, takes))
        ]
    )
    return [
        (
            f"frames in which a melody's pitch class is among the three strongest, n = {takes}: "
            "takes with the melody / without it / its source piece",
            f"{shares[0]:.0%} / {shares[1]:.0%} / {corpus:.0%}",
            "",
        )
    ]


def extension_rows(model: Model) -> Rows:
    """Compare the last ten seconds of 30-s takes with the first ten.

    Half of the prompts have BPM.
    """
    numbers = evaluate.prompted_bpms(LONG_TAKES)
    changes, faulty = [], 0
    rows: Rows = []
    for condition, tails in (
        ("no tempo in the prompt", [""] * LONG_TAKES),
        ("BPM in the prompt", [f"at {bpm} bpm" for bpm in numbers]),
    ):
        takes = evaluate.generate_takes(
            model, [evaluate.scene(i, tail=tail) for i, tail in enumerate(tails)], seconds=30
        )
        pairs = [
            (evaluate.excerpt(take.clip, 0, 10), evaluate.excerpt(take.clip, 20, 30))
            for take in takes
        ]
        changes += [evaluate.level_db(last) - evaluate.level_db(first) for first, last in pairs]
        faulty += sum(bool(faults(last)) for _, last in pairs)
        for tracker in TRACKERS:
            tempos = [
                [measure_tempo(clip, evaluate.tracker(tracker)).bpm for clip in pair]
                for pair in pairs
            ]
            same, folded = (
                sum(evaluate.is_same_tempo(*pair, octave) for pair in tempos)
                for octave in (False, True)
            )
            rows.append(
                (
                    f"30 s: tempo of the last 10 s within 4 % of the first / in any octave, "
                    f"{condition}, {tracker}",
                    f"{Share.of(same, LONG_TAKES)} / {folded / LONG_TAKES:.0%}",
                    "",
                )
            )
    n = len(changes)
    return [
        (
            f"30 s: level of the last 10 s against the first, median and largest change, n = {n}",
            f"{np.median(changes):+.1f} dB, {max(changes, key=abs):+.1f} dB",
            "",
        ),
        *rows,
        ("30 s: last 10 s faulty", str(Share.of(faulty, n)), ""),
    ]


if __name__ == "__main__":
    main()
