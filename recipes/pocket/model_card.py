"""Measure pocket and write the numbers into its model card.

    python -m recipes.pocket.model_card --out build/pocket

On held-out pieces, seeds and captions: what the codec keeps, how far takes obey tempo, brightness, genre and lead, and how steady their beat is beside
the corpus's own. Tempo is read twice, by librosa and by Tonearm's embedded beat tracker. Genre and lead are named by a small convolutional network
(listener.py), trained on codec-decoded pieces of the corpus only.
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
from recipes.pocket.compose import beat_for, compose
from recipes.pocket.corpus import as_int16, load_labels, load_melodies, melody_clip
from recipes.pocket.evaluate import TRACKERS, Heard
from recipes.pocket.render import Renderer
from tonearm.atomic import atomic_write
from tonearm.generation.request import TakeRequest
from tonearm.measures import faults, measure_tempo
from tonearm.model import Model
from tonearm.stats import Share

CARD = Path(tonearm.__file__).parent / "pocket" / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
KEPT = "card.json"  # what was measured, by part: a part can be measured again, or a card that was cut off gone on with
CODEC_PIECES, TEMPO_PIECES = 500, 200  # all there are; trackers take their time
NOISE_DECIBELS = -40
CORPUS_PIECES = 80
TRAINING_SHARDS = 8
PROMPT_SECONDS = 5.0
LONG_TAKES = 24
Rows = list[tuple[str, str, str]]  # what, measured, target
PARTS: dict[str, Callable[[Model, argparse.Namespace], Rows]] = {
    "codec": lambda model, a: codec_rows(model, a.out),
    "takes": lambda model, a: take_rows(model, a.out, a.takes, a.processes),
    "names": lambda model, a: name_rows(model, a.out, 6 * a.takes, a.processes),
    "continuation": lambda model, a: continuation_rows(model, a.out, a.takes),
    "melody": lambda model, a: melody_rows(model, a.out, a.takes),
    "extension": lambda model, a: extension_rows(model),
    "speed": lambda model, a: speed_rows(model),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/pocket"))
    parser.add_argument("--takes", type=int, default=60, help="a word")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these again, keep the others")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.processes)
    model = tonearm.load(device="cpu")
    measured = kept_parts(arguments.out, model)
    for part in arguments.only:
        measured[part] = PARTS[part](model, arguments)
        keep_parts(arguments.out, model, measured)
    if missing := [part for part in PARTS if part not in measured]:
        raise SystemExit(f"the card is left as it is: not measured on these weights yet: {', '.join(missing)}")
    rows = [row for part in PARTS for row in measured[part]]
    table = ["| measured | value | target |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    text = CARD.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with atomic_write(CARD) as aside:
        aside.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}", encoding="utf-8")
    print("\n".join(table))


def kept_parts(out: Path, model: Model) -> dict[str, Rows]:
    """What has been measured of these weights already; `keep_parts` saves it."""
    file = out / KEPT
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return kept.get(model.checkpoint.fingerprint, {})


def keep_parts(out: Path, model: Model, measured: dict[str, Rows]) -> None:
    with atomic_write(out / KEPT) as aside:
        aside.write_text(json.dumps({model.checkpoint.fingerprint: measured}, indent=1), encoding="utf-8")


def speed_rows(model: Model) -> Rows:
    what = f"seconds for one 10-s clip, guidance on, {platform.machine()} CPU, {torch.get_num_threads()} threads"
    return [(what, f"{evaluate.seconds_for_a_clip(model):.1f}", "< 3")]


def codec_rows(model: Model, out: Path) -> Rows:
    """Original against decoded, on held-out pieces."""
    tempos: dict[tuple[str, str], list[tuple[float | None, float | None]]] = {}
    errors, chroma = [], []
    for i, (original, decoded) in enumerate(evaluate.held_out_pairs(model, out, CODEC_PIECES)):
        errors.append(centroid_error(original, decoded))
        chroma.append(evaluate.chroma_correlation(original, decoded))
        if i >= TEMPO_PIECES:
            continue
        noisy = evaluate.with_noise(original, NOISE_DECIBELS, seed=i)
        for tracker in TRACKERS:
            opened = evaluate.tracker(tracker)
            before = measure_tempo(original, opened).bpm
            for copy, clip in (("decoded", decoded), ("noisy", noisy)):
                tempos.setdefault((tracker, copy), []).append((before, measure_tempo(clip, opened).bpm))

    def kept(tracker: str, copy: str) -> str:
        shares = [
            np.mean([evaluate.is_kept(*pair, octave) for pair in tempos[tracker, copy]]) for octave in (False, True)
        ]
        return " / ".join(f"{share:.0%}" for share in shares)

    n = f"n = {CODEC_PIECES} held-out pieces"
    return [
        (f"codec: mean correlation of chroma, original and decoded, {n}", f"{np.mean(chroma):.2f}", ">= 0.9"),
        (f"codec: median error of the spectral centroid, {n}", f"{np.median(errors):.1%}", "<= 5 %"),
        *(
            (f"codec: tempo read alike (within 4 %) before and after / but for the octave, {tracker}, n = {TEMPO_PIECES}",
             kept(tracker, "decoded"), "98 %")
            for tracker in TRACKERS
        ),
        *(
            (f"the same without the codec, with white noise at {NOISE_DECIBELS} dB: what {tracker} changes of itself",
             kept(tracker, "noisy"), "")
            for tracker in TRACKERS
        ),
    ]  # fmt: skip


def take_rows(model: Model, out: Path, takes: int, processes: int) -> Rows:
    """What words and numbers do to the same scenes and seeds, and how the takes' beat stands beside the corpus's."""
    heard: dict[str, list[Heard]] = {}
    for word in ("", "fast", "slow", "bright", "dark"):
        made = evaluate.generate(model, [evaluate.scene(i, word) for i in range(takes)])
        heard[word] = evaluate.listen_to_all([take.clip for take in made], processes)
    numbers = evaluate.asked_numbers(2 * takes)
    made = evaluate.generate(model, [evaluate.scene(i, tail=f"at {bpm} bpm") for i, bpm in enumerate(numbers)])
    asked = evaluate.listen_to_all([take.clip for take in made], processes)
    meant = [evaluate.beat_share(take.clip, beat_for(bpm)) for take, bpm in zip(made, numbers, strict=True)]
    corpus = [decoded for _, decoded in evaluate.held_out_pairs(model, out, CORPUS_PIECES)]
    labels = load_labels(out / "corpus", "held-out", 0)[:CORPUS_PIECES]
    played = [evaluate.beat_share(clip, piece["beat_frames"]) for clip, piece in zip(corpus, labels, strict=True)]
    own = evaluate.listen_to_all(corpus, processes)
    by_tempo = {
        word: [one for one, piece in zip(own, labels, strict=True) if piece["tempo"] == word]
        for word in ("fast", "slow")
    }
    everything = [one for group in (*heard.values(), asked) for one in group]
    rows: Rows = []
    for tracker in TRACKERS:
        read = [one.bpm(tracker) for one in asked]
        strict, folded = evaluate.within_asked(read, numbers), evaluate.within_asked(read, numbers, (0.5, 1, 2))
        rows.append(
            (f'tempo within 8 % of an asked "N bpm" (60 to 180), octave-folded, {tracker}', str(folded), "80 %")
        )
        rows.append((f"the same, strict, {tracker}", str(strict), "65 %"))
    for tracker in TRACKERS:
        asked_for, played_at = (
            [evaluate.mean([one.bpm(tracker) for one in groups[word]]) for word in ("fast", "slow")]
            for groups in (heard, by_tempo)
        )
        rows.append((
            f'mean BPM of "fast" / "slow", {tracker}, n = {takes} each; of fast and slow pieces, decoded corpus '
            f"({len(by_tempo['fast'])}, {len(by_tempo['slow'])})",
            f"{ratio(*asked_for)}; {ratio(*played_at)}", ">= 1.6",
        ))  # fmt: skip
    fast, slow = (evaluate.mean([one.onset_rate for one in heard[word]]) for word in ("fast", "slow"))
    rows.append(
        (
            f'onsets per second of "fast" / "slow", n = {takes} each',
            f"{fast:.1f} / {slow:.1f}: {fast / slow:.2f}",
            ">= 1.6",
        )
    )
    bright, dark = (evaluate.mean([one.centroid for one in heard[word]]) for word in ("bright", "dark"))
    rows.append(
        (
            f'mean centroid of "bright" / "dark", n = {takes} each',
            f"{bright:.0f} / {dark:.0f} Hz: {bright / dark:.2f}",
            ">= 2.5",
        )
    )
    bpm, centroid = (
        evaluate.mean([one.bpm("embedded") for one in heard[""]]),
        evaluate.mean([one.centroid for one in heard[""]]),
    )
    rows.append((f"no word: BPM by the embedded beats, centroid, n = {takes}", f"{bpm:.0f}, {centroid:.0f} Hz", ""))
    for tracker in TRACKERS:
        for name, title in (("steadiness", "steadiness of the beat"), ("confidence", "strength of the beat")):
            ours, theirs = (median_of(group, tracker, name) for group in (everything, own))
            rows.append((
                f"median {title}, {tracker}, takes (n = {len(everything)}) / decoded corpus ({len(own)})",
                beside(ours, theirs), ">= 80 %",
            ))  # fmt: skip
    rows.append((
        f"median share of onset strength that comes round with the asked beat, takes (n = {len(meant)}) / with the piece's own, decoded corpus ({len(played)})",
        beside(statistics.median(meant), statistics.median(played)), ">= 80 %",
    ))  # fmt: skip
    faulty = sum(one.faulty for one in everything)
    share = Share.of(faulty, len(everything))  # too small for whole per cents
    rows.append((
        "silent, clipped, DC-shifted or stuck clips",
        f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]: {faulty} of {share.n}", "< 1 %",
    ))  # fmt: skip
    return rows


def ratio(fast: float, slow: float) -> str:
    return f"{fast:.0f} / {slow:.0f}: {fast / slow:.2f}"


def beside(ours: float, theirs: float) -> str:
    return f"{ours:.2f} / {theirs:.2f}: {ours / theirs:.0%}"


def median_of(group: Sequence[Heard], tracker: str, name: str) -> float:
    values = [getattr(one.tempo[tracker], name) for one in group]
    return statistics.median(value if value is not None else 0.0 for value in values)


def name_rows(model: Model, out: Path, takes: int, processes: int) -> Rows:
    """Genre and lead, as a network that has only heard the corpus names them."""
    audio, labels = {}, {}
    for split, shards in (("train", TRAINING_SHARDS), ("held-out", 1)):
        audio[split] = evaluate.decoded_corpus(out, split, range(shards), processes)
        labels[split] = [piece for i in range(shards) for piece in load_labels(out / "corpus", split, i)]
    namer = evaluate.train_namer(audio["train"], labels["train"])
    asked = [
        {"genre": genre, "lead": lead}
        for genre, lead in zip(cycle(vocabulary.GENRE), islice(cycle(vocabulary.LEAD), takes))
    ]
    texts = [f"a {vocabulary.GENRE[one['genre']][0]} track with {vocabulary.LEAD[one['lead']][0]}" for one in asked]
    heard = [as_int16(take.clip.mono) for take in evaluate.generate(model, texts)]
    rows: Rows = []
    for label, table, target in (("genre", vocabulary.GENRE, "90 %"), ("lead", vocabulary.LEAD, "80 %")):
        on_corpus = evaluate.share_named(
            namer, audio["held-out"], label, [piece[label] for piece in labels["held-out"]]
        )
        on_takes = evaluate.share_named(namer, heard, label, [one[label] for one in asked])
        chance = f"{1 / len(table):.0%}"
        rows.append(
            (f"{label} named right by a network, decoded held-out corpus (chance {chance})", str(on_corpus), "")
        )
        rows.append((f"{label} named right by the same network, takes of its word", str(on_takes), target))
    return rows


def continuation_rows(model: Model, out: Path, takes: int) -> Rows:
    """The first seconds of held-out pieces as audio prompts, without a word of their tempo or key: does the rest keep both?"""
    labels = load_labels(out / "corpus", "held-out", 0)[:takes]
    pairs = list(evaluate.held_out_pairs(model, out, takes))
    pieces = [original for original, _ in pairs]
    made = model.takes(
        [
            TakeRequest(f"a {piece['genre']} track with {piece['lead']}", evaluate.FIRST_SEED + i, seconds=10 - PROMPT_SECONDS,
                continue_from=evaluate.part(clip, 0, PROMPT_SECONDS))
            for i, (piece, clip) in enumerate(zip(labels, pieces, strict=True))
        ],
        batch_size=32,
    )  # fmt: skip
    parts = [evaluate.part(take.clip, PROMPT_SECONDS, 10) for take in made]
    played = [evaluate.part(decoded, PROMPT_SECONDS, 10) for _, decoded in pairs]
    asked = [piece["bpm"] for piece in labels]
    rows: Rows = []
    for tracker in TRACKERS:
        going_on, own = (
            evaluate.within_asked(
                [measure_tempo(clip, evaluate.tracker(tracker)).bpm for clip in clips], asked, (0.5, 1, 2)
            )
            for clips in (parts, played)
        )
        rows.append((
            f"going on from {PROMPT_SECONDS:g} s of a held-out piece: tempo within 8 %, octave-folded, {tracker} / of the piece itself, decoded",
            f"{going_on} / {own.value:.0%}", "",
        ))  # fmt: skip
    likeness = [
        np.mean([evaluate.pitch_likeness(a, b) for a, b in zip(parts, others, strict=True)])
        for others in (pieces, pieces[1:] + pieces[:1])
    ]
    return [
        *rows,
        ("the same: correlation of the mean chroma with that piece / with another", " / ".join(f"{one:.2f}" for one in likeness), ""),
    ]  # fmt: skip


def melody_rows(model: Model, out: Path, takes: int) -> Rows:
    """Leads of held-out pieces as melodies, played in another genre by another instrument."""
    melodies = load_melodies(out / "corpus", "held-out", 0)[:takes]
    renderer = Renderer()
    sung = [
        melody_clip(renderer, compose(piece["seed"])) for piece in load_labels(out / "corpus", "held-out", 0)[:takes]
    ]
    shares = []
    for given in (True, False):
        rows = [
            TakeRequest(evaluate.scene(i), evaluate.FIRST_SEED + i, seconds=10, melody=clip if given else None)
            for i, clip in enumerate(sung)
        ]
        made = model.takes(rows, batch_size=32)
        shares.append(np.mean([evaluate.melody_share(melodies[i], take.clip) for i, take in enumerate(made)]))
    corpus = np.mean(
        [
            evaluate.melody_share(melodies[i], pair[1])
            for i, pair in enumerate(evaluate.held_out_pairs(model, out, takes))
        ]
    )
    return [(
        f"frames in which a melody's pitch class is among the three strongest, n = {takes}: takes given it / not given it / the piece it is from",
        f"{shares[0]:.0%} / {shares[1]:.0%} / {corpus:.0%}", "",
    )]  # fmt: skip


def extension_rows(model: Model) -> Rows:
    """Thirty seconds: the last ten against the first ten, from prompts without a tempo and with a number."""
    numbers = evaluate.asked_numbers(LONG_TAKES)
    changes, faulty = [], 0
    rows: Rows = []
    for what, tails in (
        ("no tempo asked", [""] * LONG_TAKES),
        ("a number asked", [f"at {bpm} bpm" for bpm in numbers]),
    ):
        takes = evaluate.generate(model, [evaluate.scene(i, tail=tail) for i, tail in enumerate(tails)], seconds=30)
        pairs = [(evaluate.part(take.clip, 0, 10), evaluate.part(take.clip, 20, 30)) for take in takes]
        changes += [evaluate.decibels(last) - evaluate.decibels(first) for first, last in pairs]
        faulty += sum(bool(faults(last)) or evaluate.is_stuck(last) for _, last in pairs)
        for tracker in TRACKERS:
            tempos = [[measure_tempo(clip, evaluate.tracker(tracker)).bpm for clip in pair] for pair in pairs]
            kept, folded = (sum(evaluate.is_kept(*pair, octave) for pair in tempos) for octave in (False, True))
            rows.append((
                f"30 s: tempo of the last 10 s within 4 % of the first's / but for the octave, {what}, {tracker}",
                f"{Share.of(kept, LONG_TAKES)} / {folded / LONG_TAKES:.0%}", "",
            ))  # fmt: skip
    n = len(changes)
    return [
        (f"30 s: level of the last 10 s against the first, median and largest change, n = {n}",
         f"{np.median(changes):+.1f} dB, {max(changes, key=abs):+.1f} dB", ""),
        *rows,
        ("30 s: last 10 s silent, clipped or stuck", str(Share.of(faulty, n)), ""),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
